package proxy

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/emailproxy"
)

// fernet seals a text as email-oauth2-proxy does, with few iterations.
func fernet(password, salt string, rounds int, text string) string {
	key, err := pbkdf2.Key(sha256.New, password, []byte(salt), rounds, 32)
	if err != nil {
		panic(err)
	}
	pad := aes.BlockSize - len(text)%aes.BlockSize
	text += strings.Repeat(string(rune(pad)), pad)
	raw := append([]byte{0x80}, make([]byte, 8+aes.BlockSize+len(text))...)
	rand.Read(raw[9:25])
	block, err := aes.NewCipher(key[16:])
	if err != nil {
		panic(err)
	}
	cipher.NewCBCEncrypter(block, raw[9:25]).CryptBlocks(raw[25:], []byte(text))
	mac := hmac.New(sha256.New, key[:16])
	mac.Write(raw)
	return base64.URLEncoding.EncodeToString(mac.Sum(raw))
}

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
		m := DefaultConfig().fromEmailProxy(file, map[string]string{"me@corp.example": "pw"})
		var problems string
		for _, p := range m.bad {
			problems += p.Problem
		}
		if (c.err == "") != (problems == "") || !strings.Contains(problems, c.err) || strings.Contains(problems, "SECRET") {
			t.Errorf("%s: problems %q; want %q", name, problems, c.err)
		}
		if c.want.ID == "" {
			if len(m.entries) != 0 {
				t.Errorf("%s: %+v", name, m.entries)
			}
			continue
		}
		if len(m.entries) != 1 || (len(m.own) == 1) != c.own {
			t.Errorf("%s: entries %+v, providers %+v", name, m.entries, m.own)
			continue
		}
		cfg := DefaultConfig()
		cfg.Providers, cfg.Accounts = m.own, []Account{m.entries[0].Account}
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p, err := cfg.Resolve(m.entries[0].Account)
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
	m := DefaultConfig().fromEmailProxy(file, nil)
	if len(m.own) != 1 {
		t.Fatalf("%+v, %+v", m.own, m.bad)
	}
	for _, u := range []string{m.own[0].AuthURL, m.own[0].TokenURL, m.own[0].DeviceURL} {
		if !strings.HasPrefix(u, "https://login.microsoftonline.com/1-2/oauth2/v2.0/") {
			t.Errorf("%s", u)
		}
	}
}

// TestImportEmailProxy takes tokens over with the mail password, and asks for
// consent where it has none. A second time nothing changes.
func TestImportEmailProxy(t *testing.T) {
	r := newRig(t, rigOptions{noAccount: true})
	account := func(address, sealed string) string {
		return fmt.Sprintf("\n[%s]\npermission_url = %s\ntoken_url = %s\noauth2_scope = mail.send\nredirect_uri = http://localhost\nclient_id = waxseal-test\n%s\n",
			address, r.provider.AuthURL(), r.provider.TokenURL(), sealed)
	}
	sealed := func(address string) string {
		return "token_salt = " + base64.StdEncoding.EncodeToString([]byte("salt")) + "\ntoken_iterations = 10\nrefresh_token = " +
			fernet("mail password", "salt", 10, r.provider.Grant(address))
	}
	data := []byte(account("one@corp.test", sealed("one@corp.test")) + account("two@corp.test", sealed("two@corp.test")) + account("three@corp.test", "") +
		account("four@corp.test", sealed("four@corp.test")) +
		"[new@new.test]\nclient_id = SECRETLESS\npermission_url = https://login.new.test/a\ntoken_url = https://login.new.test/t\n[SMTP-9]\nserver_address = mail.new.test\nserver_port = 465\n[IMAP-8]\n")
	passwords := map[string]string{"ONE@corp.test": "mail password", "four@corp.test": "wrong"}
	report, err := r.server.ImportEmailProxy(t.Context(), data, passwords)
	if err != nil || report.Imported != 4 || report.Failed != 1 || report.Problems[0].Address != "four@corp.test" || !strings.Contains(report.Problems[0].Problem, "does not open") {
		t.Errorf("%+v, %v", report, err)
	}
	if want := []string{"two@corp.test", "three@corp.test", "new@new.test"}; !reflect.DeepEqual(report.Consent, want) {
		t.Errorf("consent is to be asked of %q, want %q", report.Consent, want)
	}
	if len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], "IMAP-8") {
		t.Errorf("warnings %q", report.Warnings)
	}
	p := r.dial()
	p.auth("one@corp.test", "mail password")
	if got := p.message("one@corp.test", "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("got %q", got)
	}
	text, err := os.ReadFile(r.config)
	if err != nil || !strings.Contains(string(text), "[[provider]]\nid = \"new.test\"\n") || strings.Contains(string(text), "mail password") {
		t.Errorf("the configuration: %v\n%s", err, text)
	}

	again, err := r.server.ImportEmailProxy(t.Context(), data, passwords)
	if err != nil || again.Imported != 0 || again.Unchanged != 4 || !reflect.DeepEqual(again.Consent, report.Consent) {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	if after, err := os.ReadFile(r.config); err != nil || string(after) != string(text) {
		t.Errorf("a second time the configuration changed: %v\n%s", err, after)
	}

	// The forgotten password is found.
	passwords["four@corp.test"], passwords["two@corp.test"] = "mail password", "mail password"
	if report, err = r.server.ImportEmailProxy(t.Context(), data, passwords); err != nil || report.Imported != 2 || report.Unchanged != 3 || len(report.Consent) != 2 {
		t.Errorf("with more passwords: %+v, %v", report, err)
	}
	if _, err := r.server.ImportEmailProxy(t.Context(), []byte("[SMTP-1]"), nil); err == nil {
		t.Error("a file without accounts was imported")
	}
}
