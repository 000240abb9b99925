package proxy

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/providertest"
	"github.com/waxseal/waxseal/proxy/signin"
)

// pageOfNew begins a sign-in that adds an account, leaves as soon as there is a page, and gives that.
func pageOfNew(t *testing.T, r *rig, address string, window bool) string {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var page string
	_, err := r.server.Authorize(ctx, api.ConsentRequest{Account: api.Account{Address: address}, New: true, Window: window}, func(p api.Prompt) error {
		if page = p.URL; page != "" {
			leave()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || page == "" {
		t.Fatalf("shown %q, %v", page, err)
	}
	return page
}

// A sign-in ended when the window was closed or showed another page, and the account was lost.
func TestSignInOutlivesItsWindow(t *testing.T) {
	r := newRig(t, rigOptions{})
	const address = "new@corp.test"
	approved := make(chan string, 1)
	r.server.OnApproved(func(a string) { approved <- a })
	page := pageOfNew(t, r, address, true)
	if r.server.hall.Mailbox(address) == nil {
		t.Fatal("the account is gone")
	}
	if _, err := r.provider.Approve(page, address); err != nil {
		t.Fatal(err)
	}
	if got := <-approved; got != address {
		t.Errorf("a window is to show %q", got)
	}
	if err := r.server.SendTest(t.Context(), address, "you@there.test", func(api.Check) {}); err != nil {
		t.Error(err)
	}
}

func TestCancelledSignInRemovesItsAccount(t *testing.T) {
	r := newRig(t, rigOptions{})
	const address = "new@corp.test"
	page := pageOfNew(t, r, address, false)
	joined := make(chan error, 1)
	go func() {
		_, err := r.server.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: "NEW@corp.test"}, New: true}, func(p api.Prompt) error {
			if p.URL == page {
				return r.server.CancelSignIn(t.Context(), address)
			}
			return nil
		})
		joined <- err
	}()
	if err := <-joined; !errors.Is(err, signin.ErrCancelled) {
		t.Errorf("it ended with %v", err)
	}
	if r.server.hall.Mailbox(address) != nil {
		t.Error("an account that nobody signed in to stays")
	}
	// The browser, which still shows the provider's page, is told.
	if _, err := r.provider.Approve(page, address); err != nil && !strings.Contains(err.Error(), "410") {
		t.Errorf("the browser: %v", err)
	}
}

// A stop in the middle of a sign-in leaves no account behind that nobody has approved.
func TestStopRemovesAnUnapprovedAccount(t *testing.T) {
	r := newRig(t, rigOptions{})
	pageOfNew(t, r, "new@corp.test", false)
	if err := r.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.server.hall.Mailbox("new@corp.test") != nil {
		t.Error("the account stays")
	}
}

// An account that was there stays, whatever becomes of a sign-in, and one that is not there is not
// added unless that was asked for.
func TestSignInAgainKeepsTheAccount(t *testing.T) {
	r := newRig(t, rigOptions{})
	for name, show := range map[string]func(api.Prompt) error{
		"cancelled": func(p api.Prompt) error { return r.server.CancelSignIn(t.Context(), me) },
		"declined": func(p api.Prompt) error {
			if p.URL == "" {
				return nil
			}
			_, err := r.provider.Deny(p.URL)
			return err
		},
	} {
		if consented, err := r.server.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: me}}, show); consented || err == nil {
			t.Errorf("%s: %t, %v", name, consented, err)
		}
	}
	if r.server.hall.Mailbox(me) == nil {
		t.Error("the account is gone")
	}
	if _, err := r.server.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: "nobody@corp.test"}}, nil); err == nil {
		t.Error("an account that does not exist is signed in to")
	}
}

// TestBrowserSaysWhatTheWindowSays: the browser said "Waxseal may now send" before that was known.
func TestBrowserSaysWhatTheWindowSays(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.provider.SetFaults(providertest.Faults{SMTP: at(providertest.StepAuth, providertest.Action{Code: 535, Text: "5.7.139 switched off"})})
	var failed api.Check
	var seen error
	_, err := r.server.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: me}}, func(p api.Prompt) error {
		switch {
		case p.URL != "":
			_, seen = r.provider.Approve(p.URL, me)
		case p.Check != nil && !p.Check.OK:
			failed = *p.Check
		}
		return nil
	})
	if err == nil || failed.Problem == nil || seen != nil {
		t.Fatal(err, failed, seen)
	}
	var p *api.Problem
	if !errors.As(err, &p) {
		t.Fatal(err)
	}
	if got := pageOf(err, failed).Error(); !strings.HasPrefix(got, p.What.String()) || !strings.Contains(got, failed.Problem.What.String()) {
		t.Errorf("the browser is shown %q", got)
	}
}

// A wrong registration is told before a browser opens, and fields can be corrected: nothing stays of it.
func TestRegistrationIsTriedFirst(t *testing.T) {
	r := newRig(t, rigOptions{provider: providertest.Options{ClientID: "waxseal-test", ClientSecret: "right"}})
	const address = "new@corp.test"
	for _, tt := range []struct {
		id, secret string
		want       oauth.Reason
	}{
		{"another-id", "", oauth.NotRegistered},
		{"", "wrong", oauth.Refused},
		{"", "right", ""},
	} {
		var failed *api.Check
		opened := false
		consented, err := r.server.Authorize(t.Context(), api.ConsentRequest{
			Account: api.Account{Address: address, ClientID: tt.id}, ClientSecret: tt.secret, New: true,
		}, func(p api.Prompt) error {
			if p.URL != "" {
				opened = true
				_, err := r.provider.Approve(p.URL, address)
				return err
			}
			if p.Check != nil && !p.Check.OK {
				failed = p.Check
			}
			return nil
		})
		if tt.want == "" {
			if !consented || err != nil {
				t.Errorf("the right one: %t, %v", consented, err)
			}
			continue
		}
		if opened || consented || oauth.ReasonOf(err) != tt.want || r.server.hall.Mailbox(address) != nil {
			t.Errorf("%s %s: opened %t, %v", tt.id, tt.secret, opened, err)
		}
		if failed == nil || failed.Name != api.CheckRegistration || failed.Problem.Cure.IsZero() || failed.Problem.Do != "" {
			t.Errorf("it is told %+v", failed)
		}
	}
}
