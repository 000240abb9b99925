package proxy

import (
	"reflect"
	"strings"
	"testing"
)

// TestProspect tells what an account would take before anything is written.
func TestProspect(t *testing.T) {
	r := newRig(t, rigOptions{})
	for name, c := range map[string]struct {
		account Account
		want    Prospect // without what Registration and Choices have
		err     string
	}{
		"its own domain":   {account: Account{Address: "new@corp.test"}, want: Prospect{Provider: "corp", Name: "Corp Mail", Device: true}},
		"there already":    {account: Account{Address: "ME@corp.test"}, want: Prospect{Provider: "corp", Name: "Corp Mail", Device: true, There: true}},
		"not registered":   {account: Account{Address: "me@gmail.com"}, want: Prospect{Provider: "google", Name: "Google", NoClientID: true}},
		"registered":       {account: Account{Address: "me@gmail.com", ClientID: "mine"}, want: Prospect{Provider: "google", Name: "Google"}},
		"by a code":        {account: Account{Address: "me@hotmail.com", ClientID: "mine"}, want: Prospect{Provider: "outlook", Name: "Outlook.com", Device: true}},
		"no OAuth":         {account: Account{Address: "me@icloud.com"}, err: "app-specific password"},
		"chosen, no OAuth": {account: Account{Address: "me@x.invalid", Provider: "icloud"}, err: "app-specific password"},
		"no address":       {account: Account{Address: "me"}, err: "is not a mail address"},
		"none, chosen":     {account: Account{Address: "me", Provider: "google"}, err: "is not a mail address"},
		"no such provider": {account: Account{Address: "me@x.invalid", Provider: "googel"}, err: `did you mean "google"?`},
	} {
		got, err := r.server.Prospect(t.Context(), c.account)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v; want %q", name, err, c.err)
			}
			continue
		}
		if len(got.Registration.Steps) == 0 {
			t.Errorf("%s: nothing about the registration", name)
		}
		got.Registration = Registration{}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	for _, p := range (Config{}).Catalogue() {
		if p.NoOAuth != "" && len(p.Domains) > 0 {
			_, err := r.server.Prospect(t.Context(), Account{Address: "me@" + strings.TrimPrefix(p.Domains[0], "*.")})
			if err == nil || !strings.Contains(err.Error(), p.NoOAuth) {
				t.Errorf("%s: %v; want what to do instead", p.ID, err)
			}
		}
	}
	if n := len(r.server.Accounts()); n != 1 {
		t.Errorf("%d accounts after looking alone", n)
	}
	got, err := r.server.Prospect(t.Context(), Account{Address: "me@nobody.invalid"})
	if err != nil || got.Provider != "" || !strings.Contains(got.Unknown, "--provider: corp, google, ") ||
		len(got.Choices) < 10 || got.Choices[0] != (Choice{"corp", "Corp Mail"}) {
		t.Errorf("nobody's: %+v, %v", got, err)
	}
	for _, c := range got.Choices {
		if c.ID == "icloud" {
			t.Error("a provider without OAuth is among the choices")
		}
	}
}

// TestRegistrations are there for each provider that takes OAuth, name what has
// to be entered, and are in the documentation.
func TestRegistrations(t *testing.T) {
	docs := readText(t, "../docs/providers.md")
	for _, p := range (Config{}).Catalogue() {
		own, ok := registrations[p.ID]
		if ok != (p.NoOAuth == "") {
			t.Errorf("%s: a registration of its own: %t", p.ID, ok)
		}
		if !strings.Contains(docs, p.Name) {
			t.Errorf("docs/providers.md does not name %s", p.Name)
		}
		if p.NoOAuth != "" {
			continue
		}
		r := p.Registration()
		if !reflect.DeepEqual(r, own) {
			t.Errorf("%s: %+v", p.ID, r)
		}
		if (r.Closed == "") != (len(r.Steps) > 0) {
			t.Errorf("%s: %d steps, closed %q", p.ID, len(r.Steps), r.Closed)
		}
		text := strings.Join(r.Steps, " ")
		if host, _, _ := strings.Cut(strings.TrimPrefix(r.Page, "https://"), "/"); !strings.Contains(text, host) {
			t.Errorf("%s: the page %s is not what the steps are about", p.ID, r.Page)
		}
		if r.Closed == "" && p.ID != "google" && !strings.Contains(text, "http://"+p.RedirectHost) {
			t.Errorf("%s: the redirect of the catalogue, http://%s, is not in %q", p.ID, p.RedirectHost, text)
		}
		if r.Secret != "none" && r.Secret != "needed" && r.Secret != "maybe" {
			t.Errorf("%s: secret %q", p.ID, r.Secret)
		}
	}
	own := Config{Providers: []Provider{
		{ID: "gmail", ClientID: "x"},
		{ID: "corp", Name: "Corp", Scopes: []string{"a", "b"}, RedirectHost: "localhost", RedirectPath: "/back"},
		{ID: "app", Name: "App", Grant: "client_credentials"}, {ID: "key", Name: "Key", Grant: "jwt_bearer"},
	}}.Catalogue()
	for i, want := range []string{"console.cloud.google.com", "http://localhost/back on any port, for the scope a b", "a program with a secret", "a service account"} {
		if text := strings.Join(own[i].Registration().Steps, " "); !strings.Contains(text, want) {
			t.Errorf("%s: %q; want %q in it", own[i].ID, text, want)
		}
	}
}

func TestParseClients(t *testing.T) {
	got, err := parseClients(" google=1-x.apps.example:GOCSPX-a_b  microsoft=11-22 ")
	want := map[string]registered{"google": {"1-x.apps.example", "GOCSPX-a_b"}, "microsoft": {"11-22", ""}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := parseClients(""); err != nil || len(got) != 0 {
		t.Errorf("nothing: %+v, %v", got, err)
	}
	for _, bad := range []string{"google", "=x", "google=", "google=:geheim", "google = x"} {
		if _, err := parseClients(bad); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
