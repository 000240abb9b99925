package upstream

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/proxy/breaker"
)

// secondMessage scripts connection 1 from its second MAIL on: lines that start with prefix get the reply.
func secondMessage(prefix, reply string) func(int, string) string {
	var messages atomic.Int64
	return func(n int, line string) string {
		if strings.HasPrefix(line, "MAIL") {
			messages.Add(1)
		}
		if n == 1 && messages.Load() > 1 && strings.HasPrefix(line, prefix) {
			return reply
		}
		return ""
	}
}

// A warm connection that died is replaced, and nobody notices.
func TestDeadWarmConnection(t *testing.T) {
	for _, c := range []struct{ at, reply string }{
		{"MAIL", "421 4.4.2 idle for too long"}, {"RCPT", "421 4.4.2 idle for too long"}, {"DATA", "421 4.4.2 idle for too long"},
		{"MAIL", "drop"}, {"RCPT", "drop"}, {"DATA", "drop"},
		{"MAIL", "what?"}, {"MAIL", "354 go"}, {"DATA", "250 ok"},
		{"MAIL", "530 5.7.57 Client not authenticated to send mail"}, // it has ended the login alone
	} {
		for _, ext := range [][]string{without("CHUNKING"), {"AUTH XOAUTH2"}} {
			t.Run(c.at+" "+c.reply, func(t *testing.T) {
				f := start(t, &fake{ext: ext, on: secondMessage(c.at, c.reply)})
				p := newPool(t, f)
				mustSend(t, p, "first\r\n")
				mustSend(t, p, "second\r\n")
				m := f.delivered()
				if len(m) != 2 || string(m[1].body) != "second\r\n" || len(m[1].rcpts) != 1 || m[1].conn != 2 {
					t.Errorf("%+v", m)
				}
			})
		}
	}
}

// The recipients that were accepted before the connection died are repeated.
func TestAcceptedRecipientsAreSaidAgain(t *testing.T) {
	for _, c := range []struct {
		name, second string
		ok           bool
	}{{"accepted again", "", true}, {"refused now", "550 5.1.1 nobody", false}, {"MAIL refused now", "550 5.7.1 no", false}} {
		t.Run(c.name, func(t *testing.T) {
			dead := secondMessage("RCPT TO:<c@", "drop")
			f := start(t, &fake{on: func(n int, line string) string {
				switch {
				case strings.HasPrefix(line, "RCPT TO:<b@"):
					return "550 5.1.1 never"
				case n == 2 && c.name == "refused now" && strings.HasPrefix(line, "RCPT TO:<a@"):
					return c.second
				case n == 2 && c.name == "MAIL refused now" && strings.HasPrefix(line, "MAIL"):
					return c.second
				}
				return dead(n, line)
			}})
			p := newPool(t, f)
			mustSend(t, p, "first\r\n")
			tx, err := p.Begin(t.Context(), "me@corp.example", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Close()
			r, err := tx.Rcpt(t.Context(), []Recipient{{To: "a@x.example"}, {To: "b@x.example"}})
			if err != nil || !r[0].ok() || r[1].ok() {
				t.Fatal(r, err)
			}
			r, err = tx.Rcpt(t.Context(), []Recipient{{To: "c@x.example"}})
			if !c.ok {
				var lost *ConnError
				if !errors.As(err, &lost) || !errors.Is(err, errChanged) || lost.Started {
					t.Errorf("%v, %v", r, err)
				}
				if _, again := tx.Data(t.Context(), strings.NewReader("x")); !errors.Is(again, err) {
					t.Errorf("Data after that: %v", again)
				}
				return
			}
			if err != nil || !r[0].ok() {
				t.Fatal(r, err)
			}
			if r, err := tx.Data(t.Context(), strings.NewReader("second\r\n")); err != nil || !r.ok() {
				t.Fatal(r, err)
			}
			m := f.delivered()
			if want := []string{"TO:<a@x.example>", "TO:<c@x.example>"}; len(m) != 2 || !reflect.DeepEqual(m[1].rcpts, want) {
				t.Errorf("%+v", m)
			}
		})
	}
}

// A connection that the server closed while it was idle is noticed before anything is written to it, and
// before the body, which could not be repeated.
func TestIdleConnectionClosedByServer(t *testing.T) {
	for _, parting := range []string{"", "421 4.4.2 Timeout\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{}
			t.Cleanup(f.stop)
			p := newPool(t, f)
			hangUp := func(n int) {
				server := f.conn(n)
				if parting == "" {
					server.Close()
				} else {
					go server.Write([]byte(parting)) // ends when it is read, or closed
				}
			}
			mustSend(t, p, "first\r\n")
			hangUp(1)
			time.Sleep(2 * time.Second)
			before := len(f.said(1))
			tx, err := p.Begin(t.Context(), "me@corp.example", nil)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(f.said(1)); n != before || f.connections() != 2 {
				t.Errorf("%q: wrote to the dead connection or kept it (%d connections)", parting, f.connections())
			}
			tx.Close()

			mustSend(t, p, "second\r\n") // warm: reused
			tx, err = p.Begin(t.Context(), "me@corp.example", nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Rcpt(t.Context(), recipients(1)); err != nil {
				t.Fatal(err)
			}
			hangUp(2)
			time.Sleep(2 * time.Second) // the client thinks about its body
			if r, err := tx.Data(t.Context(), strings.NewReader("third\r\n")); err != nil || !r.ok() {
				t.Errorf("%q: %v, %v", parting, r, err)
			}
			tx.Close()
			if m := f.delivered(); len(m) != 3 || m[2].conn != 3 {
				t.Errorf("%q: %+v", parting, m)
			}
		})
	}
}

