package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// readBack plays the mail program that reads: it signs in to IMAP with the password and checks that
// the message in the inbox is the one that was sent.
func (d *demo) readBack(ctx context.Context, password, sent string) error {
	address, err := d.reads()
	if err != nil {
		return err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connect as a mail program that reads: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c := imapClient{conn, bufio.NewReader(conn)}
	if _, err := c.line(); err != nil { // the greeting
		return fmt.Errorf("connect as a mail program that reads: %w", err)
	}
	if _, err := c.do(fmt.Sprintf("LOGIN %s %s", demoAddress, imapQuoted(password))); err != nil {
		return fmt.Errorf("sign in as a mail program that reads: %w", err)
	}
	d.done("LOGIN", "with the same password, to IMAP on %s; the provider accepted a token in its place", address)
	if _, err := c.do("SELECT INBOX"); err != nil {
		return fmt.Errorf("open the inbox: %w", err)
	}
	message, err := c.do("FETCH 1 BODY.PEEK[]")
	if err != nil {
		return fmt.Errorf("read the message: %w", err)
	}
	whole := sha256.Sum256(message)
	if sum := hex.EncodeToString(whole[:]); sum != sent {
		return fmt.Errorf("the message changed on its way back: SHA-256 %s was sent, %s came back", sent, sum)
	}
	d.done("read", "%d bytes from the inbox, again with the same SHA-256", len(message))
	_, err = c.do("LOGOUT")
	return err
}

// reads returns the address on which Waxseal speaks IMAP.
func (d *demo) reads() (string, error) {
	for _, l := range d.server.Snapshot().Listeners {
		if l.Protocol == api.IMAP && !l.TLS {
			return l.Address, nil
		}
	}
	return "", errors.New("there is no port for programs that read mail")
}

// imapClient is as much of an IMAP client as the demo needs.
type imapClient struct {
	conn net.Conn
	r    *bufio.Reader
}

// do sends a command and waits until it has succeeded. It returns the last literal that came
// meanwhile.
func (c imapClient) do(command string) (literal []byte, err error) {
	if _, err := io.WriteString(c.conn, "a "+command+"\r\n"); err != nil {
		return nil, err
	}
	for {
		line, err := c.line()
		if err != nil {
			return nil, err
		}
		if answer, tagged := strings.CutPrefix(line, "a "); tagged {
			if !strings.HasPrefix(answer, "OK") {
				return nil, errors.New(answer)
			}
			return literal, nil
		}
		open := strings.LastIndexByte(line, '{')
		if open < 0 || !strings.HasSuffix(line, "}") {
			continue
		}
		size, err := strconv.ParseUint(line[open+1:len(line)-1], 10, 20)
		if err != nil {
			return nil, fmt.Errorf("a literal in %q: %w", line, err)
		}
		literal = make([]byte, size)
		if _, err := io.ReadFull(c.r, literal); err != nil {
			return nil, err
		}
	}
}

// line reads a line, without CRLF.
func (c imapClient) line() (string, error) {
	line, err := c.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// imapQuoted writes a quoted string (RFC 3501 section 4.3).
func imapQuoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
