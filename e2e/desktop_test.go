//go:build e2e && linux

package e2e

import (
	"os"
	"testing"

	"github.com/waxseal/waxseal/ui/tray/traytest"
)

// Everything as a user does it: from the menu to an account, a message, and quitting.
func TestDesktop(t *testing.T) {
	t.Parallel()
	const dee, to = "dee@mail.test", "desktop@else.test"
	s := newScreen(t)
	program, item, client := s.open()
	traytest.Until(t, "the menu says that there are no accounts", func() bool { return item.Has("No accounts yet") })

	item.Click("Add account…")
	window := s.window("waxseal")
	page := s.enter(client, window, dee)
	p := newPerson(t)
	p.open(page)
	p.approve(dee)
	p.reads("Waxseal can now send mail for " + dee)
	traytest.Until(t, "the menu has the account", func() bool { return item.Has(dee + " · ready") })

	settings, err := client.MailSettings(t.Context(), dee, false)
	if err != nil {
		t.Fatal(err)
	}
	calm := s.turn(client, window, "overview")
	mail, rest := s.msmtp(client, dee, settings.Password, to)
	traytest.Until(t, "the menu shows the message in progress", func() bool {
		return item.Has("1 account · 1 connection · 1 message") && item.Has(dee+" · sending")
	})
	s.changes(window, "sending", calm)
	empty := s.turn(client, window, "activity")
	rest.Close()
	mail.ends(t, nil, 0)
	if got := peers.sink.received(t, to); got.from != dee {
		t.Errorf("the message came from %s", got.from)
	}
	traytest.Until(t, "the menu shows that it is sent", func() bool { return item.Has("1 account · 0 connections · 0 messages") })
	activity, err := client.Activity(t.Context(), 0)
	if err != nil || len(activity) != 1 || activity[0].Result != "sent" {
		t.Errorf("activity %+v, %v", activity, err)
	}
	s.changes(window, "sent", empty)
	s.picture("root", "end")

	item.Click("Quit")
	program.ends(t, nil, 0)
	s.noWindow("waxseal")
}

const prompter = "gcr-prompter" // shows GNOME Keyring's prompts

// unreadable reports whether the menu says that secrets cannot be read: while the prompt is open, or
// after it has been dismissed.
func unreadable(item *traytest.Item) bool {
	return item.Has("The keystore did not answer in time…") || item.Has("The keychain is locked…")
}

// A keychain that asks for its password does not disturb the tray: the icon comes back when the panel
// restarts, both while the prompt is open and after it has been dismissed.
func TestDesktopAfterPrompt(t *testing.T) {
	t.Parallel()
	const flo, to = "flo@mail.test", "prompted@else.test"
	if _, err := os.Stat("/usr/share/dbus-1/services/org.gnome.keyring.SystemPrompter.service"); err != nil {
		t.Skip("NOT TESTED: the tray together with GNOME's unlock prompt: gcr is not installed")
	}
	s := newScreen(t)
	s.add(flo)
	password := s.password(flo)
	s.lock()
	program, item, client := s.open()
	mail, rest := s.msmtp(client, flo, password, to)
	rest.Close()
	s.window(prompter)
	traytest.Until(t, "the menu says that the keychain cannot be read", func() bool { return unreadable(item) })
	if code, err := mail.end(nil); err != nil || code == 0 {
		t.Errorf("the message without a keychain: %d, %v", code, err)
	}
	s.picture("root", "prompt")

	item = s.newPanel()
	s.window(prompter)
	s.pauses(item, client)
	s.dismiss()
	item = s.newPanel()
	s.pauses(item, client)
	if !unreadable(item) {
		t.Errorf("the menu is %q", item.Menu())
	}

	s.unlock()
	mail, rest = s.msmtp(client, flo, password, to)
	rest.Close()
	mail.ends(t, nil, 0)
	peers.sink.received(t, to)
	traytest.Until(t, "the menu shows no problem", func() bool { return !unreadable(item) && item.Has(flo+" · ready") })
	item.Click("Quit")
	program.ends(t, nil, 0)
}
