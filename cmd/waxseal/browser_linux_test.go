package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestAddWithoutABrowser: if no browser opens, the page's address, the way to it from another
// computer and the code are offered at once, and each of them works. The exit code of xdg-open was
// once ignored.
func TestAddWithoutABrowser(t *testing.T) {
	t.Parallel()
	approve := map[string]func(t *testing.T, s *seat, p *providertest.Provider, page string){
		"code": func(t *testing.T, s *seat, p *providertest.Provider, _ string) {
			if err := p.ApproveDevice(s.sees(`\|   (\S+)   \|`), "me@corp.example"); err != nil {
				t.Fatal(err)
			}
		},
		"pasted": func(t *testing.T, s *seat, _ *providertest.Provider, page string) {
			s.sees(`Waiting for your approval`)
			s.types(callback(t, page))
		},
		"page": func(t *testing.T, s *seat, _ *providertest.Provider, page string) {
			res, err := http.Get(page + "&auto=1")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
		},
	}
	for name, tc := range map[string]struct{ opener, says, approve string }{
		"fails":       {"exit 3", `the browser could not be opened: xdg-open failed: exit status 3\n`, "code"},
		"fails, page": {"exit 4", `the browser could not be opened: xdg-open failed: exit status 4\n`, "page"},
		"hangs":       {"exec /bin/sleep 10", `If no browser has opened by now:`, "code"},
		"missing":     {"", `no browser can be opened here: xdg-open is missing`, "pasted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, dir := terminalProvider(t, providertest.Options{ClientID: "waxseal"}, true)
			bin := t.TempDir()
			if tc.opener != "" {
				if err := os.WriteFile(filepath.Join(bin, "xdg-open"), []byte("#!/bin/sh\n"+tc.opener+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			s := sitWith(t, dir, []string{"PATH=" + bin, "DISPLAY=:0"}, "account", "add", "me@corp.example")
			if tc.opener == "" {
				s.sees(tc.says)
			}
			page := s.sees(`\n  (http://\S+)\n`)
			if tc.opener != "" {
				s.sees(tc.says)
			}
			s.sees(`ssh -L \d+:127\.0\.0\.1:\d+ `)
			s.sees(`paste the address of that page here`)
			approve[tc.approve](t, s, p, page)
			s.sees(`me@corp\.example is ready`)
			if screen := s.ends(0); strings.Contains(screen, "WARN") || strings.Contains(screen, "FAIL") {
				t.Error("the way that was not taken is reported as a failure")
			}
		})
	}
}

// TestAddWithoutACode: if the provider gives no code, its page still works.
func TestAddWithoutACode(t *testing.T) {
	t.Parallel()
	p, dir := terminalProvider(t, providertest.Options{ClientID: "waxseal"}, true)
	config := filepath.Join(dir, "config.toml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, bytes.Replace(text, []byte(p.DeviceURL()), []byte(p.URL+"/nowhere"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	s := sit(t, dir, "account", "add", "me@corp.example")
	page := s.sees(`\n  (http://\S+)\n`)
	s.sees(`a sign-in with a code is not possible now: .*; use the page above\n`)
	s.types(callback(t, page))
	s.sees(`me@corp\.example is ready`)
	s.ends(0)
}

// TestAddWithBrowserVariable: without a display, the program that $BROWSER names opens the page, which
// an editor on another computer relies on. One that fails is followed by the next one, and a pasted
// address that a terminal broke into lines is whole again.
func TestAddWithBrowserVariable(t *testing.T) {
	t.Parallel()
	_, dir := terminalProvider(t, providertest.Options{ClientID: "waxseal"}, true)
	bin := t.TempDir()
	for name, script := range map[string]string{"broken": "exit 1", "helper": `echo "$2" > "$0.page"`} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := sitWith(t, dir, []string{"PATH=" + bin, "BROWSER=missing:broken:helper --new %s &"}, "account", "add", "me@corp.example")
	s.sees(`Approve in the browser that opens now`)
	page := s.sees(`\n  (http://\S+)\n`)
	s.sees(`paste the address of that page here`)
	address := callback(t, page)
	s.types(address[:len(address)/2] + "\n" + address[len(address)/2:])
	s.sees(`me@corp\.example is ready`)
	s.ends(0)
	opened, err := os.ReadFile(filepath.Join(bin, "helper.page"))
	if err != nil || strings.TrimSpace(string(opened)) != page {
		t.Errorf("opened %s, %v; want %s", opened, err, page)
	}
}

func TestBrowsersOf(t *testing.T) {
	spaced := filepath.Join(t.TempDir(), "fire fox")
	if err := os.WriteFile(spaced, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for list, want := range map[string]string{
		"":                          "",
		":":                         "",
		"firefox":                   "firefox|P",
		"firefox:chromium":          "firefox|P; chromium|P",
		"firefox -new-tab %s":       "firefox|-new-tab|P",
		`firefox -new-tab "%s" &`:   "firefox|-new-tab|P",
		"chromium --app=%s":         "chromium|--app=P",
		"lynx --at=100%%:w3m %s -x": "lynx|--at=100%%|P; w3m|P|-x",
		spaced:                      spaced + "|P",
	} {
		var got []string
		for _, c := range browsersOf(list, "P") {
			got = append(got, strings.Join(c, "|"))
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
}
