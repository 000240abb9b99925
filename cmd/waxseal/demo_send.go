package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// demoMessage is what the demo's mail program sends. It contains what careless relays change: a
// leading dot, trailing spaces, 8-bit characters.
const demoMessage = "From: You <you@demo.example>\r\n" +
	"To: A friend <friend@elsewhere.example>\r\n" +
	"Cc: You <you@demo.example>\r\n" +
	"Subject: Sent with a password\r\n" +
	"Date: %s\r\n" +
	"Message-ID: <%d@demo.example>\r\n" +
	"MIME-Version: 1.0\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\n" +
	"Content-Transfer-Encoding: 8bit\r\n" +
	"\r\n" +
	"Grüße from a program that has never heard of OAuth.\r\n" +
	".\r\n" +
	"..and none of these bytes changes on the way.  \r\n"

// send plays the mail program: it signs in with the password, sends one message and returns its
// SHA-256.
func (d *demo) send(ctx context.Context, password string) (sum string, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", d.server.Snapshot().Listeners[0].Address)
	if err != nil {
		return "", fmt.Errorf("connect as a mail program: %w", err)
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c := smtp.NewClient(conn)
	defer c.Close()
	if err := c.Auth(sasl.NewPlainClient("", demoAddress, password)); err != nil {
		return "", fmt.Errorf("sign in as a mail program: %w", err)
	}
	d.done("AUTH", "PLAIN with the password; the provider accepted a token in its place")

	now := time.Now()
	text := fmt.Sprintf(demoMessage, now.Format(time.RFC1123Z), now.UnixNano())
	reply, err := transact(c, text)
	if err != nil {
		return "", fmt.Errorf("send as a mail program: %w", err)
	}
	d.done("send", "the provider answered: 250 %s", reply)
	if err := c.Quit(); err != nil {
		return "", fmt.Errorf("quit as a mail program: %w", err)
	}
	whole := sha256.Sum256([]byte(text))
	return hex.EncodeToString(whole[:]), nil
}

// transact sends a message and returns the text of the final reply.
func transact(c *smtp.Client, text string) (string, error) {
	if err := c.Mail(demoAddress, &smtp.MailOptions{Body: smtp.Body8BitMIME}); err != nil {
		return "", err
	}
	for _, to := range []string{"friend@elsewhere.example", demoAddress} {
		if err := c.Rcpt(to, nil); err != nil {
			return "", err
		}
	}
	w, err := c.Data()
	if err != nil {
		return "", err
	}
	if _, err := io.Copy(w, strings.NewReader(text)); err != nil {
		return "", err
	}
	reply, err := w.CloseWithResponse()
	if err != nil {
		return "", err
	}
	return reply.StatusText, nil
}
