package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/proxy/breaker"
)

// gaps are the pauses between the endpoint's requests.
func (e *fakeEndpoint) gaps() []time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	var gaps []time.Duration
	for i := 1; i < len(e.times); i++ {
		gaps = append(gaps, e.times[i].Sub(e.times[i-1]))
	}
	return gaps
}

// failTwice answers as told two times, then with a token.
func (e *fakeEndpoint) failTwice(bad http.HandlerFunc) {
	e.says(func(w http.ResponseWriter, r *http.Request) {
		if e.requests() < 3 {
			bad(w, r)
			return
		}
		writeToken(w, "access", "", 3600)
	})
}

func TestRetriesPassingFaults(t *testing.T) {
	faults := map[string]http.HandlerFunc{"drop": drop}
	for _, status := range []int{408, 429, 500, 502, 503, 504} {
		faults[fmt.Sprint(status)] = answers(status, "")
	}
	faults["temporarily_unavailable"] = answers(400, `{"error":"temporarily_unavailable"}`)
	faults["503 with JSON"] = answers(503, `{"error":"invalid_grant"}`) // no word on the grant
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.endpoint.failTwice(fault)
				wantToken(t, r.Grant, "access")
				r.endpoint.wantRequests(t, 3)
				for i, gap := range r.endpoint.gaps() {
					base := 500 * time.Millisecond << i
					if gap < base/2 || gap > base*3/2+time.Millisecond {
						t.Errorf("pause %d was %v, want %v give or take a half", i+1, gap, base)
					}
				}
				if s := r.breaker.Status(); s.Failures != 0 {
					t.Errorf("a call that worked in the end was counted: %+v", s)
				}
			})
		})
	}
}

func TestPausesDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[time.Duration]bool{}
		for range 5 {
			r := newRig(t)
			r.endpoint.failTwice(answers(503, ""))
			wantToken(t, r.Grant, "access")
			seen[r.endpoint.gaps()[0]] = true
		}
		if len(seen) < 2 {
			t.Errorf("five accounts paused alike: %v", seen)
		}
	})
}

func TestEndpointThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.endpoint.says(hang)
		start := time.Now()
		_, err := r.Token(t.Context())
		fault, ok := errors.AsType[*EndpointError](err)
		if !ok || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Token = %v, want an EndpointError of a deadline", err)
		}
		if want := "token endpoint login.example: no answer in time"; fault.Error() != want {
			t.Errorf("%q, want %q", fault, want)
		}
		if whole := time.Since(start); whole >= 25*time.Second {
			t.Errorf("the whole took %v", whole)
		}
		r.endpoint.wantRequests(t, 3)
		if gap := r.endpoint.gaps()[0]; gap < 10*time.Second || gap > 11*time.Second {
			t.Errorf("the second try came after %v, want 10 s and a short pause", gap)
		}
	})
}

func TestRetryAfterIsObeyed(t *testing.T) {
	t.Run("within the call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.endpoint.failTwice(answers(429, "", "Retry-After", "7"))
			wantToken(t, r.Grant, "access")
			for _, gap := range r.endpoint.gaps() {
				if gap < 7*time.Second {
					t.Errorf("asked again after %v, want 7 s at least", gap)
				}
			}
		})
	})
	t.Run("beyond it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.endpoint.says(answers(503, "", "Retry-After", "60"))
			start := time.Now()
			for range 3 {
				_, err := r.Token(t.Context())
				fault, ok := errors.AsType[*EndpointError](err)
				if !ok || fault.RetryAfter != 60*time.Second-time.Since(start) {
					t.Fatalf("Token = %#v, want an EndpointError with the time left", err)
				}
				time.Sleep(10 * time.Second)
			}
			r.endpoint.wantRequests(t, 1)
			time.Sleep(30 * time.Second)
			r.endpoint.says(nil)
			wantToken(t, r.Grant, "access-2")
		})
	})
	t.Run("as a date", func(t *testing.T) {
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		for v, want := range map[string]time.Duration{
			"":                              0,
			"7":                             7 * time.Second,
			" 7 ":                           7 * time.Second,
			"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
			"Fri, 02 Jan 2026 03:03:05 GMT": 0,
			"soon":                          0,
			"-5":                            0,
			"99999999999999999999":          0,
		} {
			if got := retryAfter(http.Header{"Retry-After": {v}}, now); got != want {
				t.Errorf("%q: %v, want %v", v, got, want)
			}
		}
	})
}

