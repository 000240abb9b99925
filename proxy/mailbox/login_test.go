package mailbox

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/history"
)

const me, right = "me@corp.test", "local-password-1"

// hallWith is a hall with accounts that have a password and can do nothing else.
func hallWith(t *testing.T, addresses ...string) *Hall {
	t.Helper()
	h := NewHall()
	h.Log, h.Secrets = slog.New(slog.DiscardHandler), keystore.Memory()
	h.Config = func() *config.Config { return new(config.Default()) }
	var err error
	if h.History, err = history.Open(""); err != nil {
		t.Fatal(err)
	}
	boxes := map[string]*Mailbox{}
	for _, address := range addresses {
		b := h.New(api.Account{Address: address}, config.Provider{ID: "corp", TokenURL: "https://corp.test/token", SMTP: "corp.test:587"},
			Parts{HTTP: http.DefaultClient, Now: time.Now, Tokens: breaker.NewSet(breaker.Settings{}), Servers: breaker.NewSet(breaker.Settings{})})
		b.Password.Set(right)
		boxes[address] = b
		t.Cleanup(func() { b.Close(context.Background()) })
	}
	h.Use(boxes)
	t.Cleanup(h.Kill)
	return h
}

// from is a client of another address than its connection's.
type from struct {
	net.Conn
	address string
}

func (f from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.address))
}

func clientFrom(t *testing.T, h *Hall, p api.Protocol, address string) *Client {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { theirs.Close() })
	c := h.Admit(from{ours, address}, p, false)
	t.Cleanup(c.Leave)
	return c
}

// TestLockedOutElsewhere: after too many wrong passwords not even the right one is accepted from that
// source, while others, and this machine, continue.
func TestLockedOutElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hallWith(t, me, "b@corp.test")
		login := func(client, user, password string) *Refusal {
			c := clientFrom(t, h, api.SMTP, client)
			defer c.Leave()
			_, refusal := h.Login(t.Context(), c, "", user, password, nil)
			return refusal
		}
		for range maxGuesses {
			for _, client := range []string{"192.0.2.9:1", "127.0.0.1:1"} {
				if r := login(client, me, "wrong"); r == nil || r.Kind != WrongPassword {
					t.Fatalf("a wrong password from %s: %+v", client, r)
				}
			}
		}
		if r := login("192.0.2.9:2", me, right); r == nil || r.Kind != LockedOut {
			t.Errorf("the right password from there: %+v", r)
		}
		for _, other := range []struct{ client, user string }{{"192.0.2.9:2", "b@corp.test"}, {"192.0.2.8:2", me}, {"127.0.0.1:2", me}} {
			if r := login(other.client, other.user, right); r != nil {
				t.Errorf("%+v is refused: %s", other, r.Words())
			}
		}
	})
}

// TestLimitOfAnAccount: connections of all protocols count together, until they log out.
func TestLimitOfAnAccount(t *testing.T) {
	h := hallWith(t, me)
	few := config.Default()
	few.MaxConnectionsPerAccount = 2
	h.Config = func() *config.Config { return &few }
	imap, smtp, late := clientFrom(t, h, api.IMAP, "127.0.0.1:1"), clientFrom(t, h, api.SMTP, "127.0.0.1:2"), clientFrom(t, h, api.POP, "127.0.0.1:3")
	for _, c := range []*Client{imap, smtp} {
		if _, r := h.Login(t.Context(), c, "", me, right, nil); r != nil {
			t.Fatal(r.Words())
		}
	}
	if _, r := h.Login(t.Context(), late, "", me, right, nil); r == nil || r.Kind != TooMany || r.Words() != me+" already has 2 connections, its limit; close one" {
		t.Errorf("the third: %+v", r)
	}
	imap.Leave()
	imap.Leave()
	if _, r := h.Login(t.Context(), late, "", me, right, nil); r != nil {
		t.Error(r.Words())
	}
	if n := h.Stats.Connections.Load(); n != 2 {
		t.Errorf("%d connections are counted", n)
	}
}

// A server that accepts connections and says nothing was never taken for dead: every program waited for a minute.
func TestSilentServersOpenTheBreaker(t *testing.T) {
	for cause, counts := range map[error]bool{dial.TimeoutError(time.Minute): true, context.DeadlineExceeded: true, context.Canceled: false} {
		box := hallWith(t, me).Mailbox(me)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		if err := box.Try(ctx, api.IMAP, func() error { return dial.Lost("imap.test:993", cause) }); !errors.Is(err, cause) {
			t.Errorf("%v became %v", cause, err)
		}
		if n := box.Breaker(api.IMAP).Status().Failures; (n == 1) != counts {
			t.Errorf("%v counts %d times", cause, n)
		}
		if p := ExplainFor(box, api.IMAP, dial.Lost("imap.test:993", cause)); counts && p.State != api.MailServerDown {
			t.Errorf("%v: %s", cause, p)
		}
	}
}
