package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// failures collects the failed checks of doctor or of a test message.
func failures(into map[string]api.Check) func(api.Check) {
	return func(c api.Check) {
		if !c.OK {
			into[strings.TrimSpace(c.Name+" "+c.Subject)] = c
		}
	}
}

// TestDoctorNamesTheCure: doctor names the cure for each fault and continues with the next
// account.
func TestDoctorNamesTheCure(t *testing.T) {
	r := newRig(t, rigOptions{accounts: []string{"revoked@corp.test", "barred@corp.test"}})
	r.provider.Revoke("revoked@corp.test")
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) providertest.Action {
		if e.Step == providertest.StepAuth && e.Account == "barred@corp.test" {
			return providertest.Action{Code: 535, Text: "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox."}
		}
		return providertest.Action{}
	}})
	wrong := map[string]api.Check{}
	if n := r.server.Doctor(t.Context(), failures(wrong)); n != 2 || len(wrong) != 2 {
		t.Errorf("%d failed: %+v", n, wrong)
	}
	for name, want := range map[string]string{
		"token revoked@corp.test": "waxseal account reauthorize revoked@corp.test",
		"login barred@corp.test":  "administrator",
	} {
		if c := wrong[name]; !strings.Contains(c.Problem.Remedy(), want) || strings.Contains(c.Result.String(), "password") {
			t.Errorf("%s: %+v; want the cure %q", name, c, want)
		}
	}

	r.secrets.Fail(keystore.ErrLocked)
	wrong = map[string]api.Check{}
	r.server.Doctor(t.Context(), failures(wrong))
	if c := wrong["keystore"]; c.Problem.State != api.KeystoreLocked || c.Problem.Cure.String() != keystore.Cure(keystore.ErrLocked) {
		t.Errorf("keystore: %+v", c)
	}
	r.secrets.Fail(nil)
}

// TestDoctorChecksAccountsAtOnce: accounts whose provider is slow do not wait for each other, and
// the checks of each stay together.
func TestDoctorChecksAccountsAtOnce(t *testing.T) {
	addresses := []string{"a@corp.test", "b@corp.test", "c@corp.test"}
	r := newRig(t, rigOptions{accounts: addresses})
	var waiting sync.WaitGroup
	waiting.Add(len(addresses))
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) (none providertest.Action) {
		if e.Step == providertest.StepAuth && slices.Contains(addresses, e.Account) {
			waiting.Done()
			waiting.Wait() // until all have come this far
		}
		return none
	}})
	var order []string
	if failed := r.server.Doctor(t.Context(), func(c api.Check) {
		if strings.Contains(c.Subject, "@") {
			order = append(order, c.Subject)
		}
	}); failed != 0 {
		t.Errorf("%d checks failed", failed)
	}
	if seen := slices.Compact(slices.Clone(order)); len(order) != 3*len(seen) || len(seen) != len(addresses)+1 {
		t.Errorf("the checks come in the order %q", order)
	}
}

