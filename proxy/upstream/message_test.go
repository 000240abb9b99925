package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/emersion/go-smtp"
)

func recipients(n int) (rcpts []Recipient) {
	for i := range n {
		rcpts = append(rcpts, Recipient{To: fmt.Sprintf("r%d@there.example", i)})
	}
	return rcpts
}

// The promise of speed, in round trips.
func TestFlights(t *testing.T) {
	for _, c := range []struct {
		name       string
		ext        []string
		recipients int
		size       int
		cold, warm float64
	}{
		// On a cold connection half a round trip for the greeting, EHLO and AUTH come before that. There
		// the second chunk waits for the answer to the first.
		{"BDAT", nil, 1, 10 << 10, 4.5, 2},
		{"BDAT, ten recipients", nil, 10, 10 << 10, 4.5, 2},
		{"BDAT, many chunks", nil, 1, 500 << 10, 5.5, 2},
		{"DATA", without("CHUNKING"), 1, 10 << 10, 5.5, 3},
		{"DATA, ten recipients", without("CHUNKING"), 10, 10 << 10, 5.5, 3},
		{"DATA, long", without("CHUNKING"), 1, 500 << 10, 5.5, 3},
		{"lock-step BDAT", without("PIPELINING"), 1, 10 << 10, 5.5, 3},
		{"lock-step BDAT, ten recipients", without("PIPELINING"), 10, 10 << 10, 14.5, 12},
		{"lock-step BDAT, eight chunks", without("PIPELINING"), 1, 500 << 10, 12.5, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{ext: c.ext, away: true}
				t.Cleanup(f.stop)
				p := newPool(t, f)
				body := strings.Repeat("0123456789\r\n", c.size/12)
				for i, want := range []float64{c.cold, c.warm, c.warm} {
					got := roundTrips(func() {
						tx := begin(t, p)
						defer tx.Close()
						if _, err := tx.Rcpt(t.Context(), recipients(c.recipients)); err != nil {
							t.Fatal(err)
						}
						r, err := tx.Data(t.Context(), strings.NewReader(body))
						wantReply(t, r, err, "250 2.0.0 OK queued by 1")
					})
					if got != want {
						t.Errorf("message %d took %v round trips, want %v", i, got, want)
					}
				}
				for _, m := range f.delivered() {
					if string(m.body) != body || len(m.rcpts) != c.recipients {
						t.Errorf("%d bytes to %d arrived", len(m.body), len(m.rcpts))
					}
				}
				if s := p.cfg.Stats; s.Dials.Load() != 1 || s.Reused.Load() != 2 {
					t.Errorf("dials %d, reused %d", s.Dials.Load(), s.Reused.Load())
				}
			})
		})
	}
}

// An abandoned transaction costs no round trip of its own.
func TestResetRidesAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{away: true}
		t.Cleanup(f.stop)
		p := newPool(t, f)
		tx := begin(t, p)
		if _, err := tx.Rcpt(t.Context(), recipients(1)); err != nil {
			t.Fatal(err)
		}
		tx.Close()
		if got := roundTrips(func() { mustSend(t, p, "hello\r\n") }); got != 2 {
			t.Errorf("%v round trips, want 2", got)
		}
		said := f.said(1)
		want := []string{"RSET", "MAIL FROM:<me@corp.example>", "RCPT TO:<you@there.example>", "BDAT 7 LAST", "END"}
		if got := said[len(said)-5:]; !reflect.DeepEqual(got, want) {
			t.Errorf("said %q", got)
		}
	})
}

