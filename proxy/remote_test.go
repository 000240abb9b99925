package proxy

import (
	"net"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// elsewhere is a connection that came in over a network.
type elsewhere struct{ net.Conn }

func (elsewhere) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1587} }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 40000} }

// oneConn is a listener that has one connection and then waits to be closed.
type oneConn struct {
	net.Listener
	conns chan *mailbox.Client
	done  chan struct{}
}

func (l *oneConn) accept() (*mailbox.Client, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { close(l.done); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// TestTLSBeforeAuthFromElsewhere: on anything but the loopback interface, AUTH is not offered in clear
// text, and refused.
func TestTLSBeforeAuthFromElsewhere(t *testing.T) {
	p := newRig(t, rigOptions{}).dialFromElsewhere()
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

// dialFromElsewhere is a program on another machine.
func (r *rig) dialFromElsewhere() *program {
	r.t.Helper()
	ours, theirs := tcpPair(r.t)
	l := &oneConn{conns: make(chan *mailbox.Client, 1), done: make(chan struct{})}
	l.conns <- r.server.hall.Admit(elsewhere{ours}, api.SMTP, false)
	served := make(chan error, 1)
	go func() { served <- r.server.smtp.Serve(l, l.accept) }()
	r.t.Cleanup(func() { r.stop(); <-served })
	return newProgram(r.t, theirs)
}

// tcpPair is both ends of a connection.
func tcpPair(t testing.TB) (a, b net.Conn) {
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
