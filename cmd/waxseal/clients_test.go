//go:build linux

package main_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"testing"

	"github.com/waxseal/waxseal/proxy/providertest"
)

const sender = "me@corp.example"

// utf8Address is an address that RFC 6531 made possible.
const utf8Address = "jörg@else.example"

// text has what programs on the way of a message tend to change: leading dots, a single dot, bytes
// beyond ASCII.
const text = ".\n..\n.a line that starts with a dot\nGrüße, 你好\n.\nlast line\n"

// rough is text with what not every mail program sends unchanged: a line longer than RFC 5321 section
// 4.5.3.1.6 allows, and bytes that are not UTF-8.
var rough = strings.Repeat("long ", 12_000) + "\nno UTF-8: \xff\xfe\xa4\n" + text

const header = "From: Me <" + sender + ">\nTo: <you@else.example>\nSubject: From a real client\n" +
	"Date: Mon, 02 Nov 2026 10:00:00 +0000\nMessage-ID: <real.client@corp.example>\n" +
	"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"

// mailClient is a program that people send mail with, or a library with a script.
type mailClient struct {
	name      string // "" is the program's name
	program   string
	packages  string // of Debian; "" is the program's name
	parts     string // a shell command that fails if a part of it is missing
	args      func(endpoint) []string
	file      string // what it is given, with LF line ends, as a file and on standard input
	ownHeader bool   // it writes its own header, and keeps the rest
	tail      string // what it adds at the end
	ascii     string // what it prints if it cannot send to addresses beyond ASCII (RFC 6531)
	unchecked bool   // it never checks certificates, whatever it is told
	rejected  string // what it prints when the provider refuses a recipient,
	refused   string // when the provider refuses the message,
	wrong     string // when the password is wrong,
	revoked   string // and when the account's user has revoked the consent
}

func (c mailClient) String() string { return cmp.Or(c.name, c.program) }

// How the clients connect.
const (
	clear    = "clear"
	starttls = "STARTTLS"
	implicit = "TLS"
)

// What the provider says, in the last line of its reply, and parts of what Waxseal says.
const (
	notASCII      = "5.6.7"
	noMailbox     = "5.1.1 No mailbox of that name here"
	unwelcome     = "5.7.1 This message is not wanted here"
	wrongPassword = "5.7.8"
	consentGone   = "`waxseal account reauthorize " + sender + "`"
)

var mailClients = []mailClient{
	{program: "swaks", args: swaks, file: header + rough, tail: "\r\n",
		rejected: noMailbox, refused: unwelcome, wrong: wrongPassword, revoked: consentGone, ascii: notASCII},
	{program: "msmtp", args: msmtp, file: header + rough,
		rejected: noMailbox, refused: unwelcome, wrong: wrongPassword, revoked: consentGone, ascii: notASCII},
	{program: "curl", args: curl, file: header + rough,
		rejected: "550", refused: "Weird server reply", wrong: "Login denied", revoked: "Login denied"},
	{program: "s-nail", args: snail, file: text, ownHeader: true,
		rejected: noMailbox, refused: unwelcome, wrong: wrongPassword, revoked: consentGone, ascii: "contains invalid byte"},
	{program: "git", args: gitSendEmail, file: header + rough, ownHeader: true,
		packages: "git-email libauthen-sasl-perl libio-socket-ssl-perl libmailtools-perl",
		parts:    `test -e "$(git --exec-path)/git-send-email" && perl -MAuthen::SASL -MIO::Socket::SSL -MMail::Address -e 1`,
		rejected: noMailbox, refused: unwelcome, wrong: wrongPassword, revoked: consentGone, ascii: notASCII},
	{program: "neomutt", args: neomutt, file: text, ownHeader: true,
		rejected: noMailbox, refused: unwelcome, wrong: wrongPassword, revoked: consentGone},
	{name: "mailutils", program: "mail.mailutils", packages: "mailutils", args: mailutils, file: text, ownHeader: true,
		rejected: "Operation rejected by remote party", refused: "Operation rejected by remote party", wrong: wrongPassword, revoked: consentGone,
		ascii: "Cannot parse address", unchecked: true},
	{name: "smtplib", program: "python3", args: library("send.py"), file: header + rough,
		rejected: noMailbox, refused: unwelcome, wrong: wrongPassword, revoked: consentGone},
	{name: "nodemailer", program: "node", packages: "nodejs node-nodemailer", parts: `node -e 'require("nodemailer")'`,
		args: library("send.js"), file: header + rough,
		rejected: noMailbox, refused: unwelcome, wrong: wrongPassword, revoked: consentGone},
	{name: "PHPMailer", program: "php", packages: "php-cli libphp-phpmailer", parts: "test -e /usr/share/php/libphp-phpmailer/autoload.php",
		args: library("send.php"), file: text, ownHeader: true, tail: "\r\n",
		rejected: "No mailbox of that name here", refused: "data not accepted",
		wrong: "Could not authenticate", revoked: "Could not authenticate",
		ascii: "Invalid address"},
}