func TestEachRecipientItsAnswer(t *testing.T) {
	for _, ext := range [][]string{nil, without("PIPELINING")} {
		f := start(t, &fake{ext: ext, on: func(_ int, line string) string {
			switch {
			case strings.Contains(line, "r3@"):
				return "550-5.1.1 No such user.\r\n550-5.1.1  See https://help.example/\r\n550 5.1.1 x1-2y - gsmtp"
			case strings.Contains(line, "r5@"):
				return "452 4.2.2 full"
			case strings.Contains(line, "r7@"):
				return "251 2.1.5 forwarded"
			}
			return ""
		}})
		p := newPool(t, f)
		tx, err := p.Begin(t.Context(), "me@corp.example", nil)
		if err != nil {
			t.Fatal(err)
		}
		replies, err := tx.Rcpt(t.Context(), recipients(10))
		if err != nil || len(replies) != 10 {
			t.Fatal(replies, err)
		}
		for i, r := range replies {
			want := Reply{250, []string{"2.1.5 OK"}}
			switch i {
			case 3:
				want = Reply{550, []string{"5.1.1 No such user.", "5.1.1  See https://help.example/", "5.1.1 x1-2y - gsmtp"}}
			case 5:
				want = Reply{452, []string{"4.2.2 full"}}
			case 7:
				want = Reply{251, []string{"2.1.5 forwarded"}}
			}
			if !reflect.DeepEqual(r, want) {
				t.Errorf("recipient %d: %+v", i, r)
			}
		}
		r, err := tx.Data(t.Context(), strings.NewReader("x\r\n"))
		wantReply(t, r, err, "250 2.0.0 OK queued by 1")
		tx.Close()
	}
}

// A thousand recipients go up in flights whose replies fit the window.
func TestThousandRecipients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{away: true}
		t.Cleanup(f.stop)
		p := newPool(t, f)
		tx := begin(t, p)
		defer tx.Close()
		var replies []Reply
		var err error
		if got := roundTrips(func() { replies, err = tx.Rcpt(t.Context(), recipients(1000)) }); got != 11 {
			t.Errorf("%v round trips, want 11", got)
		}
		if err != nil || len(replies) != 1000 {
			t.Fatal(len(replies), err)
		}
		if r, err := tx.Data(t.Context(), strings.NewReader("x\r\n")); err != nil || !r.ok() {
			t.Error(r, err)
		}
		if m := f.delivered(); len(m) != 1 || len(m[0].rcpts) != 1000 {
			t.Error("did not arrive whole")
		}
	})
}

// Long addresses fill a flight before their number does.
func TestFlightsAreBounded(t *testing.T) {
	lines := make([]string, 50)
	for i := range lines {
		lines[i] = strings.Repeat("x", 1000)
	}
	c := &conn{x: extensions{pipelining: true}}
	if flight, n := c.flight(lines); n != 17 || len(flight) != 17*1002 {
		t.Errorf("%d lines, %d bytes", n, len(flight))
	}
	if _, n := c.flight([]string{strings.Repeat("x", 50000), "y"}); n != 1 {
		t.Errorf("%d lines with an oversize one", n)
	}
	c.x.pipelining = false
	if _, n := c.flight(lines); n != 1 {
		t.Errorf("%d lines in lock-step", n)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		at, reply  string
		ext        []string
		rcpt, data string // "" where it is not reached
	}{
		{"MAIL", "550-5.7.1 no\r\n550 5.7.1 never", nil, "550 5.7.1 no / 5.7.1 never", "550 5.7.1 no / 5.7.1 never"},
		{"MAIL", "451 4.3.0 later", without("PIPELINING"), "451 4.3.0 later", "451 4.3.0 later"},
		{"RCPT", "550 5.1.1 nobody", nil, "550 5.1.1 nobody", ""},
		{"DATA", "554 5.5.1 no valid recipients", without("CHUNKING"), "250 2.1.5 OK", "554 5.5.1 no valid recipients"},
		{"END", "552 5.3.4 too big", without("CHUNKING"), "250 2.1.5 OK", "552 5.3.4 too big"},
		{"END", "554-5.2.0 limit\r\n554 5.2.0 exceeded", nil, "250 2.1.5 OK", "554 5.2.0 limit / 5.2.0 exceeded"},
		{"END", "421 4.7.0 bye", nil, "250 2.1.5 OK", "421 4.7.0 bye"},
	} {
		t.Run(c.at+" "+c.reply[:3], func(t *testing.T) {
			f := start(t, &fake{ext: c.ext, on: func(_ int, line string) string {
				if strings.HasPrefix(line, c.at) {
					return c.reply
				}
				return ""
			}})
			p := newPool(t, f)
			tx, err := p.Begin(t.Context(), "me@corp.example", nil)
			if err != nil {
				t.Fatal(err)
			}
			replies, err := tx.Rcpt(t.Context(), recipients(2))
			if err != nil || len(replies) != 2 || replies[0].String() != c.rcpt || replies[1].String() != c.rcpt {
				t.Fatalf("RCPT: %v, %v", replies, err)
			}
			r, err := tx.Data(t.Context(), strings.NewReader("x\r\n"))
			if c.data == "" {
				if !errors.Is(err, errNoRecipient) {
					t.Errorf("Data: %v, %v", r, err)
				}
			} else {
				wantReply(t, r, err, c.data)
			}
			tx.Close()
			if n := len(f.delivered()); n != 0 {
				t.Errorf("%d delivered", n)
			}
			wantWarm := 1
			if strings.HasPrefix(c.reply, "421") {
				wantWarm = 0
			}
			if s := p.Status(); s.Warm != wantWarm {
				t.Errorf("%+v, want %d warm", s, wantWarm)
			}
		})
	}
}

