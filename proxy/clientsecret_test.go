package proxy

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// An account's own secret was kept after the account was removed, and was used instead of the
// right one when the account was added again.
func TestASecretGoesWithItsAccount(t *testing.T) {
	r := newRig(t, rigOptions{noAccount: true})
	put := func(who, client, secret string) {
		t.Helper()
		data, err := json.Marshal([]map[string]string{{"email": who + "@corp.test", "provider": "corp", "client_id": client,
			"refresh_token": r.provider.Grant(who + "@corp.test"), "client_secret": secret}})
		if err != nil {
			t.Fatal(err)
		}
		if report, err := r.server.Import(t.Context(), data); err != nil || report.Imported != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
	}
	own := func() bool {
		_, err := r.secrets.Get(t.Context(), oauth.OwnClientKey(r.provider.TokenURL(), "waxseal-test", "b@corp.test"))
		return err == nil
	}
	before, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	put("a", "waxseal-test", "right")
	put("b", "waxseal-test", "wrong")
	if !own() {
		t.Fatal("the account has no secret of its own")
	}
	put("b", "another", "right")
	if own() {
		t.Error("the secret is kept when the account changes its registration")
	}
	put("b", "waxseal-test", "wrong")
	if err := os.WriteFile(r.config, before, 0o600); err != nil { // both accounts are removed by hand
		t.Fatal(err)
	}
	if _, err := r.server.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	put("b", "waxseal-test", "right")
	if own() {
		t.Error("the secret is kept when the account is added again with the right one")
	}
}

// One account's mistyped client secret replaced that of all accounts with the same client ID,
// and it was sent to any host.
func TestASecretHurtsNoOtherAccount(t *testing.T) {
	r := newRig(t, rigOptions{noAccount: true, provider: providertest.Options{ClientID: "waxseal-test", ClientSecret: "right"}})
	url := r.provider.TokenURL()
	elsewhere := strings.Replace(url, "127.0.0.1", "localhost", 1)
	if elsewhere == url {
		elsewhere = strings.Replace(url, "localhost", "127.0.0.1", 1)
	}
	kept := func() map[string]string {
		all := map[string]string{}
		for _, u := range []string{url, elsewhere} {
			for _, who := range []string{"", "a", "b", "c", "d"} {
				key, name := oauth.ClientKey(u, "waxseal-test"), who
				if who != "" {
					key = oauth.OwnClientKey(u, "waxseal-test", who+"@corp.test")
				}
				if u == elsewhere {
					name += " elsewhere"
				}
				if secret, err := r.secrets.Get(t.Context(), key); err == nil {
					all[name] = secret
				}
			}
		}
		return all
	}
	tokens := map[string]string{}
	for _, who := range []string{"a", "b", "c", "d"} {
		tokens[who] = r.provider.Grant(who + "@corp.test")
	}
	for _, step := range []struct {
		name    string
		secrets map[string]string // by account
		tokenAt string
		want    [2]int // imported, unchanged
		kept    map[string]string
	}{
		{"two the same, one different", map[string]string{"a": "right", "b": "right", "c": "wrong"}, "", [2]int{3, 0}, map[string]string{"": "right", "c": "wrong"}},
		{"the same again", map[string]string{"a": "right", "b": "right", "c": "wrong"}, "", [2]int{0, 3}, map[string]string{"": "right", "c": "wrong"}},
		{"one more", map[string]string{"d": "wrong"}, "", [2]int{1, 0}, map[string]string{"": "right", "c": "wrong", "d": "wrong"}},
		{"one corrected", map[string]string{"c": "right"}, "", [2]int{1, 0}, map[string]string{"": "right", "d": "wrong"}},
		{"one with another", map[string]string{"a": "newer"}, "", [2]int{1, 0}, map[string]string{"": "right", "a": "newer", "d": "wrong"}},
		{"all with another", map[string]string{"a": "newest", "b": "newest", "c": "newest", "d": "newest"}, "", [2]int{4, 0}, map[string]string{"": "newest"}},
		{"another host, and no secret", map[string]string{"d": ""}, elsewhere, [2]int{1, 0}, map[string]string{"": "newest"}},
		{"another host", map[string]string{"d": "theirs"}, elsewhere, [2]int{1, 0}, map[string]string{"": "newest", " elsewhere": "theirs"}},
	} {
		var list []map[string]string
		for _, who := range slices.Sorted(maps.Keys(step.secrets)) {
			e := map[string]string{"email": who + "@corp.test", "provider": "corp", "client_id": "waxseal-test",
				"refresh_token": tokens[who], "client_secret": step.secrets[who], "smtp_password": password}
			if step.tokenAt != "" {
				e["oauth_token_url"] = step.tokenAt
			}
			list = append(list, e)
		}
		data, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		report, err := r.server.Import(t.Context(), data)
		if err != nil || report.Failed > 0 || report.Imported != step.want[0] || report.Unchanged != step.want[1] {
			t.Fatalf("%s: %+v, %v", step.name, report, err)
		}
		if got := kept(); !maps.Equal(got, step.kept) {
			t.Errorf("%s: the keystore has %v, want %v", step.name, got, step.kept)
		}
		if step.name == "one more" {
			r.login("a@corp.test")
			p := r.dial()
			p.do("EHLO x", "250")
			p.do("AUTH PLAIN "+plainResponse("d@corp.test", password), "535 5.7.8 The password is correct")
			r.login("b@corp.test")
		}
	}
	// An account's own secret is deleted with it, and a new shared secret applies to all.
	if _, err := r.server.Remove(t.Context(), "d@corp.test"); err != nil {
		t.Fatal(err)
	}
	r.secrets.Set(t.Context(), oauth.OwnClientKey(url, "waxseal-test", "b@corp.test"), "old")
	if err := r.server.SetClient(t.Context(), "a@corp.test", api.Client{Secret: "right"}); err != nil {
		t.Fatal(err)
	}
	if got, want := kept(), map[string]string{"": "right", " elsewhere": "theirs"}; !maps.Equal(got, want) {
		t.Errorf("in the end the keystore has %v, want %v", got, want)
	}
}

