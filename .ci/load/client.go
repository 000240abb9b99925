package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"time"
)

// patience limits every step of a client. Nothing that is measured comes near it.
const patience = time.Minute

// client behaves as most mail programs do: it sends one command and waits for its
// reply, whatever the server offers.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

// dial connects over a route and logs in to an account. With STARTTLS it does a full
// handshake each time, like a program that is started for each message.
func (r route) dial(a account) (*client, error) {
	conn, err := net.DialTimeout("tcp", r.addr, patience)
	if err != nil {
		return nil, err
	}
	c := newClient(conn)
	if err = c.hello(); err == nil {
		err = c.authenticate(r, a)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	return c, nil
}

// newClient uses a small buffer, because thousands of clients run on this machine too.
func newClient(conn net.Conn) *client { return &client{conn, bufio.NewReaderSize(conn, 1<<10)} }

func (c *client) hello() error {
	if err := c.expect("220"); err != nil {
		return err
	}
	return c.do("EHLO client.test", "250")
}

func (c *client) authenticate(r route, a account) error {
	if r.local {
		return c.do("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+a.Address+"\x00"+localPassword)), "235")
	}
	if err := c.do("STARTTLS", "220"); err != nil {
		return err
	}
	t := tls.Client(c.conn, &tls.Config{ServerName: "localhost", RootCAs: r.roots, DynamicRecordSizingDisabled: true})
	if err := t.Handshake(); err != nil {
		return err
	}
	*c = *newClient(t)
	if err := c.do("EHLO client.test", "250"); err != nil {
		return err
	}
	return c.do("AUTH XOAUTH2 "+base64.StdEncoding.EncodeToString([]byte("user="+a.Address+"\x01auth=Bearer "+a.Access+"\x01\x01")), "235")
}

// message sends one message in four round trips, as a client without PIPELINING
// does. body ends with the final dot.
func (c *client) message(from string, body []byte) error {
	if err := c.do("MAIL FROM:<"+from+">", "250"); err != nil {
		return err
	}
	if err := c.do("RCPT TO:<friend@elsewhere.test>", "250"); err != nil {
		return err
	}
	if err := c.do("DATA", "354"); err != nil {
		return err
	}
	if _, err := c.conn.Write(body); err != nil {
		return err
	}
	return c.expect("250")
}

func (c *client) quit() {
	c.do("QUIT", "221")
	c.conn.Close()
}

func (c *client) do(line, code string) error {
	c.conn.SetDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write([]byte(line + "\r\n")); err != nil {
		return err
	}
	return c.expect(code)
}

// expect reads one reply and checks its code.
func (c *client) expect(code string) error {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		if !bytes.HasPrefix(line, []byte(code)) {
			return fmt.Errorf("got %q, want %s", strings.TrimSpace(string(line)), code)
		}
		return nil
	}
}

// body makes a message of about size bytes, followed by the final dot.
func body(size int) []byte {
	b := []byte("From: <me@bench.test>\r\nSubject: one of many\r\n\r\n")
	for len(b) < size {
		b = append(b, "c2V2ZW50eS1zaXggY2hhcmFjdGVycyBvZiBiYXNlNjQsIGFzIGF0dGFjaG1lbnRzIGhhdmUgaXQ\r\n"...)
	}
	return append(b, ".\r\n"...)
}
