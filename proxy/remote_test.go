package proxy

import (
	"net"
	"strings"
	"testing"
)

// elsewhere is a connection that came in over a network.
type elsewhere struct{ net.Conn }

func (elsewhere) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1587} }

// oneConn is a listener that has one connection and then waits for its end.
type oneConn struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { close(l.done); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// TestTLSBeforeAuthFromElsewhere: on anything but the loopback interface a
// password is not asked for in clear text, and not taken.
func TestTLSBeforeAuthFromElsewhere(t *testing.T) {
	r := newRig(t, rigOptions{})
	ours, theirs := tcpPair(t)
	l := &oneConn{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conns <- r.server.admit(elsewhere{ours}, false)
	served := make(chan error, 1)
	go func() { served <- r.server.smtp.Serve(l) }()
	t.Cleanup(func() { r.stop(); <-served })

	p := newProgram(t, theirs)
	if caps := p.do("EHLO x", "250"); strings.Contains(caps, "AUTH") || !strings.Contains(caps, "STARTTLS") {
		t.Errorf("offered in clear text: %q", caps)
	}
	p.do("AUTH PLAIN "+plainResponse(me, password), "530 5.7.0 Must issue a STARTTLS")
	p.do("STARTTLS", "220")
	p.startTLS()
	if caps := p.do("EHLO x", "250"); !strings.Contains(caps, "AUTH PLAIN LOGIN") {
		t.Errorf("offered over TLS: %q", caps)
	}
	p.do("AUTH PLAIN "+plainResponse(me, password), "235")
}

// tcpPair is both ends of a connection.
func tcpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if b, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if a, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}
