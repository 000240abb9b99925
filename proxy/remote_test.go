package proxy

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/localuser"
)

// elsewhere is a connection that came in over a network.
type elsewhere struct{ net.Conn }

func (elsewhere) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1587} }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 40000} }

// oneConn is a listener that has one connection and then waits to be closed.
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
	l := &oneConn{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conns <- r.server.admit(elsewhere{ours}, false)
	served := make(chan error, 1)
	go func() { served <- r.server.smtp.Serve(l) }()
	r.t.Cleanup(func() { r.stop(); <-served })
	return newProgram(r.t, theirs)
}

// TestLockedOutElsewhere: after too many wrong passwords not even the right one is accepted from that
// source, while others, and this machine, continue.
func TestLockedOutElsewhere(t *testing.T) {
	r := newRig(t, rigOptions{accounts: []string{"b@corp.test"}})
	wrong := &guesses{turn: make(chan struct{}, 1), failures: maxGuesses, last: time.Now()}
	r.server.guard.sources.Store(source{caller{host: "192.0.2.9"}, me}, wrong)
	here := &guesses{turn: make(chan struct{}, 1), failures: maxGuesses, last: time.Now()}
	r.server.guard.sources.Store(source{caller{localhost, localuser.Me()}, me}, here)
	r.server.guard.count.Store(2)

	p := r.dialFromElsewhere()
	p.do("STARTTLS", "220")
	p.startTLS()
	p.do("EHLO x", "250")
	p.do("AUTH PLAIN "+plainResponse(me, password), "421 4.7.0 Too many wrong passwords")
	if got := p.reply(); got != "" {
		t.Errorf("the connection goes on with %q", got)
	}
	p = r.dialFromElsewhere()
	p.do("STARTTLS", "220")
	p.startTLS()
	p.auth("b@corp.test", password)
	r.login(me) // this machine's own programs share an address, and are not locked out
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
