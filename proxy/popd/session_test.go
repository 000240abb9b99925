package popd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/prelogin"
	"github.com/waxseal/waxseal/proxy/tcp"
)

const patience = 30 * time.Second

// rig is a session between a mail program and a provider, both on loopback.
type rig struct {
	*session
	program  net.Conn
	in       *bufio.Reader // from the session to the program
	provider net.Conn
	logins   int
	cancel   context.CancelCauseFunc
	stopping atomic.Bool
	ended    chan mailbox.End // closed when the session has ended
	counted  atomic.Int64
}

func pair(t *testing.T) (a, b net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		c.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { c.Close() })
	}
	return a, b
}

// newRig runs a session whose provider has sent ahead already. open may be nil.
func newRig(t *testing.T, ahead string, open func(ctx context.Context) (*maildrop, answer)) *rig {
	r := &rig{ended: make(chan mailbox.End, 1)}
	var client, server net.Conn
	r.program, client = pair(t)
	r.provider, server = pair(t)
	r.in = bufio.NewReader(r.program)
	ctx, cancel := context.WithCancelCause(t.Context())
	r.cancel = cancel
	r.session = &session{ctx: ctx, log: slog.New(slog.DiscardHandler)}
	r.session.ended = func() error {
		if r.stopping.Load() {
			return errStopping
		}
		return nil
	}
	r.before = prelogin.New(prelogin.Config{TCP: client, Timeout: patience, MaxLine: maxLine, Ended: r.session.ended})
	r.talk = &dialogue{conn: r.before, timeout: patience, provider: func() learned { return learned{} }}
	r.open = func(ctx context.Context, name, pw string, utf8 bool) (*maildrop, answer) {
		r.logins++
		if open != nil {
			return open(ctx)
		}
		if a := logIn(name, pw, utf8); !a.in {
			return nil, a
		}
		return &maildrop{conn: server, welcome: "+OK  as it came", ahead: []byte(ahead), clean: strings.TrimSpace}, answer{}
	}
	go func() { // ends with the session
		defer close(r.ended)
		defer client.Close()
		r.run(func() (func(down, up int64), func(mailbox.End)) {
			return func(down, up int64) { r.counted.Add(down + up) }, func(e mailbox.End) { r.ended <- e }
		})
	}()
	t.Cleanup(func() {
		cancel(nil)
		r.program.Close()
		for range r.ended {
		}
	})
	return r
}

// hears fails unless the program is told exactly want.
func (r *rig) hears(t *testing.T, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r.in, got); err != nil || string(got) != want {
		t.Fatalf("the program heard %q, want %q, %v", got[:n], want, err)
	}
}

func (r *rig) logIn(t *testing.T, ahead string) {
	t.Helper()
	r.hears(t, greeting)
	io.WriteString(r.program, "USER "+me+"\r\nPASS "+password+"\r\n"+ahead)
	r.hears(t, "+OK\r\n+OK  as it came\r\n")
}

// provider reads what goes up.
func (r *rig) goesUp(t *testing.T, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r.provider, got); err != nil || string(got) != want {
		t.Fatalf("the provider heard %q, want %q, %v", got[:n], want, err)
	}
}

func (r *rig) end(t *testing.T) mailbox.End {
	t.Helper()
	select {
	case e := <-r.ended:
		return e
	case <-time.After(patience):
		t.Fatal("the session does not end")
		return mailbox.End{}
	}
}

// What the program sent together with its login goes up.
func TestSession(t *testing.T) {
	r := newRig(t, "", nil)
	r.logIn(t, "STAT\r\nQUIT\r\n")
	r.goesUp(t, "STAT\r\nQUIT\r\n")
	io.WriteString(r.provider, "+OK 0 0\r\n+OK bye\r\n")
	r.provider.Close()
	r.hears(t, "+OK 0 0\r\n+OK bye\r\n")
	io.ReadAll(r.in)
	r.program.Close()
	want := mailbox.End{Why: api.ByProgram, Down: 18, Up: 12}
	if got := r.end(t); got != want || r.counted.Load() != 30 {
		t.Errorf("ended %+v, want %+v", got, want)
	}
}

// The welcome comes first, then what the provider had sent behind it.
func TestSessionEndsAsTheProviderSays(t *testing.T) {
	r := newRig(t, "-ERR [SYS/TEMP] Session expired\r\n", nil)
	r.logIn(t, "")
	r.provider.Close()
	r.hears(t, "-ERR [SYS/TEMP] Session expired\r\n")
	io.ReadAll(r.in)
	r.program.Close()
	if got := r.end(t); got.Why != api.ByProvider || got.Said != "-ERR [SYS/TEMP] Session expired" {
		t.Errorf("ended %+v", got)
	}
}