func TestBreakerOpensAfterFiveCallsAndProbesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.endpoint.says(answers(502, "<html>Bad gateway</html>"))
		for n := range 5 {
			if _, err := r.Token(t.Context()); err == nil {
				t.Fatal("a token from a broken endpoint")
			}
			r.endpoint.wantRequests(t, 3*(n+1))
		}
		opened := time.Now()
		r.secrets.Fail(errors.New("asked while the breaker is open"))
		for range 20 {
			_, err := r.Token(t.Context())
			open, ok := errors.AsType[*breaker.OpenError](err)
			if !ok || open.RetryIn != 30*time.Second || time.Now() != opened {
				t.Fatalf("Token = %v after %v, want an OpenError of 30 s at once", err, time.Since(opened))
			}
		}
		r.secrets.Fail(nil)
		r.endpoint.wantRequests(t, 15)
		wantState(t, r.Grant, Failed, "502") // not that it is open: what opened it

		// Many accounts wait behind one endpoint; one of them tries.
		time.Sleep(30 * time.Second)
		r.endpoint.says(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			writeToken(w, "access", "", 3600)
		})
		var all sync.WaitGroup
		var mu sync.Mutex
		worked := 0
		for i := range 20 {
			account := fmt.Sprintf("user%d@corp.example", i)
			r.put(t, "refresh/"+account, "granted")
			g, _ := r.grant(t, account)
			all.Go(func() {
				_, err := g.Token(t.Context())
				_, open := errors.AsType[*breaker.OpenError](err)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					worked++
				} else if !open {
					t.Errorf("beside the probe: %v", err)
				}
			})
		}
		all.Wait()
		if worked != 1 {
			t.Errorf("%d calls went through half open, want 1", worked)
		}
		r.endpoint.wantRequests(t, 16)
		wantToken(t, r.Grant, "access")
		if s := r.breaker.Status(); s.State != breaker.Closed {
			t.Errorf("after a good probe: %+v", s)
		}
	})
}

func TestOnRefreshHearsOfTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.endpoint.says(drop)
		for range 6 {
			r.Token(t.Context())
		}
		if got, want := r.results(), "error error error error error breaker"; got != want {
			t.Errorf("OnRefresh heard %q, want %q", got, want)
		}
	})
}

// The breaker's callback asks for everything's state, as a screen does. Under
// gobreaker's own lock that would hang for ever.
func TestBreakerCallbackMayAskForStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var told []string
		r.breaker = breaker.New(endpointHost, breaker.Settings{OnChange: func(s breaker.Status) {
			told = append(told, s.State.String()+" "+r.breaker.Status().State.String()+" "+r.Grant.Status().State)
		}})
		r.Grant, _ = r.grant(t, me)
		r.endpoint.says(drop)
		for range 5 {
			r.Token(t.Context())
		}
		if len(told) != 1 || told[0] != "open open refreshing" {
			t.Errorf("told %q", told)
		}
	})
}

func TestRevokedAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		wantToken(t, r.Grant, "access-1")
		r.endpoint.says(answers(400, `{"error":"invalid_grant","error_description":"AADSTS50173: The provided grant has expired. Trace ID: 1 Correlation ID: 2"}`))
		time.Sleep(56 * time.Minute) // the old token is good still, but the user must hear of it
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, err := r.Token(t.Context()); !isConsent(err) {
					t.Errorf("Token = %v, want ErrConsent", err)
				}
			})
		}
		all.Wait()
		_, err := r.Token(t.Context())
		want := "sign in again with `waxseal account reauthorize me@corp.example`: the password was changed, or all sessions were signed out (AADSTS50173)"
		if err == nil || err.Error() != want {
			t.Errorf("Token = %v, want %q", err, want)
		}
		wantState(t, r.Grant, NeedsConsent, "AADSTS50173")
		time.Sleep(24 * time.Hour)
		r.Token(t.Context())
		r.endpoint.wantRequests(t, 2) // the first token's, and one for all of these
		if got := r.results(); got != "ok consent" {
			t.Errorf("OnRefresh heard %q", got)
		}

		// However many accounts are revoked, the endpoint works.
		for i := range 20 {
			account := fmt.Sprintf("user%d@corp.example", i)
			r.put(t, "refresh/"+account, "revoked")
			g, _ := r.grant(t, account)
			g.Token(t.Context())
		}
		if s := r.breaker.Status(); s.State != breaker.Closed || s.Failures != 0 {
			t.Errorf("revoked accounts were held against the endpoint: %+v", s)
		}

		r.endpoint.says(func(w http.ResponseWriter, _ *http.Request) { writeToken(w, "access", "", 3600) })
		if _, err := r.Accept(t.Context(), "refresh-9"); err != nil {
			t.Fatal(err)
		}
		wantToken(t, r.Grant, "access")
		wantState(t, r.Grant, Ready, "")
	})
}

