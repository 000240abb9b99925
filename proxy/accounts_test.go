package proxy

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
)

// TestImportTwiceChangesNothing: not even if the provider has rotated the token in the
// meantime. Storing the old token again would make the provider revoke the grant.
func TestImportTwiceChangesNothing(t *testing.T) {
	r := newRig(t, rigOptions{})
	data, _ := json.Marshal([]map[string]any{{"email": me, "provider": "corp", "client_id": "waxseal-test",
		"refresh_token": refreshTokenOf(t, r), "smtp_password": password}})
	before, _ := os.ReadFile(r.config)
	report, err := r.server.Import(t.Context(), data)
	if err != nil || report.Unchanged != 1 || report.Imported != 0 {
		t.Errorf("got %+v, %v", report, err)
	}
	if after, _ := os.ReadFile(r.config); string(after) != string(before) {
		t.Error("the configuration changed")
	}
}

func refreshTokenOf(t *testing.T, r *rig) string {
	t.Helper()
	token, err := r.secrets.Get(t.Context(), "refresh/"+me)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestImportReportsAndGoesOn: bad entries are reported by index, the others are imported, and
// an open connection stays open.
func TestImportReportsAndGoesOn(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.login(me)
	data := fmt.Sprintf(`{"accounts": [
		{"email": "new@corp.test", "provider": "corp", "refresh_token": %q, "client_id": "waxseal-test", "client_secret": "s3cret", "shoe_size": 43},
		{"email": "bad@corp.test", "provider": "nobody", "refresh_token": "x", "client_id": "c"},
		{"provider": "corp"},
		"what"]}`, r.provider.Grant("new@corp.test"))
	report, err := r.server.Import(t.Context(), []byte(data))
	if err != nil || report.Imported != 1 || report.Failed != 3 || len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0].Error(), "shoe_size") {
		t.Fatalf("got %+v, %v", report, err)
	}
	for i, problem := range report.Problems {
		if problem.Index != i+1 {
			t.Errorf("problem %d has index %d", i, problem.Index)
		}
	}
	if got := p.message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("the open connection: %q", got)
	}
	pw, err := r.server.Password(t.Context(), "NEW@corp.test", false)
	if err != nil || len(pw) < 28 {
		t.Fatalf("generated password %q, %v", pw, err)
	}
	q := r.dial()
	q.auth("new@corp.test", pw)
	if text, _ := os.ReadFile(r.config); strings.Contains(string(text), "s3cret") || strings.Contains(string(text), pw) {
		t.Error("a secret is in the configuration")
	}
	fresh, err := r.server.Password(t.Context(), "new@corp.test", true)
	if err != nil || fresh == pw {
		t.Fatalf("new password: %v", err)
	}
	old := r.dial()
	old.do("EHLO x", "250")
	old.do("AUTH PLAIN "+plainResponse("new@corp.test", pw), "535 5.7.8")
	old.do("AUTH PLAIN "+plainResponse("new@corp.test", fresh), "235")
}

func TestRemove(t *testing.T) {
	r := newRig(t, rigOptions{accounts: []string{"other@corp.test"}})
	p, other := r.login(me), r.login("other@corp.test")
	if note, err := r.server.Remove(t.Context(), "ME@corp.test"); err != nil || note != "" {
		t.Fatal(note, err)
	}
	p.do("MAIL FROM:<me@corp.test>", "550 5.7.1")
	if got := other.message("other@corp.test", "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("the other account: %q", got)
	}
	if n := r.provider.Counts().Revocations; n != 1 {
		t.Errorf("%d consents were given back", n)
	}
	for _, key := range []string{"refresh/" + me, "password/" + me} {
		if _, err := r.secrets.Get(t.Context(), key); err == nil || !strings.Contains(err.Error(), keystore.ErrNotFound.Error()) {
			t.Errorf("%s: %v", key, err)
		}
	}
	if text, _ := os.ReadFile(r.config); strings.Contains(string(text), `"`+me+`"`) {
		t.Errorf("still in the configuration:\n%s", text)
	}
	if _, err := r.server.Remove(t.Context(), me); err == nil || !strings.Contains(err.Error(), "account list") {
		t.Errorf("again: %v", err)
	}
}

// TestReload: accounts and providers change while connections are open. A file that has
// mistakes or is missing changes nothing.
func TestReload(t *testing.T) {
	r := newRig(t, rigOptions{accounts: []string{"other@corp.test"}})
	p := r.login(me)
	p.message(me, "you@there.test", "hello\r\n")
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	write := func(s string) {
		if err := os.WriteFile(r.config, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(string(text) + "\nnonsense = true\n")
	if _, err := r.server.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("bad file: %v", err)
	}
	if err := os.Remove(r.config); err != nil {
		t.Fatal(err)
	}
	if _, err := r.server.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "can’t be read") {
		t.Errorf("a missing file: %v", err)
	}
	if n := len(r.server.Accounts()); n != 2 {
		t.Fatalf("%d accounts remain", n)
	}
	// Another limit for the provider: the account gets a new mailbox, and the session continues.
	write(strings.Replace(strings.Replace(string(text), "max_connections = 10", "max_connections = 4", 1), `metrics = "127.0.0.1:0"`, `metrics = ""`, 1))
	notes, err := r.server.Reload(t.Context())
	if err != nil || len(notes) != 0 || r.server.Snapshot().Metrics != "" {
		t.Errorf("notes %q, %v, metrics at %q", notes, err, r.server.Snapshot().Metrics)
	}
	write("keystore = \"file\"\n" + readText(t, r.config))
	if notes, err := r.server.Reload(t.Context()); err != nil || len(notes) != 1 || !strings.Contains(notes[0], "keystore") {
		t.Errorf("notes %q, %v", notes, err)
	}
	if got := r.server.Accounts()[0].Upstream.Limit; got != 4 {
		t.Errorf("limit %d", got)
	}
	if got := p.message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("the open connection: %q", got)
	}
	if a := r.server.Accounts()[0]; a.Sent != 2 || a.SentToday < 1 || a.LastResult != "sent" {
		t.Errorf("the new mailbox has forgotten what was sent: %+v", a)
	}
	if s := r.server.Snapshot(); s.Connections != 1 || s.Accounts[0].Connections != 1 {
		t.Errorf("%d connections, %d of the account", s.Connections, s.Accounts[0].Connections)
	}
}

// TestAddProvider: the window describes a provider that is not built in. It is in the file, known by its
// domain, and has an ID of its own.
func TestAddProvider(t *testing.T) {
	r := newRig(t, rigOptions{})
	for range 2 {
		n := api.NewProvider{Name: "Grün & Söhne", Domains: []string{"new.test"}, AuthURL: r.provider.AuthURL(), TokenURL: r.provider.TokenURL(),
			Scopes: []string{"mail.send"}, SMTP: r.provider.SMTPAddr}
		err := r.server.AddProvider(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
	}
	p, err := r.server.Preflight(t.Context(), api.Account{Address: "me@new.test"})
	if err != nil || p.Name != "Grün & Söhne" || !p.NoClientID {
		t.Errorf("%+v, %v", p, err)
	}
	text := readText(t, r.config)
	for _, want := range []string{`id = "gr-n-s-hne"`, `id = "gr-n-s-hne-2"`, `"new.test"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if err := r.server.AddProvider(t.Context(), api.NewProvider{Name: "x", Domains: []string{"x.test"}, SMTP: "nonsense"}); err == nil {
		t.Error("a provider without a server was added")
	}
}
