//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/keystore/etcd/etcdtest"
)

// TestFleetReal: a user consents once, in the browser, at the real provider. Two machines send for the account and
// read its mail at Dovecot, with one chain of refresh tokens, of which each is used once.
func TestFleetReal(t *testing.T) {
	beside(t)
	const user = "fae@short.test" // whose tokens live for two seconds
	before := len(peers.provider.grants(user))
	mails := generated(3)
	filled(t, user, mails)
	settings := fmt.Sprintf("\n[etcd]\nendpoints = [\"%s\"]\n", strings.Join(etcdtest.Start(t, 1).Endpoints(), `", "`))
	machine := func(name string) *reader {
		r := &reader{desk: newDesk(t), address: user}
		r.env = append(r.env, "WAXSEAL_KEYSTORE_PASSPHRASE="+fleetPassphrase, "WAXSEAL_INSTANCE="+name)
		return r
	}
	first, second := machine("first"), machine("second")
	first.signUp(allProtocols, 0)
	first.configure(settings)
	first.waxseal(0, "keystore", "move", "etcd")
	second.write("config.toml", "keystore = \"etcd\"\n"+listeners+settings)
	second.password = first.password
	for _, r := range []*reader{first, second} {
		r.serve()
	}
	for round := 0; len(peers.provider.grants(user)) < before+4; round++ { // as many as tokens have to end for
		for i, r := range []*reader{first, second} {
			to := fmt.Sprintf("fleet-%d-%d", round, i)
			r.send(user, starttls, to)
			peers.sink.received(t, to+"@else.test")
			c := r.imap()
			c.do("SELECT INBOX")
			if got := strings.Count(strings.Join(c.do("FETCH 1:* (BODY.PEEK[HEADER])"), ""), "BODY["); got != len(mails) {
				t.Errorf("%d messages, want %d", got, len(mails))
			}
			c.logout()
		}
	}
	all := peers.provider.grants(user)[before:]
	unbroken(t, all)
	consents := 0
	for _, e := range all {
		if e.Type == "authorization_code" {
			consents++
		}
	}
	if consents != 1 {
		t.Errorf("%d consents", consents)
	}
	if said := second.waxseal(0, "status"); !strings.Contains(said, "first") || !strings.Contains(said, "second") {
		t.Errorf("status does not show both machines:\n%s", said)
	}
	figure("real-provider", fmt.Sprintf("%d refreshes, each token used once, by 2 machines", len(all)-consents))
	for _, r := range []*reader{first, second} {
		r.stop()
	}
	if text := first.text("config.toml"); strings.Contains(text, "[[account]]") || strings.Contains(second.text("config.toml"), "[[provider]]") {
		t.Error("a configuration file has accounts or providers that are in etcd")
	}
}
