package ui

import (
	"context"
	"errors"
	"testing"

	"fyne.io/fyne/v2/test"

	"github.com/waxseal/waxseal/proxy/api"
)

func TestErrands(t *testing.T) {
	english(t)
	again := errand{label: "Sign in again", page: Page{Name: "add", Account: "me@x.example"}}
	renew := errand{label: "Make a new password", page: Page{Name: "setup", Account: "me@x.example"}, renew: true}
	for in, want := range map[string]struct {
		rest string
		e    errand
	}{
		"":                                  {},
		"the keychain is locked; unlock it": {rest: "the keychain is locked; unlock it"},
		"start it with `waxseal serve`":     {rest: "start it with `waxseal serve`"},
		"hand them over with \"waxseal account import\"":                                                       {rest: "hand them over with \"waxseal account import\""},
		"sign in again with `waxseal account reauthorize me@x.example`: the grant expired":                     {"The grant expired.", again},
		"token for me@x.example: sign in again with `waxseal account reauthorize me@x.example`: invalid_grant": {"Token for me@x.example: invalid_grant.", again},
		"me@x.example is there already; `waxseal account reauthorize me@x.example` signs in again":             {"me@x.example is there already.", again},
		"Sign in again with `waxseal account reauthorize me@x.example`.":                                       {"", again},
		"`waxseal account password me@x.example --new` makes one":                                              {"", renew},
		"There is no local password for me@x.example: make one with `waxseal account password me@x.example --new`": {
			"There is no local password for me@x.example.", renew},
		"me@x.example has no local password; `waxseal account password me@x.example --new` makes one: not found": {
			"me@x.example has no local password; not found.", renew},
		"Wrong user name or local password; `waxseal account password ADDRESS` shows the right ones": {
			"Wrong user name or local password.", errand{label: "Overview", page: Page{Name: "overview"}}},
		"`waxseal account password me@x.example` shows it": {"", errand{label: "Show the settings", page: Page{Name: "setup", Account: "me@x.example"}}},
		"there is no account yet; `waxseal account add ADDRESS` adds one": {
			"There is no account yet.", errand{label: "Add account", page: Page{Name: "add"}}},
		"account a@b is not in c.toml; \"waxseal account list\" shows those that are": {
			"Account a@b is not in c.toml.", errand{label: "Overview", page: Page{Name: "overview"}}},
		"`waxseal doctor` looks again when that is done; the account is kept": {
			"The account is kept.", errand{label: "Check everything", page: Page{Name: "check"}}},
	} {
		if rest, e := errandIn(in); rest != want.rest || e != want.e {
			t.Errorf("%q became %q, %+v; want %q, %+v", in, rest, e, want.rest, want.e)
		}
	}
	for in, want := range map[string]string{
		"Unlock it.": "Unlock it.",
		"Wrong; `waxseal account reauthorize me@x.example` signs in again": "Wrong. Sign in again.",
		"`waxseal account add ADDRESS` adds one":                           "Add account.",
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
}

// A missing password is said without a command, and made with a click.
func TestErrandMakesAPassword(t *testing.T) {
	b := busyOffice()
	s := newStage(t, b, staging{})
	s.shows()
	b.err = errors.New("ada@corp.example has no local password; `waxseal account password ada@corp.example --new` makes one")
	s.w.show(Page{Name: "setup", Account: "ada@corp.example"})
	p := s.w.pages["setup"].(*setup)
	s.until("it says so", func() bool { return p.notice.Visible() })
	if p.notice.words.Text != "ada@corp.example has no local password." || p.notice.act.Text != "Make a new password" {
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

// What a check says of a command becomes a button that does it.
func TestErrandOfACheck(t *testing.T) {
	b := busyOffice()
	b.checks = []api.Check{{Name: "token of ada@corp.example", Result: "sign in again with `waxseal account reauthorize ada@corp.example`: invalid_grant"}}
	b.consent = func(context.Context) (bool, error) { return true, nil }
	s := (story{page: Page{Name: "check"}, backend: func() *fake { return b }}).stage(t, staging{})
	p := s.w.pages["check"].(*checkPage)
	p.begin()
	s.until("all is checked", func() bool { return p.verdict.Visible() })
	test.Tap(p.checks.acts[0])
	s.until("it is signed in again", func() bool { return b.called("authorize ada@corp.example") })
}
