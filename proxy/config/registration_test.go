package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
)

// TestRegistrations are there for each provider that takes OAuth, name what has
// to be entered, and are in the documentation.
func TestRegistrations(t *testing.T) {
	docs := readText(t, "../../docs/providers.md")
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
		if r.Closed.IsZero() != (len(r.Steps) > 0) {
			t.Errorf("%s: %d steps, closed %q", p.ID, len(r.Steps), r.Closed.String())
		}
		text := stepsOf(r)
		if host, _, _ := strings.Cut(strings.TrimPrefix(r.Page, "https://"), "/"); !strings.Contains(text, host) {
			t.Errorf("%s: the page %s is not what the steps are about", p.ID, r.Page)
		}
		if r.Closed.IsZero() && p.ID != "google" && !strings.Contains(text, "http://"+p.RedirectHost) {
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
	for i, want := range []string{"console.cloud.google.com", "http://localhost/back on any port, for the scope a b", "that has a secret", "a service account"} {
		if text := stepsOf(own[i].Registration()); !strings.Contains(text, want) {
			t.Errorf("%s: %q; want %q in it", own[i].ID, text, want)
		}
	}
}

// stepsOf is how to register, in English.
func stepsOf(r api.Registration) (text string) {
	for _, step := range r.Steps {
		text += step.String() + " "
	}
	return text
}

func TestParseClients(t *testing.T) {
	got, err := parseClients(" google=1-x.apps.example:GOCSPX-a_b  microsoft=11-22 ")
	want := map[string]builtClient{"google": {"1-x.apps.example", "GOCSPX-a_b"}, "microsoft": {"11-22", ""}}
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
