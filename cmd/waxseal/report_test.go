package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/control"
)

// A report has the version, the checks and the end of the log, for its owner's eyes alone.
func TestSaveReport(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	t.Setenv("PATH", "") // no file manager
	if err := os.Mkdir(filepath.Join(home, "Downloads"), 0o700); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(home, "waxseal.log")
	if err := os.WriteFile(log, []byte(strings.Repeat("old\n", 1000)+"msg=stopped\x1b[2J\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := proxy.New(proxy.Options{Config: config.Default(), Secrets: keystore.Memory(), LogFile: log})
	if err != nil {
		t.Fatal(err)
	}
	path, err := (&Main{}).saveReport(t.Context(), control.Local(server), "ok    keystore\n")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, want := range []string{"Waxseal " + versionText(), "ok    keystore", "msg=stopped"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Count(text, "old\n") >= reportLines || strings.Contains(text, "\x1b") || filepath.Dir(path) != filepath.Join(home, "Downloads") {
		t.Errorf("%s has %d old lines", path, strings.Count(text, "old\n"))
	}
}