// After a refused message the next one on that connection starts clean.
func TestAfterARefusal(t *testing.T) {
	f := start(t, &fake{on: func(_ int, line string) string {
		if strings.Contains(line, "bad@") {
			return "550 5.1.1 nobody"
		}
		return ""
	}})
	p := newPool(t, f)
	if _, err := send(p, strings.NewReader("x"), "bad@there.example"); !errors.Is(err, errNoRecipient) {
		t.Fatal(err)
	}
	mustSend(t, p, "clean\r\n")
	m := f.delivered()
	if len(m) != 1 || !reflect.DeepEqual(m[0].rcpts, []string{"TO:<you@there.example>"}) || m[0].conn != 1 {
		t.Errorf("%+v", m)
	}
}

func TestBodiesUnchanged(t *testing.T) {
	long := make([]byte, 300<<10)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(long)
	exact := bytes.Repeat([]byte("0123456789abcdef"), chunkSize/16)
	bodies := map[string][]byte{
		"empty": {}, "no final line end": []byte("a\r\nb"), "dots": []byte(".\r\n..\r\n.a\r\n...\r\n"),
		"one dot": []byte("."), "8 bit": []byte("gr\xfc\xdfe\r\n"), "bare": []byte("a\rb\nc\r\r\n"),
		"binary": long, "one chunk": exact, "a chunk and one": append(bytes.Clone(exact), 'x'),
		"two chunks": append(bytes.Clone(exact), exact...),
	}
	for _, c := range []struct {
		name    string
		ext     []string
		dataEnd bool
	}{{"BDAT", nil, false}, {"BDAT lock-step", without("PIPELINING"), false}, {"DATA", without("CHUNKING"), true}} {
		f := start(t, &fake{ext: c.ext})
		p := newPool(t, f)
		for name, body := range bodies {
			if c.dataEnd && name == "binary" {
				continue // TestStuffAnything shows what DATA does to any bytes
			}
			for _, r := range []io.Reader{bytes.NewReader(body), &trickle{body}} {
				if reply, err := send(p, r, "you@there.example"); err != nil || !reply.ok() {
					t.Fatalf("%s, %s: %v, %v", c.name, name, reply, err)
				}
				m := f.delivered()
				want := body
				if c.dataEnd && len(body) > 0 && !bytes.HasSuffix(body, []byte("\r\n")) {
					want = append(bytes.Clone(body), '\r', '\n')
				}
				if got := m[len(m)-1].body; !bytes.Equal(got, want) {
					t.Errorf("%s, %s: %d bytes arrived, want %d", c.name, name, len(got), len(want))
				}
			}
		}
	}
}

// trickle gives a few bytes at a time, and io.EOF with the last of them.
type trickle struct{ left []byte }

func (r *trickle) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), 1000)], r.left)
	r.left = r.left[n:]
	if len(r.left) == 0 {
		return n, io.EOF
	}
	return n, nil
}

