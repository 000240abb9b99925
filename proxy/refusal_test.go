package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// refusesBodies is a provider without CHUNKING that answers 552 to DATA, which it is sent with the
// first part of a body.
func refusesBodies(t *testing.T) *rig {
	r := newRig(t, rigOptions{provider: providertest.Options{NoChunking: true}})
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) (a providertest.Action) {
		if e.Step == providertest.StepData {
			a.Code, a.Text = 552, "5.3.4 Your message exceeded\n5.3.4 our size limits"
		}
		return a
	}})
	return r
}

// part is more of a body than upstream reads before it says DATA, without the body's end.
var part = strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n", 1024)

// A body that was refused half-way left its client in silence until idle_timeout, with the connection
// to the provider leased, while the log said what it had never been told.
func TestRefusedHalfWay(t *testing.T) {
	for _, by := range []string{"DATA", "BDAT"} {
		t.Run(by, func(t *testing.T) {
			r := refusesBodies(t)
			p := r.login(me)
			p.do("MAIL FROM:<"+me+">", "250")
			p.do("RCPT TO:<you@there.test>", "250")
			if by == "DATA" {
				p.do("DATA", "354")
				p.send(part)
			} else {
				p.send("BDAT 1000000 LAST\r\n" + part)
			}
			// The client waits, and is told in the middle of the body.
			if got := p.expect("552"); got != "552-5.3.4 Your message exceeded\n552 5.3.4 our size limits" {
				t.Errorf("it was told %q", got)
			}
			if s := r.server.Snapshot(); s.Upstream.Busy != 0 {
				t.Errorf("%d connections to the provider are in use", s.Upstream.Busy)
			}
			// It goes on all the same, and finds that answer to be the one to its message.
			if by == "DATA" {
				p.send(part + ".\r\n")
			} else {
				p.send(strings.Repeat("x", 1_000_000-len(part)))
			}
			p.do("NOOP", "250 2.0.0")
			a := r.server.Activity(0)
			if len(a) != 1 || a[0].Result != "refused" || a[0].Reply != "552 5.3.4 Your message exceeded 5.3.4 our size limits" {
				t.Errorf("the list of messages has %+v", a)
			}
		})
	}
}

// TestRefusedBodyIsReadToItsEnd where the client comes to it by itself: the answer is in its place.
func TestRefusedBodyIsReadToItsEnd(t *testing.T) {
	r := refusesBodies(t)
	p := r.login(me)
	for range 2 {
		if got := p.message(me, "you@there.test", strings.Repeat(part, 20)); !strings.HasPrefix(got, "552-5.3.4") {
			t.Errorf("got %q", got)
		}
	}
	p.do("NOOP", "250 2.0.0")
}

// refusedBody is a connection in the middle of a body that was refused, in a synctest bubble, and what
// its client hears with the time since then.
func refusedBody(t *testing.T, chunk bool) (c *conn, client net.Conn, hears <-chan time.Duration) {
	c, client = pipe(t)
	c.authed = true
	if chunk {
		c.chunk = 1 << 40
		c.pace.message()
	} else {
		c.data()
	}
	start, times := time.Now(), make(chan time.Duration, 8)
	go func() {
		defer close(times)
		for r := bufio.NewReader(client); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if !strings.HasPrefix(line, "552 ") {
				t.Errorf("the client hears %q", line)
			}
			times <- time.Since(start)
		}
	}()
	return c, client, times
}

// TestRefusedBodyHasAnEnd: a client that is silent hears of the refusal after a second, one that goes
// on sending after five, and after half a minute its connection is closed.
func TestRefusedBodyHasAnEnd(t *testing.T) {
	for _, tc := range []struct {
		name  string
		chunk bool
		every time.Duration // between the client's pieces; 0 for none
		told  time.Duration
	}{
		{"silent in DATA", false, 0, refusedQuiet},
		{"silent in BDAT", true, 0, refusedQuiet},
		{"sending DATA", false, 100 * time.Millisecond, refusedTold},
		{"sending BDAT", true, 100 * time.Millisecond, refusedTold},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, client, hears := refusedBody(t, tc.chunk)
				start, done := time.Now(), make(chan struct{})
				go func() {
					defer close(done)
					for tc.every > 0 {
						time.Sleep(tc.every) // the bubble's clock
						if _, err := io.WriteString(client, "more\r\n"); err != nil {
							return
						}
					}
				}()
				c.refuse(answer(552, "5.3.4", "too large"))
				_, err := io.Copy(io.Discard, readerOnly{c})
				if took := time.Since(start); took != refusedEnd || err == nil && tc.chunk {
					t.Errorf("it ended after %v with %v", took, err)
				}
				c.Close()
				client.Close()
				<-done
				if told := <-hears; told != tc.told {
					t.Errorf("it was told after %v, want %v", told, tc.told)
				}
			})
		})
	}
}

