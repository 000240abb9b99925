package emailproxy

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"
)

// realFile was written by Python's configparser and cryptography's Fernet, as
// email-oauth2-proxy does it. It has an account from before 2023, which names no number
// of iterations; one with an encrypted client secret; one that has no tokens yet; and a
// sample that has not been filled in.
func realFile(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/emailproxy.config")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParse(t *testing.T) {
	f, err := Parse(realFile(t))
	if err != nil {
		t.Fatal(err)
	}
	servers := []Server{
		{Section: "IMAP-2993", Protocol: "imap", Port: 2993, Address: "imap.gmail.com:993"},
		{Section: "SMTP-2465", Protocol: "smtp", Port: 2465, Address: "smtp.gmail.com:465"},
		{Section: "SMTP-1587", Protocol: "smtp", Port: 1587, Address: "smtp.office365.com:587", StartTLS: true, Listen: "127.0.0.1"},
		{Section: "SMTP-1588", Protocol: "smtp", Port: 1588, Address: "mail.corp.example:587", StartTLS: true},
	}
	if !reflect.DeepEqual(f.Servers, servers) {
		t.Errorf("servers: %+v", f.Servers)
	}
	if len(f.Accounts) != 3 {
		t.Fatalf("accounts: %+v", f.Accounts)
	}
	a := f.Accounts[2]
	if a.Address != "me@corp.example" || a.Flow != Consent || a.AuthURL != "https://login.corp.example/authorize" ||
		a.TokenURL != "https://login.corp.example/token" || !reflect.DeepEqual(a.Scopes, []string{"mail.send", "offline"}) ||
		a.Redirect != "http://127.0.0.1:8080/back" || a.ClientID != "corp-client" || a.Sealed() {
		t.Errorf("%+v", a)
	}
	f.Servers, f.Accounts = nil, nil
	if want := (File{Samples: []string{"your.email@fastmail.com"}}); !reflect.DeepEqual(f, want) {
		t.Errorf("the rest: %+v; want %+v", f, want)
	}
}

func TestOpen(t *testing.T) {
	f, err := Parse(realFile(t))
	if err != nil {
		t.Fatal(err)
	}
	old, sealed, open := f.Accounts[0], f.Accounts[1], f.Accounts[2]
	with := func(a Account, salt, rounds string) Account {
		a.salt, a.rounds = salt, rounds
		return a
	}
	for _, c := range []struct {
		name, password string
		account        Account
		want           Secrets
		err            string
	}{
		{"number of iterations not given", "correct horse", old, Secrets{"SECRET-refresh-old", `SECRET-google;#"x"`}, ""},
		{"number of iterations changed since", "correct horse", with(old, old.salt, "7"), Secrets{"SECRET-refresh-old", `SECRET-google;#"x"`}, ""},
		{"encrypted client secret", "pässword ü", sealed, Secrets{"SECRET-refresh-ms", "SECRET-ms"}, ""},
		{"without the password", "", sealed, Secrets{}, ""},
		{"nothing encrypted", "any", open, Secrets{"", "SECRET-corp"}, ""},
		{"wrong password", "wrong horse", old, Secrets{"", `SECRET-google;#"x"`}, ErrPassword.Error()},
		{"no salt", "x", with(sealed, "", "1"), Secrets{}, "token_salt"},
		{"bad salt", "x", with(sealed, "%%%", "1"), Secrets{}, "token_salt"},
		{"not a number", "x", with(sealed, sealed.salt, "many"), Secrets{}, "token_iterations"},
		{"a number that would take too long", "x", with(sealed, sealed.salt, "999999999999"), Secrets{}, "token_iterations"},
	} {
		got, err := c.account.Open(c.password)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
		if errors.Is(err, ErrPassword) != (c.name == "wrong password") {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: the error contains a secret: %v", c.name, err)
		}
	}
}

// TestUnseal uses the test vectors of the specification (github.com/fernet/spec,
// generate.json and invalid.json), except those about a token's age.
func TestUnseal(t *testing.T) {
	key, err := base64.URLEncoding.DecodeString("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=")
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"":                                   "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==",
		"incorrect mac":                      "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykQUFBQUFBQUFBQQ==",
		"too short":                          "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPA==",
		"payload size not multiple of block": "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPOm73QeoCk9uGib28Xe5vz6oxq5nmxbx_v7mrfyudzUm",
		"payload padding error":              "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0ODz4LEpdELGQAad7aNEHbf-JkLPIpuiYRLQ3RtXatOYREu2FWke6CnJNYIbkuKNqOhw==",
		"incorrect IV":                       "gAAAAAAdwJ6xBQECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAkLhFLHpGtDBRLRTZeUfWgHSv49TF2AUEZ1TIvcZjK1zQ==",
		"not base64":                         "gAAAAAAd+/==",
		"empty":                              "",
		"a block and a byte":                 odd(key),
		"another version":                    seal(key, 0x81, "hello"),
	} {
		text, err := unseal(key, token)
		if name == "" && (string(text) != "hello" || err != nil) {
			t.Errorf("the valid token: %q, %v", text, err)
		}
		if name != "" && err == nil {
			t.Errorf("%s: decrypted to %q", name, text)
		}
	}
	if text, err := unseal(key, seal(key, fernetVersion, "")); err != nil || len(text) != 0 {
		t.Errorf("an empty text: %q, %v", text, err)
	}
}