// A stop ends a session between two answers at once, and lets a message come to its end.
func TestStop(t *testing.T) {
	for name, tt := range map[string]struct {
		command, before, after string
	}{
		"idle":                 {"", "", ""},
		"between two answers":  {"STAT\r\n", "+OK 1 7\r\n", ""},
		"in a message":         {"RETR 1\r\n", "+OK\r\nSubject: x\r\n", "\r\ntext\r\n.\r\n"},
		"in the end's dot":     {"RETR 1\r\n", "+OK\r\nx\r\n.", "\r\n"},
		"in a list, pipelined": {"UIDL\r\nSTAT\r\n", "+OK\r\n1 a\r\n", "2 b\r\n.\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "", nil)
			r.logIn(t, tt.command)
			r.goesUp(t, tt.command)
			io.WriteString(r.provider, tt.before)
			r.hears(t, tt.before)
			r.stopping.Store(true)
			r.nudge()
			io.WriteString(r.provider, tt.after)
			if rest, _ := io.ReadAll(r.in); string(rest) != tt.after {
				t.Errorf("the program heard %q, want %q", rest, tt.after)
			}
			r.program.Close()
			if got := r.end(t); got.Why != api.ByWaxseal {
				t.Errorf("ended %+v", got)
			}
		})
	}
}

// What the session does not understand does not end before the hard stop.
func TestHardStop(t *testing.T) {
	r := newRig(t, "", nil)
	r.logIn(t, "RETR 1\r\n")
	io.WriteString(r.provider, "+OK\r\nhalf")
	r.hears(t, "+OK\r\nhalf")
	r.stopping.Store(true)
	r.nudge()
	r.cancel(errors.New("hard"))
	if got := r.end(t); got.Why != api.ByWaxseal {
		t.Errorf("ended %+v", got)
	}
}

func TestStopBeforeLogin(t *testing.T) {
	stopping := "-ERR [SYS/TEMP] Waxseal is shutting down; try again later\r\n"
	t.Run("waiting", func(t *testing.T) {
		r := newRig(t, "", nil)
		r.hears(t, greeting)
		r.stopping.Store(true)
		r.nudge()
		r.hears(t, stopping)
		r.program.Close()
		r.end(t)
	})
	t.Run("logging in", func(t *testing.T) {
		busy := make(chan struct{})
		r := newRig(t, "", func(ctx context.Context) (*maildrop, answer) {
			close(busy)
			<-ctx.Done()
			return nil, answer{line: "-ERR [SYS/TEMP] slow"}
		})
		r.hears(t, greeting)
		io.WriteString(r.program, "USER a\r\nPASS b\r\n")
		<-busy
		r.stopping.Store(true)
		r.nudge()
		r.hears(t, "+OK\r\n"+stopping)
		r.program.Close()
		r.end(t)
	})
}

// Thunderbird tries PLAIN and then USER and PASS. If the password is right, the provider is asked once.
func TestSecondMechanismAsksNobody(t *testing.T) {
	r := newRig(t, "", func(context.Context) (*maildrop, answer) {
		return nil, answer{line: "-ERR [SYS/PERM] no permission", atProvider: true}
	})
	r.hears(t, greeting)
	io.WriteString(r.program, "AUTH PLAIN "+plainResponse("", "a", "b")+"\r\nUSER a\r\nPASS b\r\nUSER a\r\nPASS c\r\nQUIT\r\n")
	refused := "-ERR [SYS/PERM] no permission\r\n"
	r.hears(t, strings.Repeat(refused, 5)+"+OK Bye\r\n")
	r.program.Close()
	r.end(t)
	if r.logins != 2 {
		t.Errorf("%d logins", r.logins)
	}
}

// Every byte passes, in both directions at once, whatever it is and however it is cut.
func TestEveryBytePasses(t *testing.T) {
	r := newRig(t, "", nil)
	r.logIn(t, "")
	random := rand.New(rand.NewPCG(1, 2))
	down, up := make([]byte, 3<<20), make([]byte, 1<<20)
	for _, b := range [][]byte{down, up} {
		for i := range b {
			b[i] = "\x00\r\n.+-OK\xff "[random.IntN(10)]
		}
	}
	var working sync.WaitGroup
	send := func(c net.Conn, b []byte) {
		for len(b) > 0 {
			n := 1 + rand.IntN(min(70000, len(b)))
			c.Write(b[:n])
			b = b[n:]
		}
	}
	var heardUp []byte
	working.Go(func() { send(r.program, up) })
	working.Go(func() { send(r.provider, down) })
	working.Go(func() { heardUp = make([]byte, len(up)); io.ReadFull(r.provider, heardUp) })
	heardDown := make([]byte, len(down))
	io.ReadFull(r.in, heardDown)
	working.Wait()
	if sha256.Sum256(heardDown) != sha256.Sum256(down) || !bytes.Equal(heardUp, up) {
		t.Error("what arrived is not what was sent")
	}
}

// A nudge that comes while the login ends leaves no deadline behind.
func TestNudgesDuringLogin(t *testing.T) {
	for range 20 {
		r := newRig(t, "", nil)
		var nudging sync.WaitGroup
		done := make(chan struct{})
		nudging.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					r.nudge()
				}
			}
		})
		r.logIn(t, "STAT\r\n")
		r.goesUp(t, "STAT\r\n")
		close(done)
		nudging.Wait()
		io.WriteString(r.provider, "+OK 0 0\r\n")
		r.hears(t, "+OK 0 0\r\n")
		tcp.Probe(r.drop.conn, true)
		r.program.Close()
		r.provider.Close()
		if e := r.end(t); strings.Contains(string(e.Why), "network") {
			t.Errorf("ended %+v", e)
		}
	}
}
