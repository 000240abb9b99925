package smtpd

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// refusedBody is a connection in the middle of a body that was refused, in a synctest bubble, and what
// its client hears with the time since then.
func refusedBody(t *testing.T, chunk bool) (c *conn, client net.Conn, hears <-chan time.Duration) {
	c, client = pipe(t)
	c.authed = true
	if chunk {
		c.chunk = 1 << 40
		c.tempo.message()
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
