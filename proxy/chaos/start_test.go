//go:build linux

package chaos

import (
	"testing"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
)

// TestStartWithoutNetwork starts a server that can reach nothing: no DNS, no mail server, no token
// endpoint, not even the keychain. Once everything is back, mail is sent without anybody doing
// anything.
func TestStartWithoutNetwork(t *testing.T) {
	w := newWorld(t, 1, 0)
	w.shutdown()
	w.calm.Store(false)
	e := &events{world: w}
	e.noNetwork()
	w.secrets.Fail(keystore.ErrLocked)
	w.serve()
	if s := w.server.Snapshot(); s.State != "serving" {
		t.Fatalf("without a network the server is %s", s.State)
	}
	j := job{last: 1, account: w.places[0].accounts[0], door: "plain"}
	for unlocked := range 2 {
		if unlocked == 1 {
			w.secrets.Fail(nil)
		}
		if err := w.send(&j); err != nil || w.ledger.outcome[0] != untried {
			t.Errorf("without a network: %s, %v", outcomeNames[w.ledger.outcome[0]], err)
		}
	}
	e.heal()
	w.calm.Store(true)
	w.afterwards(1) // each account sends, now and after another start
	for _, b := range w.server.Snapshot().Breakers {
		if b.State != api.Closed {
			t.Errorf("%+v", b)
		}
	}
	w.stop()
}
