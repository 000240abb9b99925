package oauth

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore"
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

// Only what surely had no effect is tried again by itself.
func TestRetriesWhatHadNoEffect(t *testing.T) {
	faults := map[string]http.HandlerFunc{
		"429":                     answers(429, ""),
		"503":                     answers(503, ""),
		"503 with JSON":           answers(503, `{"error":"invalid_grant"}`), // says nothing of the grant
		"temporarily_unavailable": answers(400, `{"error":"temporarily_unavailable"}`),
	}
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
	t.Run("no connection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			transport := r.endpoint.client.Transport.(*http.Transport)
			dial, tries := transport.DialContext, 0
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				if tries++; tries < 3 {
					return nil, errors.New("connection refused")
				}
				return dial(ctx, network, address)
			}
			wantToken(t, r.Grant, "access-1")
			r.endpoint.wantRequests(t, 1)
		})
	})
	t.Run("a connection that is never made", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.endpoint.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			start := time.Now()
			_, err := r.Token(t.Context())
			if ReasonOf(err) != Late || time.Since(start) != 25*time.Second {
				t.Errorf("Token = %v after %v", err, time.Since(start))
			}
			time.Sleep(time.Minute)
			wantState(t, r.Grant, Failed, "no connection in time")
			if got := r.results(); got != "error" {
				t.Errorf("OnRefresh heard %q", got)
			}
		})
	})
}

// What became of a request whose answer did not come is unknown: the provider may have replaced the
// refresh token, and take a second use for theft. The next caller asks with it all the same; there is
// no other.
func TestNothingUnclearIsRepeated(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"drop":      drop,
		"408":       answers(408, ""),
		"500":       answers(500, ""),
		"502":       answers(502, page200),
		"504":       answers(504, ""),
		"a page":    answers(200, page200),
		"no answer": func(w http.ResponseWriter, r *http.Request) { time.Sleep(6 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.endpoint.says(fault)
				_, err := r.Token(t.Context())
				if fault, ok := errors.AsType[*EndpointError](err); !ok || !fault.Sent {
					t.Errorf("Token = %#v", err)
				}
				time.Sleep(10 * time.Minute)
				r.endpoint.wantRequests(t, 1)
				if s := r.breaker.Status(); s.Failures != 1 {
					t.Errorf("the breaker counted %d failures", s.Failures)
				}
				r.endpoint.says(nil)
				wantToken(t, r.Grant, "access-2")
			})
		})
	}
}

// strict rotates, and revokes the grant when a refresh token comes twice. Each answer takes its time.
type strict struct {
	takes   time.Duration
	newest  int
	revoked bool
}

func (s *strict) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.PostForm.Get("refresh_token") != fmt.Sprint("refresh-", s.newest) {
		s.revoked = true
	}
	if s.revoked {
		answers(400, `{"error":"invalid_grant"}`)(w, r)
		return
	}
	s.newest++
	newest := s.newest
	time.Sleep(s.takes)
	writeToken(w, fmt.Sprint("access-", newest), fmt.Sprint("refresh-", newest), 3600)
}

// TestSlowEndpoint: three logins at an endpoint that answers after 11 s, rotates, and revokes on
// replay made eight replays and lost the grant.
func TestSlowEndpoint(t *testing.T) {
	for _, takes := range []time.Duration{11 * time.Second, 40 * time.Second, 4 * time.Minute} {
		t.Run(takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				provider := &strict{takes: takes, newest: 1}
				r.endpoint.says(provider.ServeHTTP)
				begin := time.Now()
				for {
					asked := time.Now()
					token, err := r.Token(t.Context())
					if err == nil {
						if token.Value != "access-2" || time.Since(begin) != takes {
							t.Errorf("%v after %v", token.Value, time.Since(begin))
						}
						break
					}
					if ReasonOf(err) != Late || time.Since(asked) != 25*time.Second || !strings.Contains(err.Error(), "no answer yet; Waxseal waits for it") {
						t.Fatalf("Token = %v after %v", err, time.Since(asked))
					}
					synctest.Wait()
					wantState(t, r.Grant, Refreshing, "no answer yet")
				}
				r.endpoint.wantRequests(t, 1)
				r.wantKept(t, "refresh-2")
				wantState(t, r.Grant, Ready, "")
				if late := takes > 25*time.Second; late != (r.breaker.Status().Failures == 1) {
					t.Errorf("the breaker: %+v", r.breaker.Status())
				}
				if provider.revoked {
					t.Error("a refresh token was sent twice")
				}
			})
		})
	}
}