// TestRealClients sends with the programs that people use, through `waxseal serve`, to a provider that
// only accepts tokens. What arrives has the SHA-256 of what the client sent (recorded on the wire, if
// that is readable) and of the file that the client got. docs/clients.md says how to set up each one.
func TestRealClients(t *testing.T) {
	r := startProgram(t)
	for _, c := range mailClients {
		for _, security := range []string{clear, starttls, implicit} {
			for _, auth := range []string{"PLAIN", "LOGIN"} {
				t.Run(c.String()+"/"+security+"/"+auth, func(t *testing.T) {
					c.mustBeThere(t)
					e := r.endpoint(security, auth)
					var wire *recorder
					if security == clear {
						wire = record(t, e.address)
						e.address = wire.address
					}
					c.wantUnchanged(t, r.sent(t, c, e), wire)
				})
			}
		}
	}
}

// TestUTF8Addresses: a client that can write to an address beyond ASCII can do so through Waxseal. For
// the others, the client itself or Waxseal says why not.
func TestUTF8Addresses(t *testing.T) {
	r := startProgram(t)
	for _, c := range mailClients {
		t.Run(c.String(), func(t *testing.T) {
			c.mustBeThere(t)
			e := r.endpoint(clear, "PLAIN")
			e.to = utf8Address
			if c.ascii != "" {
				before := len(r.provider.Messages())
				out, err := c.run(t, e) // mailutils calls that a success
				if n := len(r.provider.Messages()) - before; n != 0 || !strings.Contains(out, c.ascii) {
					t.Errorf("exit: %v, %d messages arrived, want none and %q; output:\n%s", err, n, c.ascii, out)
				}
				return
			}
			if m := r.sent(t, c, e); len(m.Rcpts) != 1 || m.Rcpts[0].To != utf8Address {
				t.Errorf("it went to %+v, not to %s", m.Rcpts, utf8Address)
			}
		})
	}
}

// wantUnchanged compares what arrived with what was recorded on the wire, if it was, and with what the
// client got.
func (c mailClient) wantUnchanged(t *testing.T, m providertest.Message, wire *recorder) {
	t.Helper()
	if wire != nil {
		if want := hashOf(wire.body(t)); m.SHA256 != want {
			t.Errorf("SHA-256 of what arrived: %s, of what went over the wire: %s", m.SHA256, want)
		}
	}
	got, want := m.Body, crlf(c.file)
	if c.ownHeader {
		_, got, _ = bytes.Cut(got, []byte("\r\n\r\n"))
		want = crlf(strings.TrimPrefix(c.file, header))
	}
	if want += c.tail; hashOf(got) != hashOf([]byte(want)) {
		t.Errorf("%d bytes arrived with SHA-256 %s, %d with %s were given to the client", len(got), hashOf(got), len(want), hashOf([]byte(want)))
	}
}

// TestClientsSeeRefusals: a client fails, and if it prints what a server says, it prints the provider's
// words down to the last line, or Waxseal's.
func TestClientsSeeRefusals(t *testing.T) {
	r := startProgram(t)
	var unwanted sync.Map // connections whose message will be refused
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) (act providertest.Action) {
		switch e.Step {
		case providertest.StepRcpt:
			unwanted.Store(e.Conn, strings.Contains(e.Line, "<spam@"))
			if strings.Contains(e.Line, "<unknown@") {
				act = providertest.Action{Code: 550, Text: "5.1.1 Look at the address again.\n" + noMailbox}
			}
		case providertest.StepFinal:
			if spam, _ := unwanted.Load(e.Conn); spam == true {
				act = providertest.Action{Code: 552, Text: unwelcome}
			}
		}
		return act
	}})
	for _, c := range mailClients {
		for name, refusal := range map[string]struct{ to, password, says string }{
			"rejected recipient": {"unknown@else.example", localPassword, c.rejected},
			"rejected message":   {"spam@else.example", localPassword, c.refused},
			"wrong password":     {"you@else.example", "wrong", c.wrong},
		} {
			t.Run(c.String()+"/"+name, func(t *testing.T) {
				c.mustBeThere(t)
				e := r.endpoint(clear, "PLAIN")
				e.to, e.password = refusal.to, refusal.password
				out, err := c.run(t, e)
				if err == nil || !strings.Contains(out, refusal.says) {
					t.Errorf("exit: %v, want a failure that says %q; output:\n%s", err, refusal.says, out)
				}
			})
		}
	}
	if n := len(r.provider.Messages()); n != 0 {
		t.Errorf("%d messages arrived", n)
	}
}

// TestClientsSeeARevokedConsent shows what a person reads when the provider no longer lets Waxseal
// send.
func TestClientsSeeARevokedConsent(t *testing.T) {
	r := startProgram(t)
	r.provider.Revoke(sender)
	for _, c := range mailClients {
		t.Run(c.String(), func(t *testing.T) {
			c.mustBeThere(t)
			out, err := c.run(t, r.endpoint(clear, "PLAIN"))
			if err == nil || !strings.Contains(out, c.revoked) {
				t.Errorf("exit: %v, want a failure that says %q; output:\n%s", err, c.revoked, out)
			}
			t.Logf("%s", out)
		})
	}
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