// A new connection is not replaced by another: its failure is reported.
func TestNewConnectionLost(t *testing.T) {
	for _, at := range []string{"MAIL", "RCPT"} {
		f := start(t, &fake{on: func(_ int, line string) string {
			if strings.HasPrefix(line, at) {
				return "drop"
			}
			return ""
		}})
		p := newPool(t, f)
		_, err := send(p, strings.NewReader("x"), "you@there.example")
		var lost *ConnError
		if !errors.As(err, &lost) || lost.Started || lost.Unknown || f.connections() != 1 {
			t.Errorf("%s: %v, %d connections", at, err, f.connections())
		}
	}
}

// One reply too many would be taken for the answer to what comes next, and in the end for the answer to
// the body.
func TestOutOfTurn(t *testing.T) {
	for _, c := range []struct {
		ext []string
		at  string
	}{{nil, "RCPT"}, {without("CHUNKING"), "RCPT"}, {without("PIPELINING"), "RCPT"}, {without("PIPELINING"), "BDAT"}} {
		f := start(t, &fake{ext: c.ext, on: func(_ int, line string) string {
			if strings.HasPrefix(line, c.at) {
				return "250 ok\r\n250 2.0.0 OK queued"
			}
			return ""
		}})
		p := newPool(t, f)
		_, err := send(p, strings.NewReader(long), "you@there.example")
		var lost *ConnError
		if !errors.As(err, &lost) || !errors.Is(err, ErrOutOfTurn) || lost.Unknown {
			t.Errorf("%s: %v", c.at, err)
		}
		if len(f.delivered()) != 0 || p.Status().Warm != 0 {
			t.Errorf("%s: %d delivered, %+v", c.at, len(f.delivered()), p.Status())
		}
	}
	dead := secondMessage("RCPT", "250 ok\r\n250 2.0.0 OK queued")
	f := start(t, &fake{on: dead})
	p := newPool(t, f)
	mustSend(t, p, "first\r\n")
	mustSend(t, p, "second\r\n")
	if m := f.delivered(); len(m) != 2 || m[1].conn != 2 {
		t.Errorf("%+v", m)
	}
}

