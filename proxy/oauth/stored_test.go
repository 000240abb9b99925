package oauth

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore"
)

// rotate makes the endpoint replace refresh-N by refresh-N+1 at every request, and refuse any but the
// newest, as strict providers do.
func (r *rig) rotate(t testing.TB) {
	newest := 1
	r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
		if got := req.PostForm.Get("refresh_token"); got != fmt.Sprint("refresh-", newest) {
			t.Errorf("%s was used again, the newest is refresh-%d", got, newest)
			answers(400, `{"error":"invalid_grant"}`)(w, req)
			return
		}
		newest++
		writeToken(w, fmt.Sprint("access-", newest), fmt.Sprint("refresh-", newest), 3600)
	})
}

func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.rotate(t)
		for n := 2; n <= 20; n++ {
			wantToken(t, r.Grant, fmt.Sprint("access-", n))
			r.wantKept(t, fmt.Sprint("refresh-", n))
			time.Sleep(time.Hour)
		}
		r.endpoint.wantRequests(t, 19)

		// A restart goes on where this one was.
		g, _ := r.grant(t, me)
		wantToken(t, g, "access-21")
	})
}

func TestRotatedTokenThatCannotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.rotate(t)
		rotate := r.endpoint.answer
		r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
			r.secrets.Fail(keystore.ErrLocked) // between reading the old and storing the new
			rotate(w, req)
		})
		wantToken(t, r.Grant, "access-2")
		s := r.Status()
		if s.State != Ready || !s.Unsaved || !strings.Contains(s.Err.Error(), "kept in memory") || !strings.Contains(s.Err.Error(), "locked") {
			t.Fatalf("Status = %+v, want the user told", s)
		}
		time.Sleep(time.Hour) // still locked: the account works from memory
		wantToken(t, r.Grant, "access-3")

		r.secrets.Fail(nil)
		r.wantKept(t, "refresh-1")
		time.Sleep(10 * time.Minute) // nobody asks for a token; it is stored all the same
		r.wantKept(t, "refresh-3")
		if s := r.Status(); s.Unsaved || s.Err != nil {
			t.Errorf("Status = %+v after it was stored", s)
		}
		r.endpoint.wantRequests(t, 2)
	})
}

func TestUnsavedTokenIsStoredAtTheNextRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.endpoint.says(func(w http.ResponseWriter, _ *http.Request) {
			r.secrets.Fail(errors.New("disk full"))
			writeToken(w, "access", "refresh-2", 3600)
		})
		wantToken(t, r.Grant, "access")
		r.secrets.Fail(nil)
		r.Reject("access")
		r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
			r.wantKept(t, "refresh-2") // before it is used
			writeToken(w, "access-b", "", 3600)
		})
		wantToken(t, r.Grant, "access-b")
		if r.Status().Unsaved {
			t.Error("still unsaved")
		}
	})
}

func TestAccept(t *testing.T) {
	ctx := context.Background()
	t.Run("the same again changes nothing", func(t *testing.T) {
		r := newRig(t)
		wantToken(t, r.Grant, "access-1")
		if another, err := r.Accept(ctx, "refresh-1"); another || err != nil {
			t.Fatal(another, err)
		}
		wantToken(t, r.Grant, "access-1")
		r.endpoint.wantRequests(t, 1)
	})
	// An import file read twice must not put back what rotation replaced.
	t.Run("nor does the first one after rotation", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.rotate(t)
			for n := 2; n <= 4; n++ {
				wantToken(t, r.Grant, fmt.Sprint("access-", n))
				time.Sleep(time.Hour)
			}
			for range 2 {
				if another, err := r.Accept(ctx, "refresh-1"); another || err != nil {
					t.Fatal(another, err)
				}
				r.wantKept(t, "refresh-4")
			}
			g, _ := r.grant(t, me) // and a restart remembers
			if _, err := g.Accept(ctx, "refresh-1"); err != nil {
				t.Fatal(err)
			}
			wantToken(t, g, "access-5")
		})
	})
	t.Run("another takes the place of all", func(t *testing.T) {
		r := newRig(t)
		wantToken(t, r.Grant, "access-1")
		if another, err := r.Accept(ctx, "refresh-9"); !another || err != nil {
			t.Fatal(another, err)
		}
		r.wantKept(t, "refresh-9")
		wantToken(t, r.Grant, "access-2")
		if got := r.endpoint.last().Get("refresh_token"); got != "refresh-9" {
			t.Errorf("asked with %s", got)
		}
	})
	t.Run("during a refresh with the old one", func(t *testing.T) {
		for name, late := range map[string]http.HandlerFunc{
			"that works":  func(w http.ResponseWriter, _ *http.Request) { writeToken(w, "stale", "refresh-2", 3600) },
			"that is not": answers(400, `{"error":"invalid_grant"}`),
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t)
					release := make(chan struct{})
					r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
						if req.PostForm.Get("refresh_token") == "refresh-9" {
							writeToken(w, "access", "", 3600)
							return
						}
						<-release
						late(w, req)
					})
					waiting := make(chan struct{})
					go func() {
						defer close(waiting)
						wantToken(t, r.Grant, "access") // not the old one's answer
					}()
					synctest.Wait()
					if _, err := r.Accept(ctx, "refresh-9"); err != nil {
						t.Fatal(err)
					}
					wantToken(t, r.Grant, "access") // need not wait for the old one
					close(release)
					<-waiting
					r.wantKept(t, "refresh-9")
					wantState(t, r.Grant, Ready, "")
				})
			})
		}
	})
	t.Run("not into a locked keystore", func(t *testing.T) {
		r := newRig(t)
		r.secrets.Fail(keystore.ErrLocked)
		if _, err := r.Accept(ctx, "refresh-9"); !errors.Is(err, keystore.ErrUnavailable) {
			t.Errorf("Accept = %v", err)
		}
		r.secrets.Fail(nil)
		r.wantKept(t, "refresh-1")
	})
	t.Run("no nonsense", func(t *testing.T) {
		r := newRig(t)
		for _, bad := range []string{"", "a\nb", "é"} {
			if _, err := r.Accept(ctx, bad); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
				t.Errorf("Accept(%q) = %v", bad, err)
			}
		}
	})
}