// TestDoctorLooksAtTheConfiguration: doctor checks the configuration and its registrations.
func TestDoctorLooksAtTheConfiguration(t *testing.T) {
	r := newRig(t, rigOptions{})
	if n := r.server.Doctor(t.Context(), func(api.Check) {}); n != 0 {
		t.Fatalf("%d failed with nothing wrong", n)
	}
	text := readText(t, r.config)
	for name, c := range map[string]struct{ text, want string }{
		"damaged": {"accounts = 7\n", "unknown key"},
		"changed": {text + "\n[[account]]\naddress = \"other@corp.test\"\n", "has changed since it was read"},
	} {
		if err := os.WriteFile(r.config, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		wrong := map[string]api.Check{}
		r.server.Doctor(t.Context(), failures(wrong))
		if got := wrong["configuration"]; len(wrong) != 1 || !strings.Contains(got.Result.String(), c.want) || got.Problem.Remedy() == "" {
			t.Errorf("%s: %+v", name, wrong)
		}
	}
	text = strings.Replace(strings.ReplaceAll(text, "client_id = \"waxseal-test\"\n", ""), "[[account]]", "[[account]]\naddress = \"new@corp.test\"\n[[account]]", 1)
	if err := os.WriteFile(r.config, []byte(text), 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := r.server.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(r.config, 0o400); err != nil {
		t.Fatal(err)
	}
	wrong := map[string]api.Check{}
	r.server.Doctor(t.Context(), failures(wrong))
	for name, want := range map[string]string{"configuration": "can’t be written", "registration new@corp.test": "no client ID"} {
		if got := wrong[name]; got.Problem == nil || !strings.Contains(got.Result.String(), want) || got.Problem.Remedy() == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestChecksHoldNoSecret: whatever fails, the checks can be part of a bug report.
func TestChecksHoldNoSecret(t *testing.T) {
	r := newRig(t, rigOptions{accounts: []string{"revoked@corp.test"}})
	refresh := refreshTokenOf(t, r)
	var all []api.Check
	keep := func(c api.Check) { all = append(all, c) }
	r.server.Doctor(t.Context(), keep)
	r.server.SendTest(t.Context(), me, "you@there.test", keep)
	token, err := r.server.hall.Mailbox(me).Grant.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.provider.Revoke("revoked@corp.test")
	r.provider.SetFaults(providertest.Faults{SMTP: at(providertest.StepAuth, providertest.Action{Code: 535, Text: "5.7.3 no"})})
	for _, b := range r.server.hall.Mailboxes() {
		b.Pool.Drop()
	}
	r.server.Doctor(t.Context(), keep)
	r.server.SendTest(t.Context(), me, "you@there.test", keep)
	r.provider.Close()
	r.server.Doctor(t.Context(), keep)
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, c := range all {
		untimed := c.Took <= 0 && runtime.GOOS != "windows" // whose clock has steps of milliseconds
		if untimed || c.Result.IsZero() || !c.OK && c.Problem.Remedy() == "" {
			t.Errorf("a check without its time, result or cure: %+v", c)
		}
		if !c.OK {
			named++
		}
	}
	if named < 4 {
		t.Errorf("only %d checks failed", named)
	}
	for _, secret := range []string{password, refresh, token.Value} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%q is in %s", secret, text)
		}
	}
}

// TestDoctorsOfOneKeychain: several run at the same time without deleting each other's test
// secret.
func TestDoctorsOfOneKeychain(t *testing.T) {
	r := newRig(t, rigOptions{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				if _, err := r.server.checkKeystore(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestSendTestStopsWhereItFails: it reports the provider's own words.
func TestSendTestStopsWhereItFails(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.provider.SetFaults(providertest.Faults{SMTP: stubborn})
	wrong := map[string]api.Check{}
	err := r.server.SendTest(t.Context(), me, "unknown@there.test", failures(wrong))
	if err == nil || !strings.Contains(wrong["recipient"].Problem.Said, "does not exist") || len(r.provider.Messages()) != 0 {
		t.Errorf("%v, %+v", err, wrong)
	}
	if err := r.server.SendTest(t.Context(), me, "you@there.test", failures(wrong)); err != nil || len(r.provider.Messages()) != 1 {
		t.Errorf("%v, %d messages", err, len(r.provider.Messages()))
	}
	if err := r.server.SendTest(t.Context(), "nobody@corp.test", "you@there.test", failures(wrong)); err == nil {
		t.Error("an account that does not exist sent a message")
	}
}

// TestAuthorizeTriesTheToken: it does so before it reports success.
func TestAuthorizeTriesTheToken(t *testing.T) {
	r := newRig(t, rigOptions{})
	if _, err := r.server.Add(t.Context(), api.Account{Address: "new@corp.test"}, ""); err != nil {
		t.Fatal(err)
	}
	var browsers sync.WaitGroup // a browser does not block the program that opened it
	defer browsers.Wait()
	browser := func(press func(url string) (string, error)) func(api.Prompt) error {
		return func(p api.Prompt) error {
			if p.URL != "" {
				browsers.Go(func() {
					if _, err := press(p.URL); err != nil {
						t.Errorf("the browser: %v", err)
					}
				})
			}
			return nil
		}
	}
	approve := browser(func(url string) (string, error) { return r.provider.Approve(url, "new@corp.test") })
	r.provider.SetFaults(providertest.Faults{SMTP: at(providertest.StepAuth, providertest.Action{Code: 535, Text: "5.7.139 switched off"})})
	consented, err := r.server.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: "new@corp.test"}}, approve)
	if !consented || err == nil || !strings.Contains(err.Error(), "does not let new@corp.test send yet") {
		t.Errorf("with SMTP AUTH switched off: %t, %v", consented, err)
	}
	r.provider.SetFaults(providertest.Faults{})
	if consented, err = r.server.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: "new@corp.test"}}, approve); !consented || err != nil {
		t.Errorf("%t, %v", consented, err)
	}
	if consented, err = r.server.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: "new@corp.test"}}, browser(r.provider.Deny)); consented || err == nil {
		t.Errorf("denied: %t, %v", consented, err)
	}
}

