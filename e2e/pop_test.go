//go:build e2e

package e2e

import (
	"crypto/tls"
	"io"
	"net"
	"net/textproto"
	"os"
	"strings"
	"testing"
)

// popClient speaks POP command by command (RFC 1939).
type popClient struct {
	t    *testing.T
	conn net.Conn
	c    *textproto.Conn
}

// dialPOP connects and reads the greeting. With a certificate's path it uses TLS.
func dialPOP(t *testing.T, address, certificate string) *popClient {
	t.Helper()
	conn := dial(t, address, certificate)
	p := &popClient{t, conn, textproto.NewConn(conn)}
	if greeting := p.line(); !strings.HasPrefix(greeting, "+OK") {
		t.Fatalf("the greeting is %q", greeting)
	}
	return p
}

// startTLS goes on with TLS (RFC 2595).
func (p *popClient) startTLS(certificate string) {
	p.t.Helper()
	p.do("STLS")
	p.conn = tls.Client(p.conn, trust(p.t, certificate))
	p.c = textproto.NewConn(p.conn)
}

func (p *popClient) line() string {
	p.t.Helper()
	line, err := p.c.ReadLine()
	if err != nil {
		p.t.Fatal(err)
	}
	return line
}

// try sends a command and returns the first line of the answer.
func (p *popClient) try(command string) string {
	p.t.Helper()
	if err := p.c.PrintfLine("%s", command); err != nil {
		p.t.Fatal(err)
	}
	return p.line()
}

// do sends a command that must succeed.
func (p *popClient) do(command string) string {
	p.t.Helper()
	answer := p.try(command)
	if !strings.HasPrefix(answer, "+OK") {
		p.t.Fatalf("%s: %s", command, answer)
	}
	return answer
}

// all sends a command whose answer has many lines, and returns those after the first.
func (p *popClient) all(command string) string {
	p.t.Helper()
	p.do(command)
	text, err := p.c.ReadDotBytes()
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// login sends user name and password, and returns the answer.
func (p *popClient) login(user, password string) string {
	p.t.Helper()
	p.do("USER " + user)
	return p.try("PASS " + password)
}

// ended waits until the server has closed the connection, and closes it too.
func (p *popClient) ended() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.c.R); os.IsTimeout(err) {
		p.t.Errorf("the connection goes on after %q", rest)
	}
	p.conn.Close()
}