func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		release := make(chan struct{})
		r.endpoint.says(func(w http.ResponseWriter, _ *http.Request) {
			<-release
			writeToken(w, "access", "refresh-2", 3600)
		})
		waiting := make(chan error)
		go func() {
			_, err := r.Token(t.Context())
			waiting <- err
		}()
		synctest.Wait()
		if err := r.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		close(release)
		if err := <-waiting; !isConsent(err) {
			t.Errorf("Token = %v, want ErrConsent", err)
		}
		if _, err := r.secrets.Get(t.Context(), "refresh/"+me); !errors.Is(err, keystore.ErrNotFound) {
			t.Errorf("the refresh in progress brought it back: %v", err)
		}
	})
}

// Secrets are in no error, log line, status or printed token, even where the provider repeats the whole
// request in its answer, in whatever encoding.
func TestNoSecretGetsOut(t *testing.T) {
	const (
		refresh = "SECRET/refresh+token=1"
		client  = "SECRET client&secret"
	)
	ctx := context.Background()
	echo := func(req *http.Request) string {
		encoded := base64.StdEncoding.EncodeToString([]byte("client-1:" + client))
		return strings.Join([]string{
			refresh, client, req.PostForm.Encode(), strings.ToLower(url.QueryEscape(client)), encoded, hex.EncodeToString([]byte(refresh)),
			base64.URLEncoding.EncodeToString([]byte("x" + refresh)), url.QueryEscape(url.QueryEscape(refresh)), html.EscapeString(client),
			strings.ReplaceAll(refresh, "/", "\\u002f"), refresh[:20],
		}, " ")
	}
	quote := func(s string) string { q, _ := json.Marshal(s); return string(q) }
	says := map[string]http.HandlerFunc{
		"refusal": func(w http.ResponseWriter, req *http.Request) {
			answers(400, `{"error":`+quote(refresh)+`,"error_description":`+quote(echo(req))+`}`)(w, req)
		},
		"revoked": func(w http.ResponseWriter, req *http.Request) {
			answers(400, `{"error":"invalid_grant","error_description":`+quote(echo(req))+`}`)(w, req)
		},
		"fault": func(w http.ResponseWriter, req *http.Request) {
			answers(503, `{"error":"busy","error_description":`+quote(echo(req))+`}`)(w, req)
		},
		"page": func(w http.ResponseWriter, req *http.Request) { io.WriteString(w, "<p>"+echo(req)) },
		"text": func(w http.ResponseWriter, req *http.Request) { io.WriteString(w, echo(req)) },
		"type": func(w http.ResponseWriter, req *http.Request) {
			io.WriteString(w, `{"access_token":"SECRET-access","expires_in":60,"token_type":`+quote(echo(req))+`}`)
		},
		"redirect": func(w http.ResponseWriter, req *http.Request) {
			answers(302, "", "Location", "https://x.example/?"+req.PostForm.Encode())(w, req)
		},
		"no HTTP": func(w http.ResponseWriter, req *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			fmt.Fprintf(conn, "HTTP/1.1 %s\r\n\r\n", echo(req))
			conn.Close()
		},
		"fine": func(w http.ResponseWriter, req *http.Request) {
			writeToken(w, "SECRET-access", "SECRET-next-refresh", 3600)
			// and then the keystore does not take it
		},
	}
	for name, answer := range says {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				var log bytes.Buffer
				r.put(t, "refresh/"+me, refresh)
				r.put(t, clientKey, client)
				r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
					if name == "fine" {
						r.secrets.Fail(keystore.ErrLocked)
					}
					answer(w, req)
				})
				g := New(Config{ClientID: clientID, TokenURL: "http://" + endpointHost + "/token"}, me, Deps{
					Secrets: r.secrets, HTTP: r.endpoint.client, Breaker: r.breaker,
					Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
				})
				token, err := g.Token(ctx)
				status, _ := json.Marshal(g.Status())
				asJSON, _ := json.Marshal(token)
				slog.New(slog.NewTextHandler(&log, nil)).Info("token", "token", token)
				out := fmt.Sprint(err, g.Status(), token, &token, string(status), string(asJSON), g.Close(ctx)) +
					fmt.Sprintf("%v %+v %#v %s %q", token, token, token, token, token) + log.String()
				if (err == nil) != (name == "fine") {
					t.Fatalf("Token = %v", err)
				}
				for _, part := range []string{
					"SECRET", "client%26secret", "client&secret", "client%2526", "U0VDUkVU", "TRUNSRV", "534543524554", "client&amp;", "token=1", "token\\u003d",
				} {
					if strings.Contains(out, part) {
						t.Errorf("%s in:\n%s", part, out)
					}
				}
			})
		})
	}
}
