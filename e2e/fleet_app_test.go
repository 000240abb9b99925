//go:build e2e

package e2e

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestFleetApp: accounts for which the program has its own right. Three machines ask for tokens as often as one, and
// when etcd hangs for longer than a token lives, nobody notices.
func TestFleetApp(t *testing.T) {
	beside(t)
	const life = 2 * time.Second
	f := newFleet(t, plan{
		machines: 3, nodes: 1,
		providers: map[string]providertest.Options{
			"app": {ClientID: "waxseal-test", ClientSecret: "hush", TokenTTL: life}, "minute": {Rotate: true, TokenTTL: time.Minute},
		},
		accounts: map[string]int{"minute": 1},
	})
	secret := filepath.Join(f.dir, "client-secret")
	if err := os.WriteFile(secret, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		address, m := fmt.Sprintf("app%d@app.test", i), f.machines[i]
		m.waxseal(0, "account", "add", address, "--provider", "app", "--client-secret-file", secret)
		f.passwords[address] = strings.TrimSpace(m.waxseal(0, "account", "password", address, "--only"))
		f.accounts["app"] = append(f.accounts["app"], address)
	}
	f.allSend(f.everywhere(), f.accounts["app"])

	before := f.providers["app"].Counts().TokenRequests
	l := f.load(f.everywhere(), f.accounts["app"], 200*time.Millisecond)
	time.Sleep(longer(10*time.Second, lasting))
	r := l.end()
	r.judge(t, "app")
	n := f.providers["app"].Counts().TokenRequests - before
	rounds := r.took.Seconds() / (life.Seconds() * 0.9)
	figure("app.token-requests", fmt.Sprintf("%d (accounts × time / life: %.0f)", n, 3*rounds))
	if float64(n) > 3*(math.Floor(rounds)+2) {
		t.Errorf("%d token requests for 3 accounts in %v", n, r.took)
	}

	l = f.load(f.everywhere(), f.accounts["app"], 300*time.Millisecond)
	f.etcd.Hang(0)
	time.Sleep(longer(3*life, 30*time.Second))
	f.etcd.Resume(0)
	l.end().judge(t, "app.etcd-hangs")
}
