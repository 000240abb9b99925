package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore/shared"
)

// appFleet is a fleet whose program has its own right to the mailbox, and the number of tokens it was given, of a minute
// each.
func appFleet(t *testing.T, names ...string) (*fleetRig, []*fleetMachine, *atomic.Int64) {
	f := newFleet(t)
	given := new(atomic.Int64)
	f.endpoint.says(func(w http.ResponseWriter, r *http.Request) {
		if r.PostForm.Get("grant_type") != ClientCredentials || r.PostForm.Get("client_secret") != "hush" {
			answers(http.StatusBadRequest, `{"error":"invalid_client"}`)(w, r)
			return
		}
		n := given.Add(1)
		time.Sleep(100 * time.Millisecond)
		writeToken(w, fmt.Sprint("app-", n), "", 60)
	})
	var machines []*fleetMachine
	for _, name := range names {
		machines = append(machines, f.machine(name, func(c *Config) { c.GrantType = ClientCredentials }))
	}
	if err := machines[0].store.Secrets().Set(t.Context(), ClientKey(machines[0].cfg.TokenURL, clientID), "hush"); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return f, machines, given
}

// Each machine asked for tokens of its own by the program's right, so a fleet of three asked three times as often.
func TestFleetSharesAppTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, machines, given := appFleet(t, "a", "b", "c")
		tenMinutes(t, machines)
		if n := given.Load(); n < 10 || n > 13 {
			t.Errorf("%d requests in ten minutes of 60 s tokens", n)
		}
		// A refused token is not taken from the record again.
		time.Sleep(10 * time.Minute)
		machines[0].want(t, fmt.Sprint("app-", given.Load()+1))
		synctest.Wait()
		machines[1].Reject(fmt.Sprint("app-", given.Load()))
		machines[1].want(t, fmt.Sprint("app-", given.Load()+1))
	})
}

// Nothing is lost by asking twice, so nobody waits for long: not for a machine that was killed, and not for an engine.
func TestFleetAppTokensNeedNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, machines, _ := appFleet(t, "a", "b")
		a, b := machines[0], machines[1]
		b.write(t, func(r *shared.Grant) { r.Claim = &shared.Claim{By: "dead", Process: "p"} })
		began := time.Now()
		b.want(t, "app-1")
		if took := time.Since(began); took > 2*claimBeat+time.Second {
			t.Errorf("waited %v for a machine that is gone", took)
		}
		synctest.Wait()
		a.want(t, "app-1")
		time.Sleep(10 * time.Minute)
		for _, m := range machines {
			m.e.set(errors.New("connection refused"))
		}
		began = time.Now()
		b.want(t, "app-2")
		a.want(t, "app-3")
		if took := time.Since(began); took > time.Second {
			t.Errorf("waited %v for the engine", took)
		}
		for _, m := range machines {
			m.e.set(nil)
		}
		time.Sleep(10 * time.Minute)
		b.want(t, "app-4")
		synctest.Wait()
		a.want(t, "app-4")
	})
}

// What the record has of a consent is not the program's, and is left alone.
func TestFleetAppTokensBesideAConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, machines, _ := appFleet(t, "a")
		a := machines[0]
		a.write(t, func(r *shared.Grant) {
			r.Gen, r.Refresh, r.Access, r.Got, r.Life = 7, "refresh-0", "of the consent", time.Now(), 3600
			r.Client, r.Consent = "another", &shared.Consent{Reason: string(ConsentRevoked)}
		})
		synctest.Wait()
		a.want(t, "app-1")
		r, _, err := a.store.Grant(me)
		if err != nil || r.Gen != 7 || r.Refresh != "refresh-0" || r.Client != "another" || r.Consent == nil || r.Claim != nil || r.Access != "app-1" {
			t.Errorf("the record is %+v, %v", r, err)
		}
		a.write(t, func(r *shared.Grant) { r.Consent, r.Client = nil, clientID })
		f.endpoint.says(f.provider.ServeHTTP)
		f.machine("b").want(t, "access-1") // an account whose user signs in
		a.want(t, "app-1")
	})
}

// A machine that cannot reach the provider kept all the others waiting for as long as it tried.
func TestFleetAppTokensDoNotWaitForASlowMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, machines, _ := appFleet(t, "a", "b")
		a, b := machines[0], machines[1]
		works, start := f.endpoint.answer, time.Now()
		f.endpoint.says(func(w http.ResponseWriter, r *http.Request) {
			if time.Since(start) < 10900*time.Millisecond { // a's first try, and its second one
				time.Sleep(time.Minute)
			}
			works(w, r)
		})
		go a.Token(context.Background())
		time.Sleep(time.Second)
		began := time.Now()
		if _, err := b.Token(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*claimBeat+time.Second {
			t.Errorf("waited %v for another machine", took)
		}
		time.Sleep(time.Minute)
	})
}

// While there was a good token, the claim of a machine that is gone kept everybody from asking for a newer one.
func TestFleetAppTokenIsRenewedInSpiteOfAClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, machines, _ := appFleet(t, "a", "b")
		f.endpoint.says(func(w http.ResponseWriter, r *http.Request) {
			writeToken(w, fmt.Sprint("app-", time.Now().Unix()), "", 3600)
		})
		b := machines[1]
		if _, err := b.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.write(t, func(r *shared.Grant) { r.Claim = &shared.Claim{By: "dead", Process: "p"} })
		time.Sleep(time.Minute)
		if err := b.Renew(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A token that was asked for with another configuration, of another tenant or user or for other scopes, is not taken, and
// the provider's wish for a pause was not for this one.
func TestFleetAppTokensAreOfTheirConfiguration(t *testing.T) {
	for name, edit := range map[string]func(*Config){
		"tenant": func(c *Config) { c.TokenURL += "/another" },
		"scopes": func(c *Config) { c.Scopes = []string{"https://example.com/IMAP"} },
		"user":   func(c *Config) { c.Login = "somebody@else.example" },
		"client": func(c *Config) { c.ClientID = clientID + "-2" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, machines, _ := appFleet(t, "a")
				machines[0].want(t, "app-1")
				f.endpoint.says(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", "300")
					w.WriteHeader(http.StatusTooManyRequests)
				})
				if err := machines[0].Renew(t.Context()); err == nil {
					t.Fatal("renewed")
				}
				if r, _, _ := machines[0].store.Grant(me); r.NotBefore.IsZero() || r.Access != "app-1" {
					t.Errorf("the record is %+v", r)
				}
				f.endpoint.says(func(w http.ResponseWriter, r *http.Request) { writeToken(w, "another", "", 60) })
				b := f.machine("b", func(c *Config) { c.GrantType = ClientCredentials }, edit)
				if err := b.store.Secrets().Set(t.Context(), ClientKey(b.cfg.TokenURL, b.cfg.ClientID), "hush"); err != nil {
					t.Fatal(err)
				}
				b.want(t, "another")
			})
		})
	}
}

// A claim whose answer got lost was left in the record by a machine that asked alone, and the others waited for it.
func TestFleetAppTakesItsLostClaimBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, machines, _ := appFleet(t, "a", "b")
		a, b := machines[0], machines[1]
		a.e.mu.Lock()
		a.e.lost = 1
		a.e.mu.Unlock()
		a.want(t, "app-1")
		synctest.Wait()
		if r, _, err := b.store.Grant(me); err != nil || r.Claim != nil || r.Access != "app-1" {
			t.Errorf("the record is %+v, %v", r, err)
		}
		began := time.Now()
		b.want(t, "app-1")
		if took := time.Since(began); took > time.Second {
			t.Errorf("waited %v", took)
		}
	})
}
