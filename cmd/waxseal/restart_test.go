package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/control"
	"github.com/waxseal/waxseal/proxy/updates"
)

// instance is a running instance of a version, with an icon or without.
func instance(t *testing.T, version string, desktop bool) (configuration string) {
	t.Helper()
	return stubborn(t, version, desktop, false)
}

// stubborn is an instance that may go on after it was told to quit.
func stubborn(t *testing.T, version string, desktop, goesOn bool) (configuration string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	listener, err := control.Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	server, err := proxy.New(proxy.Options{Config: config.Default(), Secrets: keystore.Memory(), Version: version})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d := control.Desktop{Quit: cancel}
	if goesOn {
		d.Quit = func() {}
	}
	if desktop {
		d.Show = func(string, string) error { return nil }
	}
	ended := make(chan error, 1)
	go func() {
		defer listener.Close()
		ended <- control.Serve(ctx, listener, server, d)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		server.Shutdown(context.Background())
	})
	return path
}

// A command that meets an instance of another version says so once, and how to change to this one.
func TestOtherVersions(t *testing.T) {
	for _, tt := range []struct {
		version string
		desktop bool
		want    string // on standard error; "" for nothing
	}{
		{"v0.0.1", true, "waxseal: the running Waxseal is version v0.0.1, and this program is " + versionText() + "; to change to this one: `waxseal restart`\n"},
		{"v0.0.1", false, "systemctl --user restart waxseal"},
		{versionText(), true, ""},
	} {
		path := instance(t, tt.version, tt.desktop)
		m, out, errs := newMain(map[string]string{configEnv: path})
		if code := m.Run(t.Context(), []string{"status", "--json"}); code != exitDone || !json.Valid(out.Bytes()) {
			t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
		if got := errs.String(); !strings.Contains(got, tt.want) || (tt.want == "") != (got == "") || strings.Count(got, "\n") > 1 {
			t.Errorf("%s: got %q, want %q", tt.version, got, tt.want)
		}
	}
}

// What has no icon belongs to whoever started it: it is not ended.
func TestRestartLeavesServicesAlone(t *testing.T) {
	path := instance(t, "v0.0.1", false)
	m, _, errs := newMain(map[string]string{configEnv: path})
	if code := m.Run(t.Context(), []string{"restart"}); code != exitFailed || !strings.Contains(errs.String(), "systemctl --user restart waxseal") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	client, err := control.Dial(t.Context(), path)
	if err != nil {
		t.Fatalf("it was ended: %v", err)
	}
	client.Close()
}

// `waxseal quit` waited without limit for an instance that did not end.
func TestQuitHasALimit(t *testing.T) {
	defer func(d time.Duration) { endPatience = d }(endPatience)
	for _, goesOn := range []bool{false, true} {
		path := stubborn(t, versionText(), true, goesOn)
		if err := os.WriteFile(path, []byte("shutdown_timeout = \"10ms\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if goesOn {
			endPatience = 50 * time.Millisecond
		}
		m, _, errs := newMain(map[string]string{configEnv: path})
		code := m.Run(t.Context(), []string{"quit"})
		want := "Waxseal has ended\n"
		if goesOn {
			want = fmt.Sprintf("the running Waxseal (process %d) has not ended within 60ms\nwaxseal: hint: ", os.Getpid())
		}
		if !strings.Contains(errs.String(), want) || (code == exitFailed) != goesOn {
			t.Errorf("exit code %d: %s, want %s", code, errs, want)
		}
	}
}

// `waxseal version` tells what the last instance has learned, unless that is switched off.
func TestVersionTellsOfUpdates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(updates.File(path), `{"version":"9.9.9","page":"https://example.com/9.9.9"}`)
	defer func(v, k string) { version, updateKey = v, k }(version, updateKey)
	for _, tt := range []struct {
		version, key, config string
		told                 bool
	}{
		{"v1.0.0", "key", "", true},
		{"v9.9.9", "key", "", false},
		{"v1.0.0", "", "", false},
		{"v1.0.0", "key", "updates = \"\"\n", false},
	} {
		version, updateKey = tt.version, tt.key
		write(path, tt.config)
		m, out, errs := newMain(map[string]string{configEnv: path})
		if code := m.Run(t.Context(), []string{"version"}); code != exitDone || strings.Contains(errs.String(), "version 9.9.9 is available: https://example.com/9.9.9") != tt.told {
			t.Errorf("%+v: exit code %d\n%s%s", tt, code, out, errs)
		}
		m, out, _ = newMain(map[string]string{configEnv: path})
		m.Run(t.Context(), []string{"version", "--json"})
		var info versionInfo
		if err := json.Unmarshal(out.Bytes(), &info); err != nil || info.Version != tt.version || info.Go == "" || info.OS == "" || (info.Update != nil) != tt.told {
			t.Errorf("%+v: %s, %v", tt, out, err)
		}
	}
}