func TestParametersGoUp(t *testing.T) {
	f := start(t, &fake{})
	p := newPool(t, f)
	auth := ""
	opts := &smtp.MailOptions{Body: smtp.Body8BitMIME, Size: 7, UTF8: true, Return: smtp.DSNReturnHeaders, EnvelopeID: "a+b", Auth: &auth}
	tx, err := p.Begin(t.Context(), "müller@corp.example", opts)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	rcpt := Recipient{To: "a b@there.example", Opts: &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyFailure, smtp.DSNNotifyDelayed},
		OriginalRecipientType: smtp.DSNAddressTypeRFC822, OriginalRecipient: "a=b@there.example"}}
	if _, err := tx.Rcpt(t.Context(), []Recipient{rcpt}); err != nil {
		t.Fatal(err)
	}
	said := f.said(1)
	want := []string{
		"MAIL FROM:<müller@corp.example> SIZE=7 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb AUTH=<>",
		`RCPT TO:<"a b"@there.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+3Db@there.example`,
	}
	if got := said[len(said)-2:]; !reflect.DeepEqual(got, want) {
		t.Errorf("said %q", got)
	}
}

func TestUTF8NotOffered(t *testing.T) {
	f := start(t, &fake{ext: without("SMTPUTF8")})
	p := newPool(t, f)
	if _, err := p.Begin(t.Context(), "müller@corp.example", &smtp.MailOptions{UTF8: true}); !errors.Is(err, ErrUTF8) {
		t.Errorf("Begin: %v", err)
	}
	if s := p.Status(); s.Warm != 1 {
		t.Errorf("the connection was lost: %+v", s)
	}
}

// An address that cannot stand on a command line never gets there.
func TestInjection(t *testing.T) {
	f := start(t, &fake{})
	p := newPool(t, f)
	for _, from := range []string{"a@b.example>\r\nRCPT TO:<evil@x.example", "a\x00@b.example", "a@b.example\n", "grün@b.example"} {
		if _, err := p.Begin(t.Context(), from, nil); !errors.Is(err, ErrEnvelope) {
			t.Errorf("MAIL %q: %v", from, err)
		}
	}
	if f.connections() != 0 {
		t.Error("connected for an address that cannot be sent")
	}
	tx, err := p.Begin(t.Context(), "me@corp.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	for _, to := range []string{"a@b.example\r\nDATA", "a@b> NOTIFY=NEVER", "a@b.example\r", "", "\x7f@x", "a@b c"} {
		if _, err := tx.Rcpt(t.Context(), []Recipient{{To: "ok@x.example"}, {To: to}}); !errors.Is(err, ErrEnvelope) {
			t.Errorf("RCPT %q: %v", to, err)
		}
	}
	for _, line := range f.said(1) {
		if strings.HasPrefix(line, "MAIL") || strings.HasPrefix(line, "RCPT") {
			t.Errorf("wrote %q", line)
		}
	}
	// The transaction goes on with better addresses.
	if r, err := tx.Rcpt(t.Context(), recipients(1)); err != nil || !r[0].ok() {
		t.Error(r, err)
	}
}

func TestMisuse(t *testing.T) {
	f := start(t, &fake{})
	p := newPool(t, f)
	tx, err := p.Begin(context.Background(), "me@corp.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Data(t.Context(), strings.NewReader("x")); !errors.Is(err, errNoRecipient) {
		t.Errorf("Data without recipients: %v", err)
	}
	if r, err := tx.Rcpt(t.Context(), nil); err != nil || len(r) != 0 {
		t.Errorf("Rcpt without recipients: %v, %v", r, err)
	}
	tx.Rcpt(t.Context(), recipients(1))
	tx.Data(t.Context(), strings.NewReader("x"))
	if _, err := tx.Data(t.Context(), strings.NewReader("x")); !errors.Is(err, errOver) {
		t.Errorf("Data twice: %v", err)
	}
	if _, err := tx.Rcpt(t.Context(), recipients(1)); !errors.Is(err, errOver) {
		t.Errorf("Rcpt after Data: %v", err)
	}
	tx.Close()
	tx.Close()
	if _, err := tx.Rcpt(t.Context(), recipients(1)); !errors.Is(err, errClosed) {
		t.Errorf("Rcpt after Close: %v", err)
	}
	if s := p.Status(); s.Warm != 1 || s.Busy != 0 {
		t.Errorf("%+v", s)
	}
	if n := len(f.delivered()); n != 1 {
		t.Errorf("%d delivered", n)
	}
}
