package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestRenewalsSpread: accounts that were added together are not renewed together, and each is
// renewed well before its consent ends.
func TestRenewalsSpread(t *testing.T) {
	p := config.Provider{ConsentDays: 90}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	perHour := map[int]int{}
	for i := range 1000 {
		due := renewDue(p, fmt.Sprintf("user%d@corp.test", i), start).Sub(start)
		if due < 9*24*time.Hour || due > 12*24*time.Hour {
			t.Fatalf("due after %v", due)
		}
		perHour[int(due.Hours())]++
	}
	for hour, n := range perHour {
		if n > 60 {
			t.Errorf("%d renewals in hour %d", n, hour)
		}
	}
}

func TestAgesAreKept(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "consents.json")
	a, err := loadAges(path)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	a.change("Me@corp.test", func(a *age) { *a = age{Renewed: now, Next: now.Add(time.Hour)} })
	a.change("gone@corp.test", func(a *age) { *a = age{Next: now} })
	a.forget("gone@corp.test")
	if err := a.save(); err != nil {
		t.Fatal(err)
	}
	b, err := loadAges(path)
	if err != nil || b.get("me@corp.test") != a.get("me@corp.test") || b.get("me@corp.test").Renewed.IsZero() || len(b.of) != 1 {
		t.Errorf("read back: %+v, %v", b.of, err)
	}
	if err := os.WriteFile(path, []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := loadAges(path); err == nil || len(c.of) != 0 {
		t.Errorf("a damaged file: %+v, %v", c.of, err)
	}
}

// TestIdleAccountsAreRenewed: accounts that are due are renewed, and no others. The status says
// when a consent was last used and when it ends.
func TestIdleAccountsAreRenewed(t *testing.T) {
	r := newRig(t, rigOptions{accounts: []string{"due@corp.test", "new@corp.test"}, idle: true})
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	r.server.ages.change("due@corp.test", func(a *age) { *a = age{Renewed: past.AddDate(0, 0, -10), Next: past} })
	r.server.ages.change(me, func(a *age) { *a = age{Renewed: past, Next: future} })
	r.server.renewDueOnes(t.Context(), time.Millisecond)
	if n := r.provider.Counts().Refreshes; n != 1 {
		t.Errorf("%d refreshes", n)
	}
	if next := r.server.ages.get("new@corp.test").Next; next.IsZero() || next.After(time.Now().Add(renewSpread)) {
		t.Errorf("an account of unknown age is due %v", next)
	}
	for _, a := range r.server.Accounts() {
		known := a.Address != "new@corp.test"
		if a.ConsentUsed.IsZero() == known || a.ConsentEnds.IsZero() == known {
			t.Errorf("%s: used %v, ends %v", a.Address, a.ConsentUsed, a.ConsentEnds)
		}
		if a.Address == "due@corp.test" && a.ConsentEnds.Before(time.Now().AddDate(0, 0, 89)) {
			t.Errorf("after its renewal the consent ends %v", a.ConsentEnds)
		}
	}
	again, err := loadAges(agesPath(r.config))
	if err != nil || again.get("due@corp.test").Renewed.Before(past) {
		t.Errorf("not kept: %+v, %v", again.get("due@corp.test"), err)
	}
}

// TestClockThatWasAhead: dates that were saved while the clock was ahead do not delay the
// renewal of a consent, and a certificate that is not valid yet is replaced.
func TestClockThatWasAhead(t *testing.T) {
	var clock providertest.Clock
	r := newRig(t, rigOptions{accounts: []string{"unused@corp.test"}, idle: true, clock: &clock})
	clock.Set(400 * 24 * time.Hour)
	if _, err := r.server.hall.Mailbox(me).Grant.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.server.renewDueOnes(t.Context(), time.Millisecond)
	ahead, err := r.server.certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	clock.Set(0)
	r.server.renewDueOnes(t.Context(), time.Millisecond)
	for _, address := range []string{me, "unused@corp.test"} {
		if of := r.server.ages.get(address); of.Renewed.After(time.Now()) || of.Next.After(time.Now().AddDate(0, 0, 13)) {
			t.Errorf("%s: %+v", address, of)
		}
	}
	right, err := r.server.certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	if now := time.Now(); right == ahead || now.Before(right.Leaf.NotBefore) {
		t.Errorf("the certificate in use is valid from %v", right.Leaf.NotBefore)
	}
}
