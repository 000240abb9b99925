package ui

import (
	"context"
	"testing"

	"fyne.io/fyne/v2/test"

	"github.com/waxseal/waxseal/proxy/api"
)

// Every action of the engine's has a button and a page that exists.
func TestErrands(t *testing.T) {
	english(t)
	const me = "me@x.example"
	want := map[api.Action]errand{
		api.SignIn:      {label: "Sign in again", page: Page{Name: "add", Account: me}},
		api.Register:    {label: "Change registration", page: Page{Name: "register", Account: me}},
		api.NewPassword: {label: "Create new password", page: Page{Name: "setup", Account: me}, renew: true},
		api.ShowSetup:   {label: "Show settings", page: Page{Name: "setup", Account: me}},
		api.Unlock:      {label: "Unlock keychain", unlock: true},
		api.MakeKeyring: {label: "Create keyring", unlock: true},
		api.RunChecks:   {label: "Run diagnostics", page: Page{Name: "check"}, run: true},
		api.AddAccount:  {label: "Add account", page: Page{Name: "add"}},
		api.ListAccount: {label: "Show accounts", page: Page{Name: "overview"}},
		api.OpenSetting: {label: "Open settings", page: Page{Name: "settings"}},
		api.ReadAgain:   {label: "Read file again", page: Page{Name: "check"}, reload: true},

		api.ShowActivity: {label: "Show activity", page: Page{Name: "activity"}},
	}
	for _, a := range api.Actions {
		if got := errandOf(a, me); got != want[a] {
			t.Errorf("%s became %+v, want %+v", a, got, want[a])
		}
	}
	if got := errandOf("", me); got != (errand{}) {
		t.Errorf("no action became %+v", got)
	}
}

// A missing password is said without a command, and made with a click.
func TestErrandMakesAPassword(t *testing.T) {
	b := busyOffice()
	s := newStage(t, b, staging{})
	s.shows()
	b.err = noPassword("ada@corp.example")
	s.w.show(Page{Name: "setup", Account: "ada@corp.example"})
	p := s.w.pages["setup"].(*setup)
	s.until("it says so", func() bool { return p.notice.Visible() })
	if p.notice.words.Text != "ada@corp.example has no local password." || p.notice.act.Text != "Create new password" {
		t.Fatalf("says %q, offers %q", p.notice.words.Text, p.notice.act.Text)
	}
	b.mu.Lock()
	b.err = nil
	b.mu.Unlock()
	test.Tap(p.notice.act)
	s.until("it is made", func() bool { return p.all.Visible() })
	if !b.called("new password of ada@corp.example") || p.notice.Visible() {
		t.Errorf("asked %q", b.calls())
	}
}

// The page once showed the same notice twice: the account's problem, and the error of
// asking for its settings.
func TestSetupSaysItOnce(t *testing.T) {
	b := busyOffice()
	ail(b, 0, noPassword("ada@corp.example"))
	s := newStage(t, b, staging{})
	s.shows()
	b.err = noPassword("ada@corp.example")
	s.w.show(Page{Name: "setup", Account: "ada@corp.example"})
	p := s.w.pages["setup"].(*setup)
	s.until("both are known", func() bool { return p.trouble.Visible() && p.notice.words.Text != "" })
	if p.notice.Visible() {
		t.Errorf("says twice: %s", p.notice.words.Text)
	}
}

// A check whose cure is a new sign-in has a button that begins one.
func TestErrandOfACheck(t *testing.T) {
	b := busyOffice()
	b.checks = []api.Check{*failed(api.CheckToken, "ada@corp.example", consentExpired("ada@corp.example"), 0).Check}
	b.consent = func(context.Context) (bool, error) { return true, nil }
	s := (story{page: Page{Name: "check"}, backend: func() *fake { return b }}).stage(t, staging{})
	p := s.w.pages["check"].(*checkPage)
	p.begin()
	s.until("all is checked", func() bool { return p.verdict.Visible() })
	test.Tap(p.checks.acts[0])
	s.until("it is signed in again", func() bool { return b.called("authorize ada@corp.example") })
}

// The keychain's button has the keychain ask at once, and says why it is still locked until it
// is not.
func TestErrandUnlocks(t *testing.T) {
	b := busyOffice()
	ail(b, 0, keychainLocked())
	s := newStage(t, b, staging{})
	s.shows()
	s.w.show(Page{Name: "setup", Account: "ada@corp.example"})
	p := s.w.pages["setup"].(*setup)
	if p.trouble.act.Text != "Unlock keychain" {
		t.Fatalf("offers %q", p.trouble.act.Text)
	}
	test.Tap(p.trouble.act)
	s.until("the keychain asks", func() bool { return b.called("unlock") })
	b.locked = keychainLocked()
	b.snapshot.Keystore.Problem = keychainLocked()
	s.shows()
	banners := s.w.frame.banners
	if banners.keystore.act.Text != "Unlock keychain" {
		t.Errorf("the banner offers %q", banners.keystore.act.Text)
	}
	test.Tap(banners.keystore.act)
	s.until("it says why not", func() bool { return banners.failed.Visible() })
	b.snapshot.Keystore.Problem = nil
	s.shows()
	if banners.failed.Visible() || banners.keystore.Visible() {
		t.Error("the banners stay after the keychain is unlocked")
	}
}
