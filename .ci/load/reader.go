package main

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"time"
)

// reader is a mail program that reads with IMAP.
type reader struct {
	conn net.Conn
	r    *bufio.Reader
	tags int
}

// reach connects over a route to an IMAP server, as far as its greeting. Directly and through the forwarder
// it has TLS from the first byte.
func (r route) reach(buffer int) (*reader, error) {
	conn, err := net.DialTimeout("tcp", r.addr, patience)
	if err != nil {
		return nil, err
	}
	if !r.local && !r.clear {
		conn = tls.Client(conn, &tls.Config{ServerName: "localhost", RootCAs: r.roots})
	}
	c := &reader{conn: conn, r: bufio.NewReaderSize(conn, buffer)}
	conn.SetDeadline(time.Now().Add(patience))
	if line, err := c.line(); err != nil || !strings.HasPrefix(line, "* OK") {
		conn.Close()
		return nil, fmt.Errorf("%s: greeting %q: %w", r.name, line, err)
	}
	return c, nil
}

// login logs in to an account: with the local password through Waxseal, otherwise with the token.
func (c *reader) login(r route, a account) error {
	if r.local {
		return c.do(fmt.Sprintf("LOGIN %q %q", a.Address, localPassword))
	}
	return c.do("AUTHENTICATE XOAUTH2 " + base64.StdEncoding.EncodeToString([]byte("user="+a.Address+"\x01auth=Bearer "+a.Access+"\x01\x01")))
}

// open connects, logs in and selects the folder with the message.
func (r route) open(a account, buffer int) (*reader, error) {
	c, err := r.reach(buffer)
	if err != nil {
		return nil, err
	}
	if err = c.login(r, a); err == nil {
		err = c.do("EXAMINE INBOX")
	}
	if err != nil {
		c.conn.Close()
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	return c, nil
}

// fetch reads the message. It reads it piece by piece and calls pause after each, unless that is nil.
func (c *reader) fetch(pause func()) (size int, err error) {
	tag := c.say("FETCH 1 BODY.PEEK[]")
	line, err := c.line()
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Sscanf(line, "* 1 FETCH (BODY[] {%d}", &size); err != nil {
		return 0, fmt.Errorf("%q: %w", line, err)
	}
	for left := size; left > 0; {
		n := left
		if pause != nil {
			n = min(left, c.r.Size())
		}
		if _, err := c.r.Discard(n); err != nil {
			return 0, err
		}
		left -= n
		if pause != nil {
			pause()
		}
	}
	if line, err := c.line(); err != nil || line != ")" {
		return 0, fmt.Errorf("after the message: %q: %w", line, err)
	}
	return size, c.answer(tag)
}

// idle waits for news, as most programs do all day.
func (c *reader) idle() error {
	c.say("IDLE")
	if line, err := c.line(); err != nil || !strings.HasPrefix(line, "+") {
		return fmt.Errorf("IDLE: %q: %w", line, err)
	}
	return nil
}

func (c *reader) logout() {
	c.do("LOGOUT")
	c.conn.Close()
}

func (c *reader) do(command string) error { return c.answer(c.say(command)) }

func (c *reader) say(command string) (tag string) {
	c.tags++
	tag = fmt.Sprintf("a%d", c.tags)
	c.conn.SetDeadline(time.Now().Add(patience))
	c.conn.Write([]byte(tag + " " + command + "\r\n")) // if that fails, so does the next read
	return tag
}

// answer reads until the tagged response and expects it to be OK.
func (c *reader) answer(tag string) error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		if rest, ok := strings.CutPrefix(line, tag+" "); ok {
			if !strings.HasPrefix(rest, "OK") {
				return fmt.Errorf("got %q", line)
			}
			return nil
		}
	}
}

func (c *reader) line() (string, error) {
	line, err := c.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}
