//go:build linux

package main_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"testing"

	"github.com/waxseal/waxseal/proxy/providertest"
)

const sender = "me@corp.example"

// text is what programs on a message's way like to change: leading dots, a dot
// alone, bytes beyond ASCII.
const text = ".\n..\n.a line that starts with a dot\nGrüße, 你好\n.\nlast line\n"

// rough is text with what not every mail program sends as it is: a line longer
// than RFC 5321 section 4.5.3.1.6 allows, and bytes that are no UTF-8.
var rough = strings.Repeat("long ", 12_000) + "\nno UTF-8: \xff\xfe\xa4\n" + text

const header = "From: Me <" + sender + ">\nTo: <you@else.example>\nSubject: From a real client\n" +
	"Date: Mon, 02 Nov 2026 10:00:00 +0000\nMessage-ID: <real.client@corp.example>\n" +
	"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"

// mailClient is a program people send mail with.
type mailClient struct {
	program   string
	args      func(endpoint) []string
	file      string // what it is given, with LF line ends, as a file and on standard input
	ownHeader bool   // it writes a header of its own and keeps what follows
	tail      string // what it adds at the end
	rejected  string // what it says when the provider refuses a recipient,
	wrong     string // when the password is wrong,
	refused   string // and when the provider refuses the message
}

// How the clients connect, as their command lines are told apart by it.
const (
	clear    = "clear"
	starttls = "STARTTLS"
	implicit = "TLS"
)

// What the provider says, in the last line of its reply, and Waxseal.
const (
	noMailbox     = "5.1.1 No mailbox of that name here"
	unwelcome     = "5.7.1 This message is not wanted here"
	wrongPassword = "5.7.8 Wrong user name or local password"
)

var mailClients = []mailClient{
	{program: "swaks", args: swaks, file: header + rough, tail: "\r\n", rejected: noMailbox, wrong: wrongPassword, refused: unwelcome},
	{program: "msmtp", args: msmtp, file: header + rough, rejected: noMailbox, wrong: wrongPassword, refused: unwelcome},
	{program: "curl", args: curl, file: header + rough, rejected: "550", wrong: "Login denied", refused: "Weird server reply"},
	{program: "python3", args: python, file: header + rough, rejected: noMailbox, wrong: wrongPassword, refused: unwelcome},
	{program: "s-nail", args: snail, file: text, ownHeader: true, rejected: noMailbox, wrong: wrongPassword, refused: unwelcome},
	{program: "git", args: gitSendEmail, file: header + rough, ownHeader: true,
		rejected: noMailbox, wrong: wrongPassword, refused: unwelcome},
}

// TestRealClients sends with the programs people use, through `waxseal serve`,
// to a provider that takes only tokens. What arrives has the SHA-256 of what the
// client sent: recorded on the wire where that can be read, and of the file it
// was given. docs/clients.md says how each is set up.
func TestRealClients(t *testing.T) {
	r := startProgram(t)
	for _, c := range mailClients {
		for _, security := range []string{clear, starttls, implicit} {
			for _, auth := range []string{"PLAIN", "LOGIN"} {
				t.Run(c.program+"/"+security+"/"+auth, func(t *testing.T) {
					c.mustBeThere(t)
					e := r.endpoint(security, auth)
					var wire *recorder
					if security == clear {
						wire = record(t, e.address)
						e.address = wire.address
					}
					before := len(r.provider.Messages())
					out, err := c.run(t, e)
					if err != nil {
						t.Fatalf("%v\n%s", err, out)
					}
					messages := r.provider.Messages()
					if len(messages) != before+1 {
						t.Fatalf("%d messages arrived\n%s", len(messages)-before, out)
					}
					c.wantUnchanged(t, messages[before], wire)
				})
			}
		}
	}
}

// wantUnchanged compares what arrived with what was recorded on the wire, if it
// was, and with what the client was given.
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

// TestClientsSeeRefusals: a client fails, and those that print what a server
// says print the provider's words down to the last line, or ours.
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
			t.Run(c.program+"/"+name, func(t *testing.T) {
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

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