// Another client ID was only possible by removing the account and adding it again. It is for all
// accounts of the registration, as a secret is, and for no other.
func TestAnotherClientID(t *testing.T) {
	r := newRig(t, rigOptions{noAccount: true})
	list := []map[string]string{}
	for who, client := range map[string]string{"a": "old-id", "b": "old-id", "c": "third-id"} {
		list = append(list, map[string]string{"email": who + "@corp.test", "provider": "corp", "client_id": client,
			"client_secret": "old-secret", "refresh_token": r.provider.Grant(who + "@corp.test")})
	}
	data, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if report, err := r.server.Import(t.Context(), data); err != nil || report.Imported != 3 {
		t.Fatalf("%+v, %v", report, err)
	}
	for _, bad := range []api.Client{{}, {ID: "old-id"}, {Secret: `{"installed":{"client_id":"new-id","client_secret":"new-secret"}}`}, {ID: `{"web":{}}`}} {
		if err := r.server.SetClient(t.Context(), "a@corp.test", bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if err := r.server.SetClient(t.Context(), "a@corp.test", api.Client{ID: "new-id", Secret: "new-secret"}); err != nil {
		t.Fatal(err)
	}
	for who, want := range map[string]string{"a": "new-id", "b": "new-id", "c": "third-id"} {
		if got := r.server.hall.Mailbox(who + "@corp.test").Provider.ClientID; got != want {
			t.Errorf("%s has the client ID %s", who, got)
		}
	}
	if got, err := r.secrets.Get(t.Context(), oauth.ClientKey(r.provider.TokenURL(), "new-id")); got != "new-secret" || err != nil {
		t.Errorf("the secret: %q, %v", got, err)
	}
	text, err := os.ReadFile(r.config)
	if err != nil || strings.Count(string(text), `client_id = "new-id"`) != 2 {
		t.Errorf("the configuration has\n%s", text)
	}
	for _, s := range r.server.Accounts() {
		if s.ClientID != r.server.hall.Mailbox(s.Address).Provider.ClientID {
			t.Errorf("%s tells the client ID %q", s.Address, s.ClientID)
		}
	}
}