// A 421 on a new connection is the provider's answer, to this recipient and the rest.
func Test421(t *testing.T) {
	f := start(t, &fake{on: func(_ int, line string) string {
		if strings.HasPrefix(line, "RCPT TO:<r1@") {
			return "421 4.3.2 too much"
		}
		return ""
	}})
	p := newPool(t, f)
	tx, err := p.Begin(t.Context(), "me@corp.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := tx.Rcpt(t.Context(), recipients(4))
	if err != nil || len(r) != 4 || !r[0].ok() || r[1].Code != 421 || r[3].Code != 421 {
		t.Errorf("%v, %v", r, err)
	}
	reply, err := tx.Data(t.Context(), strings.NewReader("x"))
	wantReply(t, reply, err, "421 4.3.2 too much")
	tx.Close()
	if s := p.Status(); s.Warm != 0 {
		t.Errorf("kept: %+v", s)
	}
}

var long = strings.Repeat("0123456789abcde\r\n", 20000) // a few chunks

// Once the body has started, a lost connection is an error that says so, nothing is tried again, and
// nothing arrives.
func TestLostInBody(t *testing.T) {
	for _, ext := range [][]string{nil, without("PIPELINING"), without("CHUNKING")} {
		f := start(t, &fake{ext: ext})
		p := newPool(t, f)
		mustSend(t, p, "first\r\n") // a warm connection is no reason to try again either
		sent := 0
		endless := readFunc(func(p []byte) (int, error) {
			if sent += len(p); sent > 200<<10 {
				f.hangUp()
			}
			return copy(p, strings.Repeat("\r\n", len(p)/2)), nil
		})
		_, err := send(p, endless, "you@there.example")
		var lost *ConnError
		if !errors.As(err, &lost) || !lost.Started || lost.Unknown {
			t.Errorf("%v", err)
		}
		if len(f.delivered()) != 1 || f.connections() != 1 || p.Status().Warm != 0 {
			t.Errorf("%d delivered over %d connections, %+v", len(f.delivered()), f.connections(), p.Status())
		}
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// The whole message went up and the reply was lost: nobody knows.
func TestLostAfterTheEnd(t *testing.T) {
	for _, ext := range [][]string{nil, without("CHUNKING"), without("PIPELINING")} {
		for _, reply := range []string{"drop", "354 what?", "nonsense"} {
			for _, body := range []string{"short\r\n", long} {
				f := start(t, &fake{ext: ext, on: func(_ int, line string) string {
					if line == "END" {
						return reply
					}
					return ""
				}})
				p := newPool(t, f)
				_, err := send(p, strings.NewReader(body), "you@there.example")
				var lost *ConnError
				if !errors.As(err, &lost) || !lost.Started || !lost.Unknown || f.connections() != 1 {
					t.Errorf("%s: %v, %d connections", reply, err, f.connections())
				}
			}
		}
	}
}

// A refusal in the middle of a body is the answer, and the connection is not used again: more replies
// may follow.
func TestRefusedInMidBody(t *testing.T) {
	chunks := 0
	f := start(t, &fake{on: func(_ int, line string) string {
		if strings.HasPrefix(line, "BDAT") {
			if chunks++; chunks > 1 {
				return "552-5.3.4 too big\r\n552 5.3.4 at all"
			}
		}
		return ""
	}})
	p := newPool(t, f)
	endless := readFunc(func(p []byte) (int, error) { clear(p); return len(p), nil })
	r, err := send(p, endless, "you@there.example")
	wantReply(t, r, err, "552 5.3.4 too big / 5.3.4 at all")
	if s := p.Status(); s.Warm != 0 || len(f.delivered()) != 0 {
		t.Errorf("%+v", s)
	}
}

// A server that says why before it hangs up in the middle of DATA is quoted.
func TestLastWords(t *testing.T) {
	f := start(t, &fake{ext: without("CHUNKING"), on: func(_ int, line string) string {
		if line == "DATA" {
			return "354 go\r\n552 5.3.4 too big for me"
		}
		return ""
	}})
	p := newPool(t, f)
	r, err := send(p, strings.NewReader(long), "you@there.example")
	wantReply(t, r, err, "552 5.3.4 too big for me")
	if len(f.delivered()) != 0 || p.Status().Warm != 0 {
		t.Errorf("%+v", p.Status())
	}
}

// A client that vanishes in mid-body delivers nothing, whatever its error is called: io.ErrUnexpectedEOF
// and a wrapped io.EOF do not end a body.
func TestClientVanishes(t *testing.T) {
	for _, ext := range [][]string{nil, without("CHUNKING"), without("PIPELINING")} {
		for _, gone := range []error{io.ErrUnexpectedEOF, errors.New("reset"), fmt.Errorf("the client left: %w", io.EOF), io.ErrClosedPipe} {
			for _, size := range []int{0, 10, dataSize, chunkSize, chunkSize + 1, len(long)} {
				f := start(t, &fake{ext: ext})
				p := newPool(t, f)
				body := io.MultiReader(strings.NewReader(long[:size]), readFunc(func([]byte) (int, error) { return 0, gone }))
				if _, err := send(p, body, "you@there.example"); !errors.Is(err, gone) {
					t.Errorf("after %d bytes: %v, want %v", size, err, gone)
				}
				mustSend(t, p, "next\r\n")
				if m := f.delivered(); len(m) != 1 || string(m[0].body) != "next\r\n" {
					t.Errorf("after %d bytes %d arrived", size, len(m))
				}
			}
		}
	}
}

// A Read that never gives anything does not hold the connection for ever.
func TestBodyWithoutProgress(t *testing.T) {
	p := newPool(t, start(t, &fake{}))
	if _, err := send(p, readFunc(func([]byte) (int, error) { return 0, nil }), "you@there.example"); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

// A slow upload goes up in partial chunks, so that the provider hears from us.
func TestSlowUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		t.Cleanup(f.stop)
		p := newPool(t, f)
		left := 100
		slow := readFunc(func(p []byte) (int, error) {
			if left--; left < 0 {
				return 0, io.EOF
			}
			time.Sleep(7 * time.Second) // of the bubble's clock
			p[0] = 'x'
			return 1, nil
		})
		if r, err := send(p, slow, "you@there.example"); err != nil || !r.ok() {
			t.Fatal(r, err)
		}
		chunks := 0
		for _, line := range f.said(1) {
			if strings.HasPrefix(line, "BDAT") {
				chunks++
			}
		}
		if m := f.delivered(); len(m) != 1 || m[0].size != 100 || chunks < 15 {
			t.Errorf("%d chunks, %+v", chunks, m)
		}
	})
}

// ctx cuts every wait short: for the greeting, a reply, the final reply.
func TestCancel(t *testing.T) {
	for _, at := range []string{"CONNECT", "EHLO", "AUTH", "MAIL", "DATA", "END", "BDAT"} {
		t.Run(at, func(t *testing.T) {
			ext := without("CHUNKING")
			if at == "BDAT" {
				ext = nil
			}
			ctx, cancel := contextWithCancel(t)
			release := make(chan struct{})
			f := start(t, &fake{ext: ext, on: func(_ int, line string) string {
				if strings.HasPrefix(line, at) {
					cancel()
					<-release
				}
				return ""
			}})
			p := newPool(t, f, func(c *Config) { c.Breaker = breaker.New("smtp", breaker.Settings{Failures: 1}) })
			err := func() error {
				tx, err := p.Begin(ctx, "me@corp.example", nil)
				if err != nil {
					return err
				}
				defer tx.Close()
				if _, err := tx.Rcpt(ctx, recipients(1)); err != nil {
					return err
				}
				_, err = tx.Data(ctx, strings.NewReader("x\r\n"))
				return err
			}()
			close(release)
			var lost *ConnError
			if !errors.Is(err, errLeft) || !errors.As(err, &lost) {
				t.Errorf("%v", err)
			}
			if lost != nil && (lost.Unknown != (at == "END" || at == "BDAT")) {
				t.Errorf("unknown: %v", lost.Unknown)
			}
		})
	}
}

// Failures to connect open the breaker, which then says why; a refused login and a client that left do
// not.
func TestBreaker(t *testing.T) {
	for greeting, opens := range map[string]bool{"drop": true, "554 5.7.1 go away": true, "421 4.3.2 busy": true, "HTTP/1.1 400": true, "220 hi": false} {
		f := start(t, &fake{on: func(_ int, line string) string {
			switch {
			case line == "CONNECT":
				return greeting
			case strings.HasPrefix(line, "AUTH "):
				return "535 5.7.139 switched off"
			}
			return ""
		}})
		p := newPool(t, f, func(c *Config) { c.Breaker = breaker.New("smtp "+c.Addr, breaker.Settings{}) })
		for range 5 {
			if err := p.Check(t.Context()); err == nil {
				t.Fatalf("%q: let in", greeting)
			}
		}
		var open *breaker.OpenError
		if err := p.Check(t.Context()); errors.As(err, &open) != opens {
			t.Errorf("%q: %v", greeting, err)
		}
		if opens && greeting != "drop" && !strings.Contains(open.Cause, greeting) {
			t.Errorf("%q: the breaker says %q", greeting, open.Cause)
		}
		want := 6
		if opens {
			want = 5
		}
		if n := f.connections(); n != want {
			t.Errorf("%q: %d connections, want %d", greeting, n, want)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	f := start(t, &fake{})
	p := newPool(t, f)
	f.stop()
	err := p.Check(t.Context())
	var lost *ConnError
	if !errors.As(err, &lost) || lost.Op != "connecting" || lost.Addr != p.cfg.Addr || lost.Started {
		t.Error(err)
	}
	if s := p.Status(); s.LastError != err.Error() || s.ErrorAt.IsZero() || s.Busy != 0 {
		t.Errorf("%+v", s)
	}
}
