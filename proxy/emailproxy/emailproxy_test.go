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
		{2465, "smtp.gmail.com:465", false}, {1587, "smtp.office365.com:587", true}, {1588, "mail.corp.example:587", true},
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
	if w := strings.Join(f.Warnings, "\n"); len(f.Warnings) != 2 || !strings.Contains(w, "[IMAP-2993]") || !strings.Contains(w, "[your.email@fastmail.com]") {
		t.Errorf("warnings:\n%s", w)
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
	const text = "\xef\xbb\xbfstray = 1\r\n# [no]\r\n[a b]\r\nKey = 1 ; no comment # either\r\n  and more\r\n\r\n   after an empty line\r\nempty =\r\n; x = y\r\nColon: a = b\r\nKey = second\r\nnothing\r\n= x\r\n[]\r\n[x]y] tail\r\n  deep = 1\r\n  same = 2\r\n   more\r\n"
	got := parseINI([]byte(text))
	want := []section{
		{"a b", map[string]string{"key": "1 ; no comment # either\nand more\n\nafter an empty line", "empty": "", "colon": "a = b"}},
		{"x]y", map[string]string{"deep": "1", "same": "2\nmore"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
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
[SMTP-99999999]
[SMTP-25]
server_address = mail.corp.example
`
	f, err := Parse([]byte(text + "[emailproxy]\nallow_catch_all_accounts = on\n"))
	if err != nil || len(f.Accounts) != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
	a := f.Accounts[0]
	if a.ClientID != "shared" || a.AuthURL == "" || a.TokenURL == "" || len(a.Scopes) != 1 || a.Sealed() {
		t.Errorf("%+v", a)
	}
	for _, part := range []string{"[@corp.example]", "[@]", "[me@corp.example] occurs twice", "[SMTP-25]"} {
		if !strings.Contains(strings.Join(f.Warnings, "\n"), part) {
			t.Errorf("no warning has %s: %q", part, f.Warnings)
		}
	}
	if f, _ = Parse([]byte(text)); f.Accounts[0].ClientID != "" {
		t.Error("a catch-all section gave an account its client ID although that is not allowed")
	}
	if _, err := Parse([]byte("[SMTP-1587]\nserver_address = x\nserver_port = 1\n")); err == nil {
		t.Error("a file without accounts was accepted")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(realFile(f))
	f.Add([]byte("[a@b]\nclient_id=SECRET\n token_url:SECRET\n[IMAP-1]\n[@]\n[SMTP-1]\nserver_port=1\nserver_address=x"))
	f.Add([]byte("[DEFAULT]\nx\n=\n[]\n]\n[\n\x00[\xff]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		Is(data)
		parsed, err := Parse(data)
		if (err == nil) != (len(parsed.Accounts) > 0) {
			t.Errorf("%d accounts, %v", len(parsed.Accounts), err)
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
