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

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/breaker"
)

func TestTokenIsCachedUntilNearItsEnd(t *testing.T) {
	for _, tt := range []struct {
		life, fresh time.Duration
	}{
		{time.Hour, 55 * time.Minute},
		{24 * time.Hour, 24*time.Hour - 5*time.Minute},
		{time.Minute, 54 * time.Second},
		{50 * time.Minute, 45 * time.Minute},
	} {
		t.Run(tt.life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				n := 0
				r.endpoint.says(func(w http.ResponseWriter, _ *http.Request) {
					n++
					writeToken(w, fmt.Sprint("access-", n), "", int(tt.life/time.Second))
				})
				wantState(t, r.Grant, Unknown, "")
				wantToken(t, r.Grant, "access-1")
				wantState(t, r.Grant, Ready, "")
				time.Sleep(tt.fresh - time.Nanosecond)
				wantToken(t, r.Grant, "access-1")
				time.Sleep(time.Nanosecond)
				wantToken(t, r.Grant, "access-2")
				r.endpoint.wantRequests(t, 2)
			})
		})
	}
}

func TestRequestForm(t *testing.T) {
	r := newRig(t)
	wantToken(t, r.Grant, "access-1")
	if got, want := r.endpoint.last().Encode(), "client_id=client-1&grant_type=refresh_token&refresh_token=refresh-1"; got != want {
		t.Errorf("the form is %s, want %s", got, want)
	}
}

// TestBuiltInSecret: it is sent where the keystore has no secret for that registration.
func TestBuiltInSecret(t *testing.T) {
	r := newRig(t)
	r.cfg.ClientSecret = "built-in"
	wantToken(t, r.Grant, "access-1")
	if got := r.endpoint.last().Get("client_secret"); got != "built-in" {
		t.Errorf("client_secret %q", got)
	}
	r.put(t, clientKey, "own")
	if err := r.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.endpoint.last().Get("client_secret"); got != "own" {
		t.Errorf("client_secret %q", got)
	}
}

func TestManyCallersOneRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		release := make(chan struct{})
		r.endpoint.says(func(w http.ResponseWriter, _ *http.Request) {
			<-release
			writeToken(w, "access", "refresh-2", 3600)
		})
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { wantToken(t, r.Grant, "access") })
		}
		synctest.Wait()
		wantState(t, r.Grant, Refreshing, "")
		close(release)
		all.Wait()
		r.endpoint.wantRequests(t, 1)
		if got := r.results(); got != "ok" {
			t.Errorf("OnRefresh heard %q, want one ok", got)
		}
	})
}

// One AUTH that is given up must not end the refresh that the others wait for; nor may the last one,
// since the answer may replace the refresh token.
func TestLeavingCallersCancelNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		release := make(chan struct{})
		r.endpoint.says(func(w http.ResponseWriter, _ *http.Request) {
			<-release
			writeToken(w, "access", "refresh-2", 3600)
		})
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				if _, err := r.Token(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("the caller who left got %v", err)
				}
			})
		}
		synctest.Wait()
		all.Go(func() { wantToken(t, r.Grant, "access") })
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(release)
		all.Wait()
		r.endpoint.wantRequests(t, 1)

		// And with nobody left:
		r.Reject("access")
		again := make(chan struct{})
		r.endpoint.says(func(w http.ResponseWriter, _ *http.Request) {
			<-again
			writeToken(w, "access-b", "refresh-3", 3600)
		})
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Token = %v, want the caller's deadline", err)
		}
		close(again)
		synctest.Wait()
		r.wantKept(t, "refresh-3")
		wantToken(t, r.Grant, "access-b")
		r.endpoint.wantRequests(t, 2)
	})
}

func TestRejectedTokenIsRefreshedOnce(t *testing.T) {
	r := newRig(t)
	wantToken(t, r.Grant, "access-1")
	r.Reject("another")
	wantToken(t, r.Grant, "access-1")
	r.Reject("access-1")
	wantToken(t, r.Grant, "access-2")
	r.Reject("access-1") // a slower connection learns of it later
	wantToken(t, r.Grant, "access-2")
	r.endpoint.wantRequests(t, 2)
}

func TestOldTokenServesWhileItIsGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		wantToken(t, r.Grant, "access-1")
		time.Sleep(57 * time.Minute)

		r.endpoint.says(answers(503, ""))
		wantToken(t, r.Grant, "access-1")
		wantState(t, r.Grant, Ready, "503")

		r.endpoint.says(hang)
		asked := time.Now()
		wantToken(t, r.Grant, "access-1")
		if waited := time.Since(asked); waited != shortPatience {
			t.Errorf("waited %v with a good token at hand, want %v", waited, shortPatience)
		}
		// The answer is awaited beyond the old token's end.
		time.Sleep(4 * time.Minute)
		if token, err := r.Token(t.Context()); ReasonOf(err) != Late {
			t.Errorf("a token past its end was given: %v, %v", token, err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		wantState(t, r.Grant, Failed, "no answer in time")
		r.endpoint.says(nil)
		wantToken(t, r.Grant, "access-6")
	})
}

func TestKeystoreUnavailable(t *testing.T) {
	r := newRig(t)
	r.secrets.Fail(keystore.ErrLocked)
	for range 10 {
		_, err := r.Token(t.Context())
		if !errors.Is(err, keystore.ErrUnavailable) || !errors.Is(err, keystore.ErrLocked) || isConsent(err) {
			t.Fatalf("Token = %v, want the keystore's error", err)
		}
	}
	wantState(t, r.Grant, Failed, "locked")
	r.endpoint.wantRequests(t, 0)
	if s := r.breaker.Status(); s.State != breaker.Closed || s.Failures != 0 {
		t.Errorf("the breaker counted it: %+v", s)
	}
	r.secrets.Fail(nil)
	wantToken(t, r.Grant, "access-1")
}

func TestNeverSignedIn(t *testing.T) {
	r := newRig(t)
	g, results := r.grant(t, "new@corp.example")
	if _, err := g.Token(t.Context()); !isConsent(err) {
		t.Fatalf("Token = %v, want ErrConsent", err)
	}
	wantState(t, g, NeedsConsent, "nobody has signed in")
	r.endpoint.wantRequests(t, 0)
	if _, err := g.Accept(t.Context(), "granted"); err != nil {
		t.Fatal(err)
	}
	wantState(t, g, Unknown, "")
	wantToken(t, g, "access-1")
	if got := results(); got != "consent ok" {
		t.Errorf("OnRefresh heard %q", got)
	}
}

func TestClose(t *testing.T) {
	t.Run("waits for the refresh", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			release := make(chan struct{})
			r.endpoint.says(func(w http.ResponseWriter, _ *http.Request) {
				<-release
				writeToken(w, "access", "refresh-2", 3600)
			})
			go r.Token(t.Context())
			synctest.Wait()
			time.AfterFunc(time.Second, func() { close(release) })
			if err := r.Close(t.Context()); err != nil {
				t.Error(err)
			}
			r.wantKept(t, "refresh-2")
			r.Reject("access")
			if _, err := r.Token(t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("Token after Close = %v", err)
			}
		})
	})
	// Its account may be gone, or have a Grant that does not know of this token.
	t.Run("takes no consent afterwards", func(t *testing.T) {
		r := newRig(t)
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.adopt(t.Context(), answer{access: "access", refresh: "refresh-2"}, ""); !errors.Is(err, ErrClosed) {
			t.Errorf("a consent after Close = %v", err)
		}
		r.wantKept(t, "refresh-1")
	})
	t.Run("until ctx ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.endpoint.says(hang)
			go r.Token(t.Context())
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			r.Close(ctx)
			if d := time.Since(start); d != time.Second {
				t.Errorf("Close took %v, want 1 s", d)
			}
			if s := r.breaker.Status(); s.Failures != 0 {
				t.Errorf("the breaker counted a cancelled call: %+v", s)
			}
		})
	})
	t.Run("stores what was not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.endpoint.says(func(w http.ResponseWriter, _ *http.Request) {
				r.secrets.Fail(keystore.ErrLocked)
				writeToken(w, "access", "refresh-2", 3600)
			})
			wantToken(t, r.Grant, "access")
			r.secrets.Fail(nil)
			if err := r.Close(t.Context()); err != nil {
				t.Error(err)
			}
			r.wantKept(t, "refresh-2")
		})
	})
}

func BenchmarkTokenCached(b *testing.B) {
	r := newRig(b)
	wantToken(b, r.Grant, "access-1")
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.Token(ctx); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkTokenBreakerOpen(b *testing.B) {
	r := newRig(b)
	r.breaker = breaker.New(endpointHost, breaker.Settings{Failures: 1, OpenFor: time.Hour})
	g, _ := r.grant(b, me)
	r.breaker.Do(func() error { return errors.New("down") })
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := g.Token(ctx); err == nil {
				b.Error("a token through an open breaker")
			}
		}
	})
}
