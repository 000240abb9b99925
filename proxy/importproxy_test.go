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

// TestImportEmailProxy imports tokens with the mail password, and asks for consent where there
// is none. A second import changes nothing.
func TestImportEmailProxy(t *testing.T) {
	r := newRig(t, rigOptions{noAccount: true})
	account := func(address, sealed string) string {
		return fmt.Sprintf("\n[%s]\npermission_url = %s\ntoken_url = %s\noauth2_scope = mail.send\nredirect_uri = http://localhost\nclient_id = waxseal-test\n%s\n",
			address, r.provider.AuthURL(), r.provider.TokenURL(), sealed)
	}
	sealed := func(address string) string {
		return "token_salt = " + base64.StdEncoding.EncodeToString([]byte("salt")) + "\ntoken_iterations = 10\nrefresh_token = " +
			fernet("a mail program's password", "salt", 10, r.provider.Grant(address))
	}
	data := []byte(account("one@corp.test", sealed("one@corp.test")) + account("two@corp.test", sealed("two@corp.test")) + account("three@corp.test", "") +
		account("four@corp.test", sealed("four@corp.test")) +
		"[new@new.test]\nclient_id = SECRETLESS\npermission_url = https://login.new.test/a\ntoken_url = https://login.new.test/t\n[SMTP-9]\nserver_address = mail.new.test\nserver_port = 465\n[IMAP-8]\n")
	passwords := map[string]string{"ONE@corp.test": "a mail program's password", "four@corp.test": "wrong"}
	report, err := r.server.ImportEmailProxy(t.Context(), data, passwords)
	if err != nil || report.Imported != 4 || report.Failed != 1 || report.Problems[0].Address != "four@corp.test" || !strings.Contains(report.Problems[0].Problem.Error(), "does not open") {
		t.Errorf("%+v, %v", report, err)
	}
	if want := []string{"two@corp.test", "three@corp.test", "new@new.test"}; !reflect.DeepEqual(report.Consent, want) {
		t.Errorf("consent is to be asked of %q, want %q", report.Consent, want)
	}
	var warnings []string
	for _, w := range report.Warnings {
		warnings = append(warnings, w.Error())
	}
	if text := strings.Join(warnings, "\n"); !strings.Contains(text, "[IMAP-8]") || !strings.Contains(text, "port 9 ") {
		t.Errorf("warnings:\n%s", text)
	}
	if len(report.Left) != 1 || report.Left[0].Account != "two@corp.test" || !strings.Contains(report.Left[0].Error(), "left behind") || report.Complete() {
		t.Errorf("left %+v", report.Left)
	}
	p := r.dial()
	p.auth("one@corp.test", "a mail program's password")
	if got := p.message("one@corp.test", "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("got %q", got)
	}
	text, err := os.ReadFile(r.config)
	if err != nil || !strings.Contains(string(text), "[[provider]]\nid = \"new.test\"\n") || strings.Contains(string(text), "a mail program's password") {
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
	passwords["four@corp.test"], passwords["two@corp.test"] = "a mail program's password", "a mail program's password"
	if report, err = r.server.ImportEmailProxy(t.Context(), data, passwords); err != nil || report.Imported != 2 || report.Unchanged != 3 || len(report.Consent) != 2 {
		t.Errorf("with more passwords: %+v, %v", report, err)
	}
	if _, err := r.server.ImportEmailProxy(t.Context(), []byte("[SMTP-1]"), nil); err == nil {
		t.Error("a file without accounts was imported")
	}
}

// TestImportEmailProxyWithOnePassword: the window asks for one password. It opens the tokens that it
// opens; an account with another one is added all the same, and needs its sign-in.
func TestImportEmailProxyWithOnePassword(t *testing.T) {
	r := newRig(t, rigOptions{noAccount: true})
	account := func(address, password string) string {
		return fmt.Sprintf("\n[%s]\npermission_url = %s\ntoken_url = %s\noauth2_scope = mail.send\nredirect_uri = http://localhost\nclient_id = waxseal-test\n"+
			"token_salt = %s\ntoken_iterations = 10\nrefresh_token = %s\n", address, r.provider.AuthURL(), r.provider.TokenURL(),
			base64.StdEncoding.EncodeToString([]byte("salt")), fernet(password, "salt", 10, r.provider.Grant(address)))
	}
	data := []byte(account("one@corp.test", "most people have one") + account("two@corp.test", "another"))
	report, err := r.server.ImportEmailProxy(t.Context(), data, map[string]string{"": "most people have one"})
	if err != nil || report.Imported != 2 || report.Failed != 0 || !reflect.DeepEqual(report.Consent, []string{"two@corp.test"}) {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := r.server.ImportEmailProxy(t.Context(), []byte(`[{"email": "three@corp.test"}]`), nil); err != nil {
		t.Errorf("an import file of another kind: %v", err)
	}
}