// A read that waits for a silent client hears of a refusal at once.
func TestRefusalWakesARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client, hears := refusedBody(t, true)
		go io.Copy(io.Discard, readerOnly{c})
		synctest.Wait()
		time.Sleep(time.Minute) // the bubble's clock
		c.refuse(answer(552, "5.3.4", "too large"))
		if told := <-hears; told != time.Minute+refusedQuiet {
			t.Errorf("told after %v", told)
		}
		client.Close()
		synctest.Wait()
	})
}

// The log stated 451 for a client that had been told 421, and for one that had left.
func TestWhatWasToldIsRecorded(t *testing.T) {
	for name, tc := range map[string]struct {
		leave func(p *program)
		told  string
	}{
		"silence":     {func(p *program) { p.expect("421 4.4.2 Nothing received for 1s; closing") }, "421 4.4.2 Nothing received for 1s; closing"},
		"half closed": {func(p *program) { p.conn.(*net.TCPConn).CloseWrite(); p.expect("451 4.4.2") }, "451 4.4.2 The message was cut off; nothing was sent."},
		"reset":       {func(p *program) { p.conn.(*net.TCPConn).SetLinger(0); p.conn.Close() }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "reset" && runtime.GOOS == "windows" {
				t.Skip("under wine a reset may arrive as an end, after which a reply can still be sent")
			}
			r := newRig(t, rigOptions{config: func(c *config.Config) {
				if name == "silence" { // the others must not meet the end of it on a busy machine
					c.IdleTimeout = config.Duration(time.Second)
				}
			}})
			p := r.login(me)
			p.do("MAIL FROM:<"+me+">", "250")
			p.do("RCPT TO:<you@there.test>", "250")
			p.do("DATA", "354")
			p.send("half a mess")
			tc.leave(p)
			eventually(t, "it is recorded", func() bool { return len(r.server.Activity(0)) == 1 })
			if a := r.server.Activity(0)[0]; a.Result != "aborted" || a.Reply != tc.told {
				t.Errorf("recorded as %+v, want %q", a, tc.told)
			}
			if log := r.log.String(); name != "half closed" && strings.Contains(log, "451 4.4.2") {
				t.Errorf("the log states a reply that was never sent: %s", log)
			}
		})
	}
}

// Devices whose lines end in LF or CR CR LF waited until idle_timeout, and heard that nothing was heard.
func TestWrongLineEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		end, body string
		after     time.Duration
	}{
		"LF":              {"\n", "Subject: alarm\n\nmotion\n.\n", 0},
		"LF in the body":  {"\r\n", "Subject: alarm\n\nmotion\n.\n", 0},
		"LF before .CRLF": {"\r\n", "Subject: alarm\n\nmotion\n.\r\n", 0},
		"CR":              {"\r\n", "Subject: alarm\r\rmotion\r.\r", 0},
		"CR CR LF":        {"\r\r\n", "Subject: alarm\r\r\n\r\r\nmotion\r\r\n.\r\r\n", 0},
		"CR before .CRLF": {"\r\n", "Subject: alarm\r\rmotion\r.\r\n", 0},
		"LF before .CR":   {"\r\n", "Subject: alarm\n\nmotion\n.\r", 0},
		"LF of the dot":   {"\r\n", "Subject: alarm\r\n\r\nmotion\r\n.\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, rigOptions{config: func(c *config.Config) { c.IdleTimeout = config.Duration(time.Second) }})
			p := r.dial()
			for _, line := range []string{"EHLO cam", "AUTH PLAIN " + plainResponse(me, password), "MAIL FROM:<" + me + ">", "RCPT TO:<you@there.test>", "DATA"} {
				p.send(line + tc.end)
				if got := p.reply(); got == "" || got[0] != '2' && got[0] != '3' {
					t.Fatalf("%s: %q", line, got)
				}
			}
			p.send(tc.body)
			if got := p.expect("554 5.6.0"); !strings.Contains(got, "line ends must be CRLF") {
				t.Errorf("it was told %q", got)
			}
			p.conn.Close()
			eventually(t, "it is recorded", func() bool { return len(r.server.Activity(0)) == 1 })
			if a := r.server.Activity(0)[0]; a.Result != "refused" || !strings.HasPrefix(a.Reply, "554 5.6.0") || len(r.provider.Messages()) != 0 {
				t.Errorf("recorded as %+v", a)
			}
		})
	}
}

