package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/emailproxy"
)

const proxyServers = `[SMTP-1587]
server_address = smtp.office365.com
server_port = 587
server_starttls = True
[SMTP-2465]
server_address = smtp.gmail.com
server_port = 465
`

// TestEmailProxyProviders tells the provider from the addresses of an account.
func TestEmailProxyProviders(t *testing.T) {
	account := func(lines string) string { return "[me@corp.example]\nclient_id = id\n" + lines }
	const microsoft = "https://login.microsoftonline.com/"
	for name, c := range map[string]struct {
		file string
		want Provider // no more than is compared
		own  bool     // it is written into the configuration
		err  string
	}{
		"as in the catalogue": {file: account("token_url = https://oauth2.googleapis.com/token"), want: Provider{ID: "google", SMTP: "smtp.gmail.com:465"}},
		"an endpoint of old": {file: account("permission_url = https://accounts.google.com/o/oauth2/auth\ntoken_url = https://www.googleapis.com/oauth2/v4/token"),
			want: Provider{ID: "google", SMTP: "smtp.gmail.com:465"}},
		"Microsoft": {file: account("token_url = " + microsoft + "common/oauth2/v2.0/token"), want: Provider{ID: "microsoft", SMTP: "smtp.office365.com:587"}},
		"one tenant": {file: account("permission_url = " + microsoft + "1-2/oauth2/v2.0/authorize\ntoken_url = " + microsoft + "1-2/oauth2/v2.0/token"), own: true,
			want: Provider{ID: "microsoft-1-2", SMTP: "smtp.office365.com:587"}},
		"a code": {file: account("oauth2_flow = device\npermission_url = " + microsoft + "common/oauth2/v2.0/devicecode\ntoken_url = " + microsoft + "common/oauth2/v2.0/token"),
			want: Provider{ID: "microsoft", SMTP: "smtp.office365.com:587"}},
		"a program's own right": {file: account("oauth2_flow = client_credentials\nclient_secret = s\noauth2_scope = all\ntoken_url = " + microsoft + "1-2/oauth2/v2.0/token"), own: true,
			want: Provider{ID: "microsoft-1-2-app", Grant: "client_credentials", SMTP: "smtp.office365.com:587"}},
		"a service account": {file: "[me@corp.example]\nclient_id = key\noauth2_flow = service_account\noauth2_scope = https://mail.google.com/\ntoken_url = https://oauth2.googleapis.com/token\nclient_secret = {\n  \"client_email\": \"x@y.example\"}\n", own: true,
			want: Provider{ID: "google-app", Grant: "jwt_bearer", SMTP: "smtp.gmail.com:465"}},
		"one server left": {file: proxyServers + "[SMTP-3587]\nserver_address = out.other.example\nserver_port = 465\n" +
			account("permission_url = https://login.elsewhere.example/a\ntoken_url = https://login.elsewhere.example/t\nredirect_uri = http://localhost:8080/back\noauth2_scope = a b"), own: true,
			want: Provider{ID: "elsewhere.example", SMTP: "out.other.example:465"}},
		"the server of its domain": {file: "[SMTP-1]\nserver_address = out.other.example\nserver_port = 465\n[SMTP-2]\nserver_address = mx.corp.example\nserver_port = 587\nstarttls = on\n" +
			account("permission_url = https://login.elsewhere.example/a\ntoken_url = https://login.elsewhere.example/t"), own: true,
			want: Provider{ID: "elsewhere.example", SMTP: "mx.corp.example:587"}},
		"no server":             {file: proxyServers + account("permission_url = https://login.corp.example/a\ntoken_url = https://login.corp.example/t"), err: "which SMTP server"},
		"a code elsewhere":      {file: "[SMTP-1]\nserver_address = mx.corp.example\nserver_port = 587\n" + account("oauth2_flow = device\ntoken_url = https://login.corp.example/t"), err: "by code alone"},
		"no page to sign in":    {file: "[SMTP-1]\nserver_address = mx.corp.example\nserver_port = 587\n" + account("token_url = https://login.corp.example/t"), err: "auth_url is missing"},
		"no token endpoint":     {file: account(""), err: "token_url is missing"},
		"one without TLS":       {file: account("token_url = http://login.corp.example/t"), err: "https://"},
		"no client ID":          {file: "[me@corp.example]\ntoken_url = https://oauth2.googleapis.com/token", err: "client_id is missing"},
		"a resource":            {file: account("oauth2_resource = x\ntoken_url = " + microsoft + "common/oauth2/token"), err: "oauth2_resource"},
		"a flow of tomorrow":    {file: account("oauth2_flow = telepathy\ntoken_url = x"), err: "telepathy"},
		"a key in a file":       {file: "[me@corp.example]\nclient_id = file\noauth2_flow = service_account\ntoken_url = x\nclient_secret = /key.json", err: "--client-secret-file"},
		"no key":                {file: "[me@corp.example]\nclient_id = key\noauth2_flow = service_account\ntoken_url = x\nclient_secret = SECRET", err: "not the JSON key"},
		"no mail address":       {file: "[me@]\nclient_id = x\ntoken_url = https://oauth2.googleapis.com/token", err: "its name"},
		"a token with a line":   {file: account("client_secret = SECRET\n  more\ntoken_url = https://oauth2.googleapis.com/token"), err: "client_secret holds a control character"},
		"the same one again":    {file: account("token_url = https://oauth2.googleapis.com/token\n[ME@corp.example]"), want: Provider{ID: "google", SMTP: "smtp.gmail.com:465"}, err: "another section has the same address"},
		"tokens without a salt": {file: account("refresh_token = x\ntoken_url = https://oauth2.googleapis.com/token"), err: "token_salt"},
	} {
		file, err := emailproxy.Parse([]byte(c.file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m := Default().FromEmailProxy(file, map[string]string{"me@corp.example": "pw"})
		var problems string
		for _, p := range m.Problems {
			problems += p.Problem
		}
		if (c.err == "") != (problems == "") || !strings.Contains(problems, c.err) || strings.Contains(problems, "SECRET") {
			t.Errorf("%s: problems %q; want %q", name, problems, c.err)
		}
		if c.want.ID == "" {
			if len(m.Entries) != 0 {
				t.Errorf("%s: %+v", name, m.Entries)
			}
			continue
		}
		if len(m.Entries) != 1 || (len(m.Providers) == 1) != c.own {
			t.Errorf("%s: entries %+v, providers %+v", name, m.Entries, m.Providers)
			continue
		}
		cfg := Default()
		cfg.Providers, cfg.Accounts = m.Providers, []api.Account{m.Entries[0].Account}
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p, err := cfg.Resolve(m.Entries[0].Account)
		if got := (Provider{ID: p.ID, Grant: p.Grant, SMTP: p.SMTP}); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
}

// TestEmailProxyTenant has the tenant in every address of the provider's own.
func TestEmailProxyTenant(t *testing.T) {
	file, err := emailproxy.Parse([]byte("[me@corp.example]\nclient_id = id\ntoken_url = https://login.microsoftonline.com/1-2/oauth2/v2.0/token\n"))
	if err != nil {
		t.Fatal(err)
	}
	m := Default().FromEmailProxy(file, nil)
	if len(m.Providers) != 1 {
		t.Fatalf("%+v, %+v", m.Providers, m.Problems)
	}
	for _, u := range []string{m.Providers[0].AuthURL, m.Providers[0].TokenURL, m.Providers[0].DeviceURL} {
		if !strings.HasPrefix(u, "https://login.microsoftonline.com/1-2/oauth2/v2.0/") {
			t.Errorf("%s", u)
		}
	}
}