// odd makes a token whose text is not a whole number of blocks but is otherwise correct.
func odd(key []byte) string {
	raw := append([]byte{fernetVersion}, make([]byte, 8+aes.BlockSize+aes.BlockSize+1)...)
	mac := hmac.New(sha256.New, key[:16])
	mac.Write(raw)
	return base64.URLEncoding.EncodeToString(mac.Sum(raw))
}

// seal makes a Fernet token.
func seal(key []byte, version byte, text string) string {
	pad := aes.BlockSize - len(text)%aes.BlockSize
	plain := text + strings.Repeat(string(rune(pad)), pad)
	raw := append([]byte{version}, make([]byte, 8+aes.BlockSize+len(plain))...)
	block, err := aes.NewCipher(key[16:])
	if err != nil {
		panic(err)
	}
	cipher.NewCBCEncrypter(block, raw[9:25]).CryptBlocks(raw[25:], []byte(plain))
	mac := hmac.New(sha256.New, key[:16])
	mac.Write(raw)
	return base64.URLEncoding.EncodeToString(mac.Sum(raw))
}

func TestINI(t *testing.T) {
	const text = "stray = 1\r\n# [no]\r\n[a b]\r\nKey = 1 ; no comment # either\r\n  and more\r\n\r\n   after an empty line\r\nempty =\r\n; x = y\r\nColon: a = b\r\nKey = second\r\nnothing\r\n= x\r\n[]\r\n[x]y] tail\r\n  deep = 1\r\n  same = 2\r\n   more\r\n"
	got := parseINI(text)
	want := []section{
		{"a b", map[string]string{"key": "1 ; no comment # either\nand more\n\nafter an empty line", "empty": "", "colon": "a = b"}, []string{"key", "empty", "colon"}, []string{"key"}},
		{"x]y", map[string]string{"deep": "1", "same": "2\nmore"}, []string{"deep", "same"}, nil},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestEncodings: the file may have been saved by PowerShell, by an editor, or by that program
// on Windows, in an older encoding.
func TestEncodings(t *testing.T) {
	const text = "# für mich\r\n[me@corp.example]\r\ntoken_url = https://login.corp.example/token\r\nclient_id = id\r\n"
	var little, big, old strings.Builder
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		little.Write([]byte{byte(u), byte(u >> 8)})
		big.Write([]byte{byte(u >> 8), byte(u)})
	}
	for _, r := range text {
		old.WriteByte(byte(r))
	}
	for name, data := range map[string]string{
		"UTF-8": text, "UTF-8 with a mark": "\ufeff" + text, "UTF-16 LE": little.String(), "UTF-16 BE": big.String(), "Windows-1252": old.String(),
	} {
		f, err := Parse([]byte(data))
		if !Is([]byte(data)) || err != nil || len(f.Accounts) != 1 || f.Accounts[0].Address != "me@corp.example" || f.Accounts[0].ClientID != "id" {
			t.Errorf("%s: %t, %+v, %v", name, Is([]byte(data)), f, err)
		}
	}
	const zip = "PK\x03\x04 [emailproxy]"
	if _, err := Parse([]byte(zip)); Is([]byte(zip)) || err == nil || !strings.Contains(err.Error(), "a ZIP archive") {
		t.Errorf("a ZIP archive: %v", err)
	}
}

func TestIs(t *testing.T) {
	for text, want := range map[string]bool{
		"[SMTP-1587]\nserver_port=1":       true,
		"[a@b.example]\ntoken_url = x":     true,
		"# x\n\n[emailproxy]":              true,
		`[{"email": "a@b.example"}]`:       false,
		"[\n{\"email\": \"a@b.example\"\n": false, // cut off
		"[section]\nkey = value":           false,
		"":                                 false,
	} {
		if Is([]byte(text)) != want {
			t.Errorf("Is(%q) = %t", text, !want)
		}
	}
}

func TestCatchAll(t *testing.T) {
	const text = `[DEFAULT]
oauth2_scope = mail
[@corp.example]
token_url = https://login.corp.example/token
client_id = shared
refresh_token = NOBODYS
[@]
permission_url = https://login.corp.example/authorize
[me@corp.example]
token_salt = x
[me@corp.example]
token_salt = y
`
	f, err := Parse([]byte(text + "[emailproxy]\nallow_catch_all_accounts = on\nuse_login_password_as_client_credentials_secret = 1\n"))
	if err != nil || len(f.Accounts) != 1 || len(f.CatchAll) != 2 || !f.CatchAllUsed || !f.LoginSecret {
		t.Fatalf("%+v, %v", f, err)
	}
	a := f.Accounts[0]
	if a.ClientID != "shared" || a.AuthURL == "" || a.TokenURL == "" || len(a.Scopes) != 1 || a.Sealed() {
		t.Errorf("%+v", a)
	}
	if all := f.CatchAll; all[0].Address != "@corp.example" || all[0].ClientID != "shared" || all[1].Address != "@" || all[1].AuthURL == "" {
		t.Errorf("%+v", all)
	}
	if !reflect.DeepEqual(f.Twice, []string{"me@corp.example"}) {
		t.Errorf("twice: %q", f.Twice)
	}
	if f, _ = Parse([]byte(text)); f.Accounts[0].ClientID != "" || f.CatchAllUsed {
		t.Error("a catch-all section gave an account its client ID although that is not allowed")
	}
	if f, err := Parse([]byte("[@]\ntoken_url = https://login.corp.example/token\nclient_id = shared\n")); err != nil || len(f.CatchAll) != 1 {
		t.Errorf("only a catch-all section: %+v, %v", f, err)
	}
}

// TestEverySectionIsListed: what is not read is named, so that nothing is lost silently.
func TestEverySectionIsListed(t *testing.T) {
	const text = `[Account setup]
documentation = see below
[SMTP-25]
server_address = mail.corp.example
[SMTP-99999]
server_address = mail.corp.example
server_port = 587
[DEFAULT]
local_address = 0.0.0.0
[emailproxy]
delete_account_token_on_password_error = False
shade = dark
[POP-1995]
[SMTP-2587]
server_address = mail.corp.example
server_port = 587
Server_Port = 465
local_certificate_path = /cert.pem
plugins = {'Logger': {}}
colour = green
[boss]
token_url = https://login.corp.example/token
[sample@corp.example]
oauth2_flow = service_account
client_id = file
client_secret = *** your /path/to/service-account-key.json here ***
[me@corp.example]
client_id = id
jwt_key_path = /key.pem
use_pkce = True
favourite = me
[cached@corp.example]
token_salt = x
refresh_token = y
`
	got, err := Parse([]byte(text))
	if err != nil || len(got.Accounts) != 2 || !got.Accounts[0].Certificate || !got.Accounts[1].Cached() {
		t.Errorf("%+v, %v", got.Accounts, err)
	}
	got.Accounts = nil
	want := File{
		Servers: []Server{{Section: "SMTP-2587", Protocol: "smtp", Port: 2587, Address: "mail.corp.example:587", Listen: "0.0.0.0", TLS: true, Plugins: true}},
		Samples: []string{"sample@corp.example"}, Unusable: []string{"SMTP-25", "SMTP-99999", "POP-1995"},
		Nameless: []string{"boss"}, Repeated: []string{"[SMTP-2587] server_port"}, Unknown: []string{"[emailproxy] shade", "[SMTP-2587] colour", "[me@corp.example] favourite"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for text, want := range map[string]string{
		"[SMTP-1587]\nserver_address = x\nserver_port = 1\n":          "it contains no account",
		"[a@corp.example]\nclient_id = *** your client id here ***\n": "samples",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(realFile(f))
	f.Add([]byte("[a@b]\nclient_id=SECRET\n token_url:SECRET\n[IMAP-1]\n[@]\n[SMTP-1]\nserver_port=1\nserver_address=x"))
	f.Add([]byte("[DEFAULT]\nx\n=\n[]\n]\n[\n\x00[\xff]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		Is(data)
		parsed, err := Parse(data)
		if n := len(parsed.Accounts) + len(parsed.CatchAll); (err == nil) != (n > 0) {
			t.Errorf("%d accounts, %v", n, err)
		}
		for _, a := range parsed.Accounts {
			if local, _, ok := strings.Cut(a.Address, "@"); !ok || local == "" || a.Flow == "" {
				t.Errorf("account %+v", a)
			}
			if s, err := a.Open(""); s.RefreshToken != "" || err != nil {
				t.Errorf("Open returned a token without the password: %v", err)
			}
		}
	})
}

func FuzzUnseal(f *testing.F) {
	key := []byte("0123456789abcdef0123456789abcdef")
	f.Add(seal(key, fernetVersion, "hello"))
	f.Add(seal(key, fernetVersion, ""))
	f.Add("gAAAAA==")
	f.Fuzz(func(t *testing.T, token string) {
		if text, err := unseal(key, token); err == nil {
			if again, err := unseal(key, seal(key, fernetVersion, string(text))); err != nil || string(again) != string(text) {
				t.Errorf("%q, %v; want %q", again, err, text)
			}
		}
	})
}
