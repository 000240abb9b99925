package proxy

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// flood sends commands and reads no answer, until the server waits for it to read and its own writes
// get stuck too.
func flood(t *testing.T, c net.Conn) {
	t.Helper()
	c.(*net.TCPConn).SetReadBuffer(4 << 10)
	line := []byte(strings.Repeat("NOOP\r\n", 1000))
	for n := 0; n < 64<<20; {
		c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)) // nothing is read for that long
		m, err := c.Write(line)
		if err != nil && m == 0 {
			return
		}
		n += m
	}
	t.Fatal("the server reads commands without end though nobody reads its answers")
}

// TestShutdownPastOneWhoNeverReads: the server stops without waiting for clients that do not read its
// replies, even when the stop itself has no limit.
func TestShutdownPastOneWhoNeverReads(t *testing.T) {
	r := newRig(t, rigOptions{})
	flood(t, r.login(me).conn)
	flood(t, r.dial().conn)
	done := make(chan error, 1)
	go func() { done <- r.server.Shutdown(context.Background()) }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the stop is held up")
	}
}

// TestShutdownWithAMessageOfOneWhoNeverReads: a message in progress has until the limit, and no longer.
func TestShutdownWithAMessageOfOneWhoNeverReads(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.login(me)
	p.do("MAIL FROM:<"+me+">", "250")
	flood(t, p.conn)
	flood(t, r.dial().conn) // has no message
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.server.Shutdown(ctx) }()
	eventually(t, "the one without a message is gone", func() bool { return r.server.Snapshot().Connections <= 1 })
	select {
	case err := <-done:
		t.Fatalf("the message was not waited for: %v", err)
	default:
	}
	cancel()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "1 messages in flight") {
		t.Errorf("got %v", err)
	}
}

// TestOneWhoNeverReadsHurtsNobody: neither other clients nor the server, which keeps only so much for
// it.
func TestOneWhoNeverReadsHurtsNobody(t *testing.T) {
	r := newRig(t, rigOptions{provider: providertest.Options{DropBodies: true}})
	flood(t, r.dial().conn)
	if got := r.login(me).message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250 2.0.0 OK") {
		t.Errorf("another client: %q", got)
	}
}

// TestSilentBeforeGreeting: a client that connects to the TLS port and sends nothing, or half a
// handshake, is closed.
func TestSilentBeforeGreeting(t *testing.T) {
	for _, first := range []string{"", "\x16\x03\x01\x02"} {
		r := newRig(t, rigOptions{config: func(c *config.Config) { c.IdleTimeout = config.Duration(100 * time.Millisecond) }})
		c, err := net.Dial("tcp", r.tls)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, first)
		if _, err := io.ReadAll(c); err != nil {
			if n, ok := err.(net.Error); ok && n.Timeout() {
				t.Errorf("after %q: %v", first, err)
			}
		}
		p := r.dial()
		p.do("STARTTLS", "220")
		if first != "" {
			p.send(first)
		}
		if _, err := io.ReadAll(p.conn); err != nil {
			if n, ok := err.(net.Error); ok && n.Timeout() {
				t.Errorf("STARTTLS, then %q: %v", first, err)
			}
		}
		eventually(t, "both are gone", func() bool { return r.server.Snapshot().Connections == 0 })
	}
}
