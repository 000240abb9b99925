package ui

import (
	"context"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"github.com/waxseal/waxseal/proxy/api"
)

// renewing is an office with an account whose client secret has expired.
func renewing() *fake {
	b := busyOffice()
	ail(b, 1, secretExpired("ada.lovelace@gmail.com"))
	b.prospects[0].There = true
	b.consent = func(context.Context) (bool, error) { return true, nil }
	return b
}

// From the account's trouble a new client secret is two clicks away, and leads to the
// sign-in.
func TestNewClientSecret(t *testing.T) {
	const who = "ada.lovelace@gmail.com"
	b := renewing()
	s := newStage(t, b, staging{})
	s.shows()
	s.w.show(Page{Name: "setup", Account: who})
	test.Tap(s.w.pages["setup"].(*setup).trouble.act)
	p := s.w.pages["register"].(*renewal)
	s.until("the steps are there", func() bool { return p.all.Visible() })
	if s.w.name != "register" || len(p.how.Objects) != len(google().Registration.Steps) {
		t.Fatalf("%s shows %d steps", s.w.name, len(p.how.Objects))
	}
	if p.trouble.words.Text == "" || p.trouble.act.Visible() || !p.next.Disabled() {
		t.Errorf("says %q; a button leads here again: %t; without a secret one can go on: %t", p.trouble.words.Text, p.trouble.act.Visible(), !p.next.Disabled())
	}
	test.Type(p.secret, " new-secret\n")
	test.Tap(p.next)
	s.until("it is signed in", func() bool { return b.called("authorize " + who) })
	if !b.called("client of " + who + "  new-secret") {
		t.Errorf("asked %q", b.calls())
	}
	if p.secret.Text != "" {
		t.Error("the secret stays in the field")
	}
}

// A secret that cannot be stored is not lost.
func TestNewClientSecretFails(t *testing.T) {
	const who = "ada.lovelace@gmail.com"
	b := renewing()
	s := newStage(t, b, staging{})
	s.shows()
	s.w.show(Page{Name: "register", Account: who})
	p := s.w.pages["register"].(*renewal)
	s.until("the steps are there", func() bool { return p.all.Visible() })
	test.Type(p.secret, "new-secret")
	b.mu.Lock()
	b.err = keychainLocked()
	b.mu.Unlock()
	test.Tap(p.next)
	s.until("it says why", func() bool { return p.notice.Visible() })
	if p.notice.words.Text != "The keychain is locked." || p.secret.Text != "new-secret" || p.next.Disabled() {
		t.Errorf("says %q, keeps %q", p.notice.words.Text, p.secret.Text)
	}
}

// A public client has no secret to enter: it is signed in again.
func TestRegistrationWithoutSecret(t *testing.T) {
	b := busyOffice()
	ail(b, 0, problem(api.RegistrationRefused, "ada@corp.example", "5.7.8", "The program's registration is disabled.", "", "Ask whoever registered the program to enable it."))
	b.consent = func(context.Context) (bool, error) { return true, nil }
	s := newStage(t, b, staging{})
	s.shows()
	s.w.show(Page{Name: "register", Account: "ada@corp.example"})
	p := s.w.pages["register"].(*renewal)
	s.until("the steps are there", func() bool { return p.all.Visible() })
	if p.field.Visible() || p.next.Text != "Sign in again" {
		t.Errorf("asks for a secret: %t, offers %q", p.field.Visible(), p.next.Text)
	}
	test.Tap(p.next)
	s.until("it is signed in", func() bool { return b.called("authorize ada@corp.example") })
	for _, c := range b.calls() {
		if strings.HasPrefix(c, "client of") {
			t.Errorf("asked %q", c)
		}
	}
}

// Another client ID, as after the registration was deleted, and the way there from the settings.
func TestAnotherClientID(t *testing.T) {
	const who = "ada.lovelace@gmail.com"
	b := renewing()
	s := newStage(t, b, staging{})
	s.shows()
	s.w.show(Page{Name: "settings"})
	r := s.w.pages["settings"].(*settings).registrations
	if len(r.shown) != 2 || r.shown[1].first != who {
		t.Fatalf("the registrations are %+v", r.shown)
	}
	buttons := r.list.Objects[1].(*fyne.Container).Objects
	test.Tap(buttons[3].(*fyne.Container).Objects[0].(*fyne.Container).Objects[0].(*button))
	p := s.w.pages["register"].(*renewal)
	s.until("the steps are there", func() bool { return p.all.Visible() })
	if s.w.name != "register" || p.id.Text != clientIDs["Google"] {
		t.Fatalf("%s shows the client ID %q", s.w.name, p.id.Text)
	}
	p.id.SetText("new-id")
	if !p.next.Disabled() {
		t.Error("one can go on without the new client's secret")
	}
	p.secret.SetText("new-secret")
	test.Tap(p.next)
	s.until("it is signed in", func() bool { return b.called("authorize " + who) })
	if !b.called("client of " + who + " new-id new-secret") {
		t.Errorf("asked %q", b.calls())
	}
}

func TestRegistrationsOf(t *testing.T) {
	s := newStage(t, busyOffice(), staging{})
	s.shows()
	var accounts []api.AccountStatus
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		accounts = append(accounts, account(name+"@corp.example", "Microsoft 365"))
	}
	accounts = append(accounts, account("x@gmail.com", "Google"), account("y@elsewhere.example", "Elsewhere"))
	list := registrationsOf(accounts)
	if len(list) != 2 || list[0].accounts != "Used by a@corp.example, b@corp.example, c@corp.example and 2 more" || list[1].accounts != "Used by x@gmail.com" {
		t.Errorf("%+v", list)
	}
}
