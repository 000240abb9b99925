//go:build e2e

package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/textproto"
	"path/filepath"
	"strings"
	"testing"
)

const (
	starttls = "STARTTLS"
	implicit = "TLS"
)

// A message with what is easily changed on the way: leading dots, lines of 900 bytes, UTF-8, blanks
// at the end of a line, empty lines at the end.
var text = strings.Join([]string{
	"From: a@mail.test", "To: b@else.test", "Subject: =?utf-8?q?bytes?=", "",
	".", "..two dots", ".leading", "trailing blanks  \t", "Grüße, 世界", strings.Repeat("long ", 180), "", "", "",
}, "\n")

// Messages go through over each kind of connection, in and out, and arrive as they were sent.
func TestSending(t *testing.T) {
	t.Parallel()
	for _, domain := range []string{"mail.test", "tls.test", "bearer.test", "bearertls.test"} {
		t.Run(domain, func(t *testing.T) {
			t.Parallel()
			address := "lea@" + domain
			d := newDesk(t)
			d.add(address)
			d.serve()
			for _, security := range []string{starttls, implicit} {
				to := security + "-" + domain
				d.send(address, security, to)
				got := peers.sink.received(t, to+"@else.test").data
				want := []byte(strings.ReplaceAll(text, "\n", "\r\n"))
				trace, body, _ := bytes.Cut(got, want[:20])
				if body = append(bytes.Clone(want[:20]), body...); !bytes.Equal(body, want) {
					t.Errorf("through %s\ngot  %q\nwant %q", security, body, want)
				}
				if !bytes.HasPrefix(trace, []byte("Received: from [127.0.0.1]")) || bytes.Count(trace, []byte("\r\n")) > 5 {
					t.Errorf("the message has %q in front, want only Dovecot's trace", trace)
				}
			}
			if said := d.waxseal(0, "doctor"); strings.Contains(said, "FAIL") {
				t.Errorf("doctor:\n%s", said)
			}
			if said := d.waxseal(0, "send-test", address, "--to", "test-"+address); strings.Contains(said, "FAIL") {
				t.Errorf("send-test:\n%s", said)
			}
			peers.sink.received(t, "test-"+address)
			d.stop()
		})
	}
}

// The tests about refused tokens rely on this: Dovecot answers a bad token with a challenge that
// gives the reason, and then refuses it.
func TestDovecotChallengesABadToken(t *testing.T) {
	t.Parallel()
	conn, err := tls.Dial("tcp", peers.both.implicit, trust(t, peers.both.ca))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := textproto.NewConn(conn)
	bad := base64.StdEncoding.EncodeToString([]byte("user=x@mail.test\x01auth=Bearer bad\x01\x01"))
	for _, step := range []struct {
		say  string
		want int
	}{{"", 220}, {"EHLO client.test", 250}, {"AUTH XOAUTH2 " + bad, 334}, {"-", 535}} {
		if step.say != "" {
			if err := c.PrintfLine("%s", strings.TrimPrefix(step.say, "-")); err != nil {
				t.Fatal(err)
			}
		}
		_, answer, err := c.ReadResponse(step.want)
		if err != nil {
			t.Fatalf("%q: %v", step.say, err)
		}
		if step.want == 334 {
			report, err := base64.StdEncoding.DecodeString(answer)
			var fields struct{ Status string }
			if err != nil || json.Unmarshal(report, &fields) != nil || fields.Status == "" {
				t.Errorf("the challenge is %q, %v", report, err)
			}
		}
	}
}

// password returns the local password of an account.
func (d *desk) password(address string) string {
	d.t.Helper()
	var settings struct{ Password string }
	if err := json.Unmarshal([]byte(d.waxseal(0, "account", "password", address, "--json")), &settings); err != nil {
		d.t.Fatal(err)
	}
	return settings.Password
}

// swaks sends the text with swaks, as a program that only supports passwords does.
func (d *desk) swaks(from, security, to string) *process {
	d.t.Helper()
	server, flag := d.starttls, "--tls"
	if security == implicit {
		server, flag = d.implicit, "--tls-on-connect"
	}
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.startProgram("swaks", "--server", host, "--port", port, flag, "--tls-verify", "--tls-ca-path", filepath.Join(d.dir, "localhost.crt"),
		"--from", from, "--to", to+"@else.test", "--ehlo", "client.test", "--auth", "PLAIN", "--auth-user", from,
		"--auth-password", d.password(from), "--data", "@"+d.write("message", strings.TrimSuffix(text, "\n"))) // swaks adds the last line end
}

// send sends the text, which the provider must accept.
func (d *desk) send(from, security, to string) {
	d.t.Helper()
	s := d.swaks(from, security, to)
	if _, err := s.says(`<~ .*250 .*kept by the sink`); err != nil {
		d.t.Fatalf("%v\n%s", err, d.serving.said())
	}
	s.ends(d.t, nil, 0)
}

// fail sends the text, which must be refused with a code.
func (d *desk) fail(from, security, to string, code int) (said string) {
	d.t.Helper()
	s := d.swaks(from, security, to)
	if _, err := s.says(fmt.Sprintf(`^<~\* +%d `, code)); err != nil {
		d.t.Fatal(err)
	}
	s.end(nil)
	return s.said()
}
