package upstream

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// at answers the lines that start with prefix.
func at(prefix, reply string) func(int, string) string {
	return func(_ int, line string) string {
		if strings.HasPrefix(line, prefix) {
			return reply
		}
		return ""
	}
}

// A lasting refusal stays one when its reply breaks off or breaks the grammar, and never becomes "may
// have been delivered".
func TestRefusalsThatBreakOff(t *testing.T) {
	for _, ext := range [][]string{nil, without("CHUNKING"), without("PIPELINING")} {
		for _, refusal := range []struct{ wire, want string }{
			{"550 5.7.1 no", "550 5.7.1 no"}, {"550-5.7.1 no\r\n", "550 5.7.1 no"}, {"550-5.7.1 no\r\nsee https", "550 5.7.1 no / see https"},
			{"550", "550"}, {"552-\n", "552"}, {"250-hm\r\n550 5.7.1 no", "550 hm / 5.7.1 no"}, {"452-4.2.2 full\n", "452 4.2.2 full"},
		} {
			for _, body := range []string{"short\r\n", long} {
				f := start(t, &fake{ext: ext, on: at("END", "drop "+refusal.wire)})
				p := newPool(t, f)
				r, err := send(p, strings.NewReader(body), "you@there.example")
				wantReply(t, r, err, refusal.want)
				if len(f.delivered()) != 0 {
					t.Errorf("%q: delivered", refusal.wire)
				}
			}
		}
	}
}

// An acceptance must be whole: of its line only the end may be missing.
func TestAcceptancesThatBreakOff(t *testing.T) {
	for wire, want := range map[string]string{"250 2.0.0 OK que": "250 2.0.0 OK que", "250-2.0.0 OK\r\n": "", "250": "", "25": "", "": "", "OK\r\n": ""} {
		p := newPool(t, start(t, &fake{on: at("END", "drop "+wire)}))
		r, err := send(p, strings.NewReader("x\r\n"), "you@there.example")
		if want != "" {
			wantReply(t, r, err, want)
			continue
		}
		var lost *ConnError
		if !errors.As(err, &lost) || !lost.Unknown {
			t.Errorf("%q: %v, %v", wire, r, err)
		}
	}
}

// A refusal that breaks off is one of its own line: the rest of the envelope was not answered.
func TestEnvelopeThatBreaksOff(t *testing.T) {
	for _, ext := range [][]string{nil, without("PIPELINING")} {
		f := start(t, &fake{ext: ext, on: at("RCPT TO:<r1@", "drop 550-5.1.1 nobody\r\n")})
		p := newPool(t, f)
		tx := begin(t, p)
		r, err := tx.Rcpt(t.Context(), recipients(2))
		if err != nil || len(r) != 2 || !r[0].ok() || r[1].String() != "550 5.1.1 nobody" {
			t.Errorf("%v, %v", r, err)
		}
		var lost *ConnError
		if _, err := tx.Data(t.Context(), strings.NewReader("x\r\n")); !errors.As(err, &lost) || !errors.Is(err, errBrokeOff) || lost.Started {
			t.Errorf("Data: %v", err)
		}
		tx.Close()

		tx = begin(t, newPool(t, f))
		var said *ReplyError
		if r, err := tx.Rcpt(t.Context(), recipients(3)); !errors.As(err, &said) || said.Reply.String() != "550 5.1.1 nobody" {
			t.Errorf("with a third recipient: %v, %v", r, err)
		}
		tx.Close()
	}
}

// A connection that is turned away says why, in the server's words.
func TestTurnedAway(t *testing.T) {
	for _, c := range []struct{ at, wire, op, want string }{
		{"CONNECT", "220-host ESMTP\r\n521 5.7.1 blocked using x\r\n", "greeting", "521 host ESMTP / 5.7.1 blocked using x"},
		{"CONNECT", "554-no\n554 not you", "greeting", "554 no / not you"},
		{"CONNECT", "421-4.3.2 too many connections\r\n", "greeting", "421 4.3.2 too many connections"},
		{"CONNECT", "220 hi\r\n421 4.7.0 too many connections\r\n", "EHLO", "421 4.7.0 too many connections"},
		{"EHLO", "421 4.7.0 try again later, closing", "EHLO", "421 4.7.0 try again later, closing"},
		{"EHLO", "550 5.7.1 HELO name refused\n", "EHLO", "550 5.7.1 HELO name refused"},
	} {
		p := newPool(t, start(t, &fake{on: at(c.at, "drop "+c.wire)}))
		err := p.Check(t.Context())
		var lost *ConnError
		var said *ReplyError
		if !errors.As(err, &lost) || lost.Op != c.op || !errors.As(err, &said) || said.Reply.String() != c.want {
			t.Errorf("%q: %v", c.wire, err)
		}
		if !strings.HasSuffix(p.Status().LastError, "the server said: "+c.want) {
			t.Errorf("%q: %+v", c.wire, p.Status())
		}
	}
}

// Blank lines between replies are nothing that was said out of turn.
func TestBlankLinesBetweenReplies(t *testing.T) {
	f := start(t, &fake{on: func(_ int, line string) string {
		switch {
		case strings.HasPrefix(line, "MAIL"):
			return "250 OK\r\n"
		case strings.HasPrefix(line, "RCPT"):
			return "250 OK\r\n\r\n"
		case line == "END":
			return "\r\n250 OK\r\n"
		}
		return ""
	}})
	p := newPool(t, f)
	for range 3 {
		mustSend(t, p, "x\r\n")
	}
	if f.connections() != 1 {
		t.Errorf("%d connections", f.connections())
	}
}