// TestPauseInALineIsNoEnd: only a body that stops where one could have ended is given up early.
func TestPauseInALineIsNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for body, want := range map[string]time.Duration{"a\r\n": 5 * time.Minute, "a\n..\n": 5 * time.Minute, "a\n.": 5 * time.Minute, "a\n.\n": wrongEnd, "a\n.\nb": 5 * time.Minute, "a\r.\r\n": wrongEnd, "a\n.\r": wrongEnd, "a.\r\n": 5 * time.Minute} {
			c, client := pipe(t)
			c.authed = true
			d := c.data()
			go io.WriteString(client, body)
			go io.Copy(io.Discard, client)
			start := time.Now()
			_, err := io.ReadAll(d)
			if took := time.Since(start); took != want || errors.Is(err, errLineEnds) != (want == wrongEnd) {
				t.Errorf("%q was given up after %v with %v", body, took, err)
			}
			c.Close()
			client.Close()
		}
	})
}

// TestInterruptedBody: a read that waits for the client is given up when the provider refuses the
// message, and the body can still be read to its end.
func TestInterruptedBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := pipe(t)
		c.authed = true
		body := &countingReader{r: c.data(), c: c}
		go io.WriteString(client, "half a mess")
		if n, err := body.Read(make([]byte, 64)); n != 11 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		go func() {
			time.Sleep(time.Minute) // the bubble's clock
			body.Interrupt()
		}()
		if _, err := body.Read(make([]byte, 64)); err != errInterrupted || !body.unread() {
			t.Errorf("the read ended with %v", err)
		}
		c.refuse(answer(552, "5.3.4", "too large"))
		go io.WriteString(client, "age\r\n.\r\nNOOP\r\n")
		end := make([]byte, 64)
		if n, err := c.Read(end); string(end[:n]) != ".\r\n" || err != nil {
			t.Errorf("then %q, %v", end[:n], err)
		}
		if n, err := c.Read(end); string(end[:n]) != "NOOP\r\n" || err != nil {
			t.Errorf("then %q, %v", end[:n], err)
		}
	})
}

func TestPump(t *testing.T) {
	r, w := io.Pipe()
	p := newPump(r)
	go w.Write([]byte("hello world"))
	if err := p.first(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if n, err := p.Read(b); string(b[:n]) != "hello" || err != nil {
		t.Errorf("%q, %v", b[:n], err)
	}
	if n, err := io.ReadFull(p, make([]byte, 6)); n != 6 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	go p.interrupt()
	if _, err := p.Read(b); err != errInterrupted {
		t.Errorf("interrupted: %v", err)
	}
	go w.Write([]byte("more"))
	w.Close()
	p.finish()

	r, w = io.Pipe()
	w.CloseWithError(io.ErrUnexpectedEOF)
	if err := newPump(r).first(); err != io.ErrUnexpectedEOF {
		t.Errorf("a pipe that was closed: %v", err)
	}
	r, w = io.Pipe()
	w.Close()
	p = newPump(r)
	if err := p.first(); err != nil {
		t.Errorf("an empty body: %v", err)
	}
	if _, err := p.Read(b); err != io.EOF {
		t.Errorf("an empty body: %v", err)
	}
	p.finish()
}
