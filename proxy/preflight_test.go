package proxy

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// TestPreflight checks what is needed for an account, before anything is written.
func TestPreflight(t *testing.T) {
	r := newRig(t, rigOptions{})
	for name, c := range map[string]struct {
		account api.Account
		want    api.Preflight // without Registration, PageErrors and Choices
		err     string
	}{
		"its own domain":   {account: api.Account{Address: "new@corp.test"}, want: api.Preflight{Provider: "corp", Name: "Corp Mail", ClientID: "waxseal-test", Device: true}},
		"there already":    {account: api.Account{Address: "ME@corp.test"}, want: api.Preflight{Provider: "corp", Name: "Corp Mail", ClientID: "waxseal-test", Device: true, There: true}},
		"not registered":   {account: api.Account{Address: "me@gmail.com"}, want: api.Preflight{Provider: "google", Name: "Google", NoClientID: true}},
		"registered":       {account: api.Account{Address: "me@gmail.com", ClientID: "mine"}, want: api.Preflight{Provider: "google", Name: "Google", ClientID: "mine"}},
		"by a code":        {account: api.Account{Address: "me@hotmail.com", ClientID: "mine"}, want: api.Preflight{Provider: "outlook", Name: "Outlook.com", ClientID: "mine", Device: true}},
		"no OAuth":         {account: api.Account{Address: "me@icloud.com"}, err: "app-specific password"},
		"chosen, no OAuth": {account: api.Account{Address: "me@x.invalid", Provider: "icloud"}, err: "app-specific password"},
		"no address":       {account: api.Account{Address: "me"}, err: "is not an email address"},
		"none, chosen":     {account: api.Account{Address: "me", Provider: "google"}, err: "is not an email address"},
		"no such provider": {account: api.Account{Address: "me@x.invalid", Provider: "googel"}, err: `did you mean "google"?`},
	} {
		got, err := r.server.Preflight(t.Context(), c.account)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v; want %q", name, err, c.err)
			}
			continue
		}
		if len(got.Registration.Steps) == 0 {
			t.Errorf("%s: nothing about the registration", name)
		}
		if len(got.PageErrors) == 0 {
			t.Errorf("%s: nothing about what the page may say", name)
		}
		if !got.Offers(api.IMAP) || got.ReadingScopes != (got.Provider == "outlook") {
			t.Errorf("%s: reading: %v, %t", name, got.Protocols, got.ReadingScopes)
		}
		got.Registration, got.PageErrors, got.Protocols, got.ReadingScopes = api.Registration{}, nil, nil, false
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	for _, p := range (config.Config{}).Catalogue() {
		if p.NoOAuth != "" && len(p.Domains) > 0 {
			_, err := r.server.Preflight(t.Context(), api.Account{Address: "me@" + strings.TrimPrefix(p.Domains[0], "*.")})
			if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(strings.TrimSuffix(p.NoOAuth, "."))) {
				t.Errorf("%s: %v; want what to do instead", p.ID, err)
			}
		}
	}
	if n := len(r.server.Accounts()); n != 1 {
		t.Errorf("%d accounts after Preflight alone, want 1", n)
	}
	got, err := r.server.Preflight(t.Context(), api.Account{Address: "me@nobody.invalid"})
	if err != nil || got.Provider != "" || got.Unknown == nil || !strings.Contains(got.Unknown.Error(), "nobody.invalid") ||
		len(got.Choices) < 10 || got.Choices[0] != (api.Choice{ID: "corp", Name: "Corp Mail"}) {
		t.Errorf("unknown provider: %+v, %v", got, err)
	}
	for _, c := range got.Choices {
		if c.ID == "icloud" {
			t.Error("a provider without OAuth is among the choices")
		}
	}
}

// TestPreflightTriesTheKeystore: a keystore that cannot be used is told before the work of
// registering and signing in.
func TestPreflightTriesTheKeystore(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.secrets.Fail(keystore.ErrNoKeyring)
	_, err := r.server.Preflight(t.Context(), api.Account{Address: "new@corp.test", Provider: "corp"})
	problem, ok := errors.AsType[*api.Problem](err)
	if !ok || problem.Do != api.MakeKeyring || problem.What.String() != "The keychain has no default keyring yet." {
		t.Errorf("got %v", err)
	}
	r.secrets.Fail(nil)
	if _, err := r.server.Preflight(t.Context(), api.Account{Address: "new@corp.test", Provider: "corp"}); err != nil {
		t.Error(err)
	}
}
