package proxy

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// errorsOf are problems, one per line.
func errorsOf(list []api.Problem) string {
	var lines []string
	for _, p := range list {
		lines = append(lines, p.Error())
	}
	return strings.Join(lines, "\n")
}

// TestImportSaysWhatItChanges: whoever could write the import file replaced an account's token
// endpoint and local password without a word.
func TestImportSaysWhatItChanges(t *testing.T) {
	r := newRig(t, rigOptions{})
	put := func(fields map[string]string) api.ImportReport {
		t.Helper()
		entry := map[string]string{"email": "a@corp.test", "provider": "corp", "client_id": "waxseal-test", "client_secret": "one-secret",
			"refresh_token": "first", "smtp_password": "KJ7-fpQ2-xw9-vT4"}
		for k, v := range fields {
			entry[k] = v
		}
		data, err := json.Marshal([]map[string]string{entry})
		if err != nil {
			t.Fatal(err)
		}
		report, err := r.server.Import(t.Context(), data)
		if err != nil || report.Failed > 0 {
			t.Fatalf("%+v, %v", report, err)
		}
		return report
	}
	for _, step := range []struct {
		fields map[string]string
		want   []string
	}{
		{nil, nil},
		{nil, nil}, // the same again
		{map[string]string{"smtp_password": "dragon"}, []string{"the local password of a@corp.test is easy to guess", "the local password of a@corp.test was replaced"}},
		{map[string]string{"smtp_password": "dragon", "oauth_token_url": "https://evil.test/token", "oauth_endpoint": "evil.test:587", "client_id": "another", "client_secret": "another-secret", "refresh_token": "second"}, []string{
			"is easy to guess", "the token endpoint of a@corp.test is now https://evil.test/token; it was " + r.provider.TokenURL(), "the mail server of a@corp.test is now evil.test:587",
			"the client ID of a@corp.test is now another; it was waxseal-test", "the client secret of a@corp.test was replaced", "the sign-in of a@corp.test was replaced",
		}},
		{map[string]string{"smtp_password": "dragon", "provider": "google", "oauth_token_url": "https://evil.test/token", "oauth_endpoint": "evil.test:587", "client_id": "another", "client_secret": "another-secret", "refresh_token": "second"},
			[]string{"is easy to guess", "the provider of a@corp.test is now Google; it was Corp Mail"}},
	} {
		report := put(step.fields)
		text := errorsOf(report.Warnings)
		if n := len(report.Warnings); n != len(step.want) {
			t.Errorf("%d warnings, want %d:\n%s", n, len(step.want), text)
		}
		for _, want := range step.want {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		for _, secret := range []string{"dragon", "KJ7", "another-secret", "one-secret", "second"} {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is in\n%s", text)
			}
		}
		if !report.Complete() {
			t.Errorf("not complete: %+v", report)
		}
	}
}

// TestCatchAllBringsItsProvider: with it, the addresses that the section stood for can be added.
func TestCatchAllBringsItsProvider(t *testing.T) {
	r := newRig(t, rigOptions{})
	const file = "[@corp.example]\nclient_id = shared\ntoken_url = https://login.microsoftonline.com/1-2/oauth2/v2.0/token\n[emailproxy]\nallow_catch_all_accounts = True\n"
	var text string
	for i := range 2 {
		report, err := r.server.ImportEmailProxy(t.Context(), []byte(file), nil)
		if err != nil || report.Complete() || len(report.Left) != 1 || report.Imported+report.Failed != 0 {
			t.Fatalf("%+v, %v", report, err)
		}
		now, err := os.ReadFile(r.config)
		if err != nil || strings.Count(string(now), `id = "microsoft-1-2"`) != 1 || i > 0 && string(now) != text {
			t.Errorf("import %d: %v\n%s", i+1, err, now)
		}
		text = string(now)
	}
	if p, err := r.server.Preflight(t.Context(), api.Account{Address: "me@corp.example", Provider: "microsoft-1-2", ClientID: "shared"}); err != nil || p.NoClientID {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestClientsAsJSON: wherever a client ID or a secret is given, the provider's JSON is enough.
func TestClientsAsJSON(t *testing.T) {
	const client = `{"installed":{"client_id":"json-client","client_secret":"json-secret","redirect_uris":["http://localhost"]}}`
	const service = `{"type":"service_account","client_email":"x@y.test","private_key":"SECRET"}`
	r := newRig(t, rigOptions{})
	for i, c := range []struct{ id, secret, err string }{
		{client, "", ""}, {"", client, ""}, {"json-client", client, ""},
		{"other", client, "belongs to the client ID json-client, not to other"},
		{"", strings.Replace(client, "installed", "web", 1), "Web application"},
		{"", service, "the key of a service account, but Corp Mail expects"},
	} {
		address := fmt.Sprintf("json%d@corp.test", i)
		_, err := r.server.Add(t.Context(), api.Account{Address: address, Provider: "corp", ClientID: c.id}, c.secret)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || r.server.hall.Mailbox(address) != nil || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%d: %v; want %q", i, err, c.err)
			}
			continue
		}
		if box := r.server.hall.Mailbox(address); err != nil || box == nil || box.Provider.ClientID != "json-client" {
			t.Errorf("%d: %v", i, err)
		}
	}
	secret := func() string {
		s, _ := r.secrets.Get(t.Context(), oauth.ClientKey(r.provider.TokenURL(), "json-client"))
		return s
	}
	if secret() != "json-secret" {
		t.Errorf("the secret is %q", secret())
	}
	for text, want := range map[string]string{
		strings.Replace(client, "json-client", "other", 1): "belongs to the client ID other, but json0@corp.test uses json-client",
		`{"installed":{"client_id":"json-client"}}`:        "no client secret",
		service: "belongs to the client ID x@y.test",
	} {
		if err := r.server.SetClient(t.Context(), "json0@corp.test", api.Client{Secret: text}); err == nil || !strings.Contains(err.Error(), want) || secret() != "json-secret" {
			t.Errorf("%.30s: %v; want %q", text, err, want)
		}
	}
	if err := r.server.SetClient(t.Context(), "json0@corp.test", api.Client{Secret: strings.Replace(client, "json-secret", "new-secret", 1)}); err != nil || secret() != "new-secret" {
		t.Errorf("a new secret: %v, %q", err, secret())
	}
}
