package config

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
)

// TestRegistrations: every provider with OAuth has one, its steps have one page each and all values
// to enter, and the documentation names the provider.
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
			t.Errorf("%s: %d steps, closed %q", p.ID, len(r.Steps), r.Closed)
		}
		if r.Closed.IsZero() && p.ID != "google" && !slices.ContainsFunc(r.Steps, func(s api.Step) bool { return strings.HasPrefix(s.Copy, "http://"+p.RedirectHost) }) {
			t.Errorf("%s: the redirect address of the catalogue, http://%s, cannot be copied", p.ID, p.RedirectHost)
		}
		for _, s := range r.Steps {
			u, err := url.Parse(s.Link)
			if text := s.Text.String(); text == "" || strings.Contains(text, "http") || s.Link != "" && (err != nil || u.Scheme != "https") {
				t.Errorf("%s: %+v", p.ID, s)
			}
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
	for i, want := range []string{"https://console.cloud.google.com/auth/clients", "http://localhost/back", "a program with a client secret at App", "a service account"} {
		if text := fmt.Sprint(own[i].Registration()); !strings.Contains(text, want) {
			t.Errorf("%s: %q; want %q in it", own[i].ID, text, want)
		}
	}
	if corp := own[1].Registration().Steps; corp[1].Copy != "a b" {
		t.Errorf("the scopes cannot be copied: %+v", corp)
	}
}

// TestAzureCommand: the JSON in it can be read, and it asks for what the catalogue asks for.
func TestAzureCommand(t *testing.T) {
	_, rest, _ := strings.Cut(azureCommand, "--required-resource-accesses '")
	text, _, _ := strings.Cut(rest, "'")
	var list []struct {
		ResourceAppID  string
		ResourceAccess []struct{ ID, Type string }
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 1 || len(list[0].ResourceAccess) != 4 || list[0].ResourceAccess[1].Type != "Scope" {
		t.Errorf("%s: %+v, %v", text, list, err)
	}
	if !strings.Contains(readText(t, "../../docs/providers.md"), "    "+azureCommand+"\n") {
		t.Error("docs/providers.md has another command")
	}
	if p, _ := Default().Provider("microsoft"); !strings.Contains(azureCommand, " http://"+p.RedirectHost+" ") || strings.Contains(azureCommand, "\n") {
		t.Errorf("the command: %s", azureCommand)
	}
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