// stuck is a body whose client falls silent after a while. Interrupt ends the Read that waits.
type stuck struct {
	io.Reader
	released chan struct{}
	once     sync.Once
}

func newStuck(text string) *stuck {
	return &stuck{Reader: strings.NewReader(text), released: make(chan struct{})}
}

func (s *stuck) Read(p []byte) (int, error) {
	if n, err := s.Reader.Read(p); err == nil {
		return n, nil
	}
	<-s.released
	return 0, errors.New("interrupted")
}

func (s *stuck) Interrupt() { s.once.Do(func() { close(s.released) }) }

// A refusal in the middle of a body is the answer at once: while the client is silent, and while the
// server reads no further. The connection is closed.
func TestRefusedInMidBodyAtOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		ext  []string
		body func() io.Reader
		from string // the line at which the server reads no further, and refuses after a second
	}{
		{"DATA, a silent client", without("CHUNKING"), func() io.Reader { return newStuck(long) }, "DATA"},
		{"DATA, an endless body", without("CHUNKING"), func() io.Reader { return endless{} }, "DATA"},
		{"BDAT, a silent client", nil, func() io.Reader { return newStuck(long) }, "BDAT"},
		{"BDAT, an endless body", nil, func() io.Reader { return endless{} }, "BDAT"},
		{"lock-step BDAT, an endless body", without("PIPELINING"), func() io.Reader { return endless{} }, "BDAT"},
	} {
		for _, said := range []struct{ wire, want string }{
			{"552-5.3.4 too big\r\n552 5.3.4 at all\r\n", "552 5.3.4 too big / 5.3.4 at all"},
			{"421 4.4.2 closing\r\n", "421 4.4.2 closing"},
			{"552-5.3.4 cut", "552 5.3.4 cut"},
		} {
			t.Run(c.name+" "+said.want[:3], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := &fake{ext: c.ext}
					f.on = func(n int, line string) string {
						if !strings.HasPrefix(line, c.from) {
							return ""
						}
						server := f.conn(n)
						if line == "DATA" {
							server.Write([]byte("354 go\r\n"))
						}
						time.Sleep(time.Second) // of the bubble's clock
						server.Write([]byte(said.wire))
						if said.want == "552 5.3.4 cut" {
							return "drop"
						}
						time.Sleep(time.Hour)
						return "drop"
					}
					t.Cleanup(f.stop)
					p := newPool(t, f)
					began := time.Now()
					r, err := send(p, c.body(), "you@there.example")
					wantReply(t, r, err, said.want)
					if took := time.Since(began); took > time.Second+goodbye {
						t.Errorf("took %v", took)
					}
					if s := p.Status(); s.Warm != 0 || s.Busy != 0 || len(f.delivered()) != 0 {
						t.Errorf("%+v", s)
					}
				})
			})
		}
	}
}

// endless is a body from a client that is always ready.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "0123456789abcd\r\n"[i%16]
	}
	return len(p), nil
}

// A connection that is lost while the client is silent ends the message at once, too.
func TestLostWhileTheClientIsSilent(t *testing.T) {
	for _, ext := range [][]string{nil, without("CHUNKING")} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{ext: ext}
			t.Cleanup(f.stop)
			p := newPool(t, f)
			go func() {
				time.Sleep(time.Minute) // of the bubble's clock
				f.hangUp()
			}()
			began := time.Now()
			_, err := send(p, newStuck(long), "you@there.example")
			var lost *ConnError
			if !errors.As(err, &lost) || !lost.Started || lost.Unknown || !errors.Is(err, io.EOF) {
				t.Errorf("%v", err)
			}
			if took := time.Since(began); took != time.Minute || p.Status().Warm != 0 {
				t.Errorf("took %v, %+v", took, p.Status())
			}
		})
	}
}

// A silent client may take longer than any of the server's replies.
func TestSilentClientIsWaitedFor(t *testing.T) {
	for _, ext := range [][]string{nil, without("CHUNKING"), without("PIPELINING")} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{ext: ext}
			t.Cleanup(f.stop)
			p := newPool(t, f)
			body := newStuck(long)
			go func() {
				time.Sleep(time.Hour)
				body.Interrupt()
			}()
			began := time.Now()
			if _, err := send(p, body, "you@there.example"); err == nil || !strings.HasSuffix(err.Error(), "interrupted") {
				t.Errorf("%v, want the body's own error", err)
			}
			if took := time.Since(began); took != time.Hour || len(f.delivered()) != 0 {
				t.Errorf("took %v, delivered %d", took, len(f.delivered()))
			}
			mustSend(t, p, "next\r\n")
		})
	}
}

// The body's own error is not mistaken for a refusal, and a client that leaves in mid-body ends
// everything.
func TestCancelInMidBody(t *testing.T) {
	for _, ext := range [][]string{nil, without("CHUNKING")} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{ext: ext}
			t.Cleanup(f.stop)
			p := newPool(t, f)
			ctx, cancel := context.WithCancelCause(t.Context())
			tx := begin(t, p)
			defer tx.Close()
			if _, err := tx.Rcpt(ctx, recipients(1)); err != nil {
				t.Fatal(err)
			}
			go func() {
				time.Sleep(time.Minute)
				cancel(errLeft)
			}()
			var lost *ConnError
			if r, err := tx.Data(ctx, newStuck(long)); !errors.Is(err, errLeft) || !errors.As(err, &lost) || lost.Unknown {
				t.Errorf("%v, %v", r, err)
			}
		})
	}
}