// An endpoint that hangs is left alone as soon as five accounts have waited for it, not when its
// answers are given up.
func TestEndpointThatHangsOpensTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.endpoint.says(hang)
		var all sync.WaitGroup
		for i := range 5 {
			account := fmt.Sprintf("user%d@corp.example", i)
			r.put(t, "refresh/"+account, "granted")
			g, _ := r.grant(t, account)
			all.Go(func() { g.Token(t.Context()) })
		}
		all.Wait()
		synctest.Wait()
		if _, ok := errors.AsType[*breaker.OpenError](r.Renew(t.Context())); !ok {
			t.Errorf("the breaker: %+v", r.breaker.Status())
		}
	})
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
		if ReasonOf(err) != Late {
			t.Fatalf("Token = %v, want that the answer is late", err)
		}
		if want := "token endpoint login.example: no answer yet; Waxseal waits for it"; err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
		if whole := time.Since(start); whole != 25*time.Second {
			t.Errorf("the whole took %v", whole)
		}
		time.Sleep(5*time.Minute - 25*time.Second)
		synctest.Wait()
		wantState(t, r.Grant, Failed, "token endpoint login.example: no answer in time")
		r.endpoint.wantRequests(t, 1)
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
			"1.5":                           1500 * time.Millisecond,
			"99999999999999999999":          maxLife * time.Second,
		} {
			if got := retryAfter(http.Header{"Retry-After": {v}}, now); got != want {
				t.Errorf("%q: %v, want %v", v, got, want)
			}
		}
		// By the clock of whoever says so.
		h := http.Header{"Retry-After": {"Fri, 02 Jan 2026 13:05:05 GMT"}, "Date": {"Fri, 02 Jan 2026 13:04:35 GMT"}}
		if got := retryAfter(h, now); got != 30*time.Second {
			t.Errorf("with a clock that is behind: %v, want 30 s", got)
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
			r.endpoint.wantRequests(t, n+1)
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
		r.endpoint.wantRequests(t, 5)
		wantState(t, r.Grant, Failed, "502") // not that it is open: what opened it

		// Many accounts wait for one endpoint; one of them tries.
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
					t.Errorf("besides the probe: %v", err)
				}
			})
		}
		all.Wait()
		if worked != 1 {
			t.Errorf("%d calls went through half open, want 1", worked)
		}
		r.endpoint.wantRequests(t, 6)
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

// The breaker's callback asks for everything's state, as a screen does. Under gobreaker's own lock that
// would hang forever.
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
		time.Sleep(56 * time.Minute) // the old token is still good, but the user must hear of it
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
		wantState(t, r.Grant, Failed, "the client ID is not known to the provider, or not in this organisation")
		if s := r.breaker.Status(); s.Failures != 0 {
			t.Errorf("the breaker counted a healthy refusal: %+v", s)
		}
		time.Sleep(time.Minute)
		r.endpoint.says(nil)
		wantToken(t, r.Grant, "access-2")
	})
}

// HTTP/2's client repeats a request by itself after a PROTOCOL_ERROR, though it may have been carried out.
func TestNoHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeToken(w, "access by "+r.Proto, "", 3600)
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	secrets := keystore.Memory()
	if err := secrets.Set(t.Context(), "refresh/"+me, "refresh-1"); err != nil {
		t.Fatal(err)
	}
	g := New(Config{TokenURL: srv.URL + "/token", ClientID: clientID}, me, Deps{Secrets: secrets, HTTP: HTTPClient(&tls.Config{RootCAs: roots}, nil)})
	defer g.Close(t.Context())
	wantToken(t, g, "access by HTTP/1.1")
}

// Before an HTTP proxy has made the tunnel nothing was sent, whatever it says.
func TestNothingIsSentWithoutATunnel(t *testing.T) {
	for name, proxy := range map[string]func(c net.Conn){
		"407":               proxySays("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"),
		"502":               proxySays("HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"),
		"503, to repeat":    proxySays("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 9\r\n\r\n"),
		"hangs up":          func(c net.Conn) {},
		"what is no proxy":  proxySays("SSH-2.0-x\r\n"),
		"hangs up after it": proxySays("HTTP/1.1 200 OK\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var serving sync.WaitGroup
			serving.Go(func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					proxy(c)
					c.Close()
				}
			})
			defer serving.Wait()
			defer ln.Close()
			via := &url.URL{Scheme: "http", Host: ln.Addr().String()}
			secrets := keystore.Memory()
			if err := secrets.Set(t.Context(), "refresh/"+me, "refresh-1"); err != nil {
				t.Fatal(err)
			}
			g := New(Config{TokenURL: "https://login.example/token", ClientID: clientID}, me, Deps{Secrets: secrets, Timeout: 100 * time.Millisecond, HTTP: HTTPClient(nil, http.ProxyURL(via))})
			defer g.Close(t.Context())
			_, err = g.Token(t.Context())
			fault, ok := errors.AsType[*EndpointError](err)
			if !ok || fault.Sent || fault.Reason != Unreachable {
				t.Errorf("Token = %+v, %v; want one that was not sent", fault, err)
			}
		})
	}
}

// proxySays makes a proxy that reads a request and gives this answer.
func proxySays(answer string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			io.WriteString(c, answer)
		}
	}
}