func TestConsentReasons(t *testing.T) {
	for description, want := range map[string]string{
		"AADSTS700082: The refresh token has expired due to inactivity.": "the consent was not used for 90 days and has expired (AADSTS700082)",
		"AADSTS50173: The provided grant has expired":                    "the password was changed, or all sessions were signed out (AADSTS50173)",
		"AADSTS65001: The user has not consented to use the application": "consent for this program is missing (AADSTS65001)",
		"AADSTS70000: Provided grant is invalid or malformed.":           "the consent was taken back, or was given for another program (AADSTS70000)",
		"AADSTS999999: Something new.":                                   "the provider says invalid_grant (AADSTS999999: Something new.)",
		"Token has been expired or revoked.":                             "the provider says invalid_grant (Token has been expired or revoked.)",
		"":                                                               "the provider says invalid_grant",
	} {
		if got := consentReason("invalid_grant", description); got != want {
			t.Errorf("%q: %q, want %q", description, got, want)
		}
	}
}

func TestWrongRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.endpoint.says(answers(400, `{"error":"unauthorized_client","error_description":"AADSTS700016: Application was not found"}`))
		for range 10 {
			_, err := r.Token(t.Context())
			refused, ok := errors.AsType[*RefusedError](err)
			if !ok || refused.Code != "unauthorized_client" || refused.Status != 400 {
				t.Fatalf("Token = %v, want a RefusedError", err)
			}
		}
		r.endpoint.wantRequests(t, 1) // no retry, and none for the next callers
		wantState(t, r.Grant, Failed, "client_id is not known in this organisation")
		if s := r.breaker.Status(); s.Failures != 0 {
			t.Errorf("the breaker counted a healthy refusal: %+v", s)
		}
		time.Sleep(time.Minute)
		r.endpoint.says(nil)
		wantToken(t, r.Grant, "access-2")
	})
}

func TestClientSecret(t *testing.T) {
	basicOnly := func(w http.ResponseWriter, r *http.Request) {
		if id, secret, ok := r.BasicAuth(); ok && id == clientID && secret == "s%2Bcret" {
			writeToken(w, "access", "", 3600)
			return
		}
		answers(401, `{"error":"invalid_client"}`)(w, r)
	}
	t.Run("in the body", func(t *testing.T) {
		r := newRig(t)
		r.put(t, clientKey, "s+cret")
		wantToken(t, r.Grant, "access-1")
		if got := r.endpoint.last().Get("client_secret"); got != "s+cret" {
			t.Errorf("client_secret %q", got)
		}
	})
	t.Run("by Basic where only that works, remembered", func(t *testing.T) {
		r := newRig(t)
		r.put(t, clientKey, "s+cret")
		r.endpoint.says(basicOnly)
		wantToken(t, r.Grant, "access")
		r.endpoint.wantRequests(t, 2)
		if r.endpoint.last().Has("client_secret") {
			t.Error("the secret went both ways")
		}
		r.Reject("access")
		wantToken(t, r.Grant, "access")
		r.endpoint.wantRequests(t, 3)
	})
	t.Run("wrong both ways", func(t *testing.T) {
		r := newRig(t)
		r.put(t, clientKey, "wrong")
		r.endpoint.says(basicOnly)
		if _, err := r.Token(t.Context()); !badClient(err) {
			t.Errorf("Token = %v, want invalid_client", err)
		}
		r.endpoint.wantRequests(t, 2)
	})
	t.Run("a public client is asked once", func(t *testing.T) {
		r := newRig(t)
		r.endpoint.says(basicOnly)
		if _, err := r.Token(t.Context()); !badClient(err) {
			t.Errorf("Token = %v, want invalid_client", err)
		}
		r.endpoint.wantRequests(t, 1)
	})
}
