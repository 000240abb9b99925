package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/control"
)

// sendmailEnvelope is who a message is from and for.
type sendmailEnvelope struct {
	from string // "" for a report
	to   []string
}

// submit sends a message to the running instance, and returns when the provider has accepted it.
func submit(ctx context.Context, c *control.Client, s api.MailSettings, e sendmailEnvelope, msg *message) error {
	conn, err := dialOwn(ctx, c, s)
	if err != nil {
		return &exitError{err, exTempFail}
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	client := smtp.NewClient(conn)
	if err := client.Auth(sasl.NewPlainClient("", s.User, s.Password)); err != nil {
		return refusedSend(ctx, "the login", exNoPerm, err)
	}
	o := &smtp.MailOptions{Body: smtp.Body8BitMIME}
	for _, address := range append([]string{e.from}, e.to...) {
		o.UTF8 = o.UTF8 || strings.ContainsFunc(address, func(r rune) bool { return r >= 0x80 })
	}
	if err := client.Mail(e.from, o); err != nil {
		return refusedSend(ctx, "the sender "+e.from, exUnavailable, err)
	}
	for _, to := range e.to {
		if err := client.Rcpt(to, nil); err != nil {
			return refusedSend(ctx, "the recipient "+to, exNoUser, err)
		}
	}
	w, err := client.Data()
	if err != nil {
		return refusedSend(ctx, "the message", exUnavailable, err)
	}
	if _, err := msg.WriteTo(w); err != nil { // a body that is cut off must not be ended properly
		conn.Close()
		return refusedSend(ctx, "the message", exUnavailable, err)
	}
	if err := w.Close(); err != nil {
		return refusedSend(ctx, "the message", exUnavailable, err)
	}
	client.Quit() // the message is sent, whatever the answer
	return nil
}

// dialOwn connects to the running instance: without TLS on this computer if it can, else with TLS.
func dialOwn(ctx context.Context, c *control.Client, s api.MailSettings) (net.Conn, error) {
	var best *api.MailServer
	for _, server := range s.Servers { // this computer's own come first, those without TLS before others
		if server.Protocol == api.SMTP && (best == nil || !api.IsLoopback(best.Host) && server.TLS) {
			best = &server
		}
	}
	if best == nil {
		return nil, errors.New("there is no port for mail programs that send")
	}
	address := net.JoinHostPort(best.Host, strconv.Itoa(best.Port))
	if !best.TLS && !api.IsLoopback(best.Host) {
		return nil, withCure(fmt.Errorf("%s needs STARTTLS, which sendmail does not do", address), "add an address of 127.0.0.1 to listen, or one to listen_tls")
	}
	var d net.Dialer
	if !best.TLS {
		return d.DialContext(ctx, "tcp", address)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: best.Host}
	if api.IsLoopback(best.Host) {
		info, err := c.Certificate(ctx)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = x509.NewCertPool()
		cfg.RootCAs.AppendCertsFromPEM([]byte(info.PEM))
	}
	return (&tls.Dialer{NetDialer: &d, Config: cfg}).DialContext(ctx, "tcp", address)
}

// refusedSend is an error with its exit code: lasting is the one for a refusal that another try does
// not change.
func refusedSend(ctx context.Context, what string, lasting int, err error) error {
	code := exTempFail
	reply, ok := errors.AsType[*smtp.SMTPError](err)
	switch {
	case ctx.Err() != nil:
		return &exitError{ctx.Err(), exTempFail}
	case !ok:
		return &exitError{fmt.Errorf("%s could not be sent: %w", what, err), exTempFail}
	case reply.Code >= 500:
		code = lasting
	}
	text := strings.TrimSpace(fmt.Sprintf("%d %s", reply.Code, enhancedText(reply)))
	return &exitError{fmt.Errorf("%s was refused: %s", what, text), code}
}

// enhancedText is a reply's text with its enhanced code (RFC 2034), which go-smtp takes apart.
func enhancedText(r *smtp.SMTPError) string {
	text := strings.ReplaceAll(r.Message, "\n", " ")
	if r.EnhancedCode[0] > 0 {
		return fmt.Sprintf("%d.%d.%d %s", r.EnhancedCode[0], r.EnhancedCode[1], r.EnhancedCode[2], text)
	}
	return text
}
