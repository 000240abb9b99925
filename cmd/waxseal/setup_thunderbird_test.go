//go:build linux && clients

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/e2e/marionette"
)

// TestSetupRealThunderbird: a Thunderbird that has been used is set up by command, then reads and sends
// through Waxseal; after --undo it has the servers that it had before.
func TestSetupRealThunderbird(t *testing.T) {
	findTool(t, "thunderbird", "thunderbird")
	display := startScreen(t)
	s := startSetUp(t)
	s.provider.Deliver(sender, []byte(crlf(header+"Read me!\n")))
	folder := filepath.Join(s.home, ".thunderbird")
	profile := filepath.Join(folder, "me.default")
	if err := os.MkdirAll(profile, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(folder, "profiles.ini"), "[Profile0]\nName=me\nIsRelative=1\nPath=me.default\nDefault=1\n")
	marionette.WriteProfile(t, profile, "")
	writeFile(t, filepath.Join(profile, "prefs.js"), `user_pref("mail.accountmanager.accounts", "account1");
user_pref("mail.accountmanager.localfoldersserver", "server1");
user_pref("mail.account.account1.server", "server1");
user_pref("mail.server.server1.type", "none");
user_pref("mail.server.server1.hostname", "Local Folders");
user_pref("mail.server.server1.userName", "nobody");
`)
	script, err := os.ReadFile("testdata/clients/thunderbird-setup.js")
	if err != nil {
		t.Fatal(err)
	}
	start := func() *thunderbird {
		os.Remove(filepath.Join(profile, "MarionetteActivePort"))
		runOnScreen(t, exec.Command("thunderbird", "--profile", profile, "--no-remote", "--marionette", "--remote-allow-system-access"), s.home, display)
		return &thunderbird{Thunderbird: marionette.Connect(t, profile), t: t}
	}
	does := func(b *thunderbird, args ...any) (all []string) {
		t.Helper()
		b.Script(string(script), &all, args...)
		return all
	}
	const set = "waxseal setup thunderbird " + sender
	closed := func(args string) { // Thunderbird gives up its profile some time after it was told to quit
		t.Helper()
		waitFor(t, "Thunderbird's end", func() string {
			out, err := s.run("", set+args)
			if err != nil && !strings.Contains(out, "close Thunderbird") {
				t.Fatalf("%s: %v\n%s", args, err, out)
			}
			if err != nil {
				return ""
			}
			return "done"
		})
	}

	b := start()
	before := does(b, "servers")
	for _, origin := range []string{"imap://127.0.0.1", "smtp://127.0.0.1"} {
		if failed := does(b, "remember", origin, sender, localPassword); len(failed) > 0 {
			t.Fatal(failed)
		}
	}
	if out, err := s.run("", set+" --write"); err == nil || !strings.Contains(out, "close Thunderbird") {
		t.Errorf("while Thunderbird runs: %v\n%s", err, out)
	}
	b.Quit()
	closed(" --write")
	written := readFile(t, filepath.Join(profile, "prefs.js"))

	b = start()
	if got := does(b, "read", sender); !slices.Equal(got, []string{"From a real client"}) {
		t.Errorf("it shows %q", got)
	}
	b.e.to, b.e.password = "you@else.example", localPassword
	if sent, said := b.send(false, ""); !sent {
		t.Errorf("it has not sent: %s", said)
	} else if all := s.provider.Messages(); len(all) != 1 || all[0].From != sender || all[0].Rcpts[0].To != "you@else.example" {
		t.Errorf("what arrived is %+v", all)
	}
	if got := does(b, "servers"); len(got) != len(before)+2 {
		t.Errorf("it has the servers %q, and had %q", got, before)
	}
	b.Quit()
	closed(" --undo")
	if readFile(t, filepath.Join(profile, "prefs.js")) == written {
		t.Error("Thunderbird has written nothing; this test shows little")
	}

	b = start()
	if after := does(b, "servers"); !slices.Equal(after, before) {
		t.Errorf("after --undo it has the servers %q, and had %q", after, before)
	}
	for line := range strings.Lines(readFile(t, filepath.Join(profile, "prefs.js"))) {
		if strings.Contains(line, sender) {
			t.Errorf("left after --undo: %s", line)
		}
	}
	b.Quit()
}