// TestAuthorizeAsAnotherUser: the window asks who signs in for a shared mailbox that is already there.
func TestAuthorizeAsAnotherUser(t *testing.T) {
	r := newRig(t, rigOptions{})
	if _, err := r.server.Add(t.Context(), api.Account{Address: "office@corp.test"}, ""); err != nil {
		t.Fatal(err)
	}
	to := api.ConsentRequest{Account: api.Account{Address: "office@corp.test", Login: "new@corp.test"}, Device: true}
	consented, err := r.server.Authorize(t.Context(), to, func(p api.Prompt) error {
		if p.Device == nil {
			return nil
		}
		return r.provider.ApproveDevice(p.Device.UserCode, "new@corp.test")
	})
	if !consented || err != nil {
		t.Errorf("%t, %v", consented, err)
	}
	if got := r.server.hall.Mailbox("office@corp.test").Account.Login; got != "new@corp.test" {
		t.Errorf("%q logs in", got)
	}
}

// TestAuthorizeByCode is for machines without a browser.
func TestAuthorizeByCode(t *testing.T) {
	r := newRig(t, rigOptions{})
	if _, err := r.server.Add(t.Context(), api.Account{Address: "new@corp.test"}, ""); err != nil {
		t.Fatal(err)
	}
	shown := 0
	consented, err := r.server.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: "new@corp.test"}, Device: true}, func(p api.Prompt) error {
		if p.Device == nil {
			return nil
		}
		shown++
		return r.provider.ApproveDevice(p.Device.UserCode, "new@corp.test")
	})
	if !consented || err != nil || shown != 1 {
		t.Errorf("%t, %v, shown %d times", consented, err, shown)
	}
}

// TestServiceAccount uses a key that an administrator created.
func TestServiceAccount(t *testing.T) {
	r := newRig(t, rigOptions{noAccount: true})
	key, err := r.provider.ServiceKey()
	if err != nil {
		t.Fatal(err)
	}
	var named struct {
		Email string `json:"client_email"`
	}
	if err := json.Unmarshal(key, &named); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("consent_days = 90"), []byte(`grant = "jwt_bearer"`), 1)
	text = bytes.Replace(text, []byte(`client_id = "waxseal-test"`), fmt.Appendf(nil, "client_id = %q", named.Email), 1)
	if err := os.WriteFile(r.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.server.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.server.Add(t.Context(), api.Account{Address: me}, string(key)); err != nil {
		t.Fatal(err)
	}
	if consented, err := r.server.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: me}}, func(api.Prompt) error { return nil }); !consented || err != nil {
		t.Errorf("%t, %v", consented, err)
	}
}

// TestAppOnlyAccount uses the program's own permission to send: nobody signs in.
func TestAppOnlyAccount(t *testing.T) {
	r := newRig(t, rigOptions{provider: providertest.Options{ClientID: "waxseal-test", ClientSecret: "app-secret"}, noAccount: true})
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("consent_days = 90"), []byte(`grant = "client_credentials"`), 1)
	if err := os.WriteFile(r.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.server.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.server.Add(t.Context(), api.Account{Address: me}, "wrong"); err != nil {
		t.Fatal(err)
	}
	show := func(p api.Prompt) error {
		if p.URL != "" || p.Device != nil {
			t.Errorf("somebody was asked to sign in: %+v", p)
		}
		return nil
	}
	if consented, err := r.server.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: me}}, show); consented || err == nil {
		t.Errorf("with a wrong secret: %t, %v", consented, err)
	}
	if _, err := r.server.Remove(t.Context(), me); err != nil {
		t.Fatal(err)
	}
	pw, err := r.server.Add(t.Context(), api.Account{Address: me}, "app-secret")
	if err != nil {
		t.Fatal(err)
	}
	if consented, err := r.server.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: me}}, show); !consented || err != nil {
		t.Fatalf("%t, %v", consented, err)
	}
	p := r.dial()
	p.auth(me, pw)
	if got := p.message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("got %q", got)
	}
	// Another secret is tried at once, even if a token is cached or a secret was refused before.
	for _, secret := range []string{"mistyped", "app-secret"} {
		if err := r.server.SetClient(t.Context(), me, api.Client{Secret: secret}); err != nil {
			t.Fatal(err)
		}
		if consented, err := r.server.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: me}}, show); consented != (secret == "app-secret") {
			t.Errorf("with the secret %s: %t, %v", secret, consented, err)
		}
	}
}

// TestKeystoreIsLookedAt: window and tray hear that the keystore can be read again without anybody
// sending a message.
func TestKeystoreIsLookedAt(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.secrets.Fail(keystore.ErrLocked)
	if err := r.server.UnlockKeystore(t.Context()); !errors.Is(err, keystore.ErrLocked) {
		t.Fatal(err)
	}
	seen := false
	for snap := range r.server.Watch(t.Context(), 0) {
		if snap.Keystore.Problem != nil {
			seen = true
			r.secrets.Fail(nil)
		} else if seen {
			return
		}
	}
	t.Error("nobody is told")
}
