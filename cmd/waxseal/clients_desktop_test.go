//go:build linux && clients

package main_test

import (
	"bytes"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestThunderbird sends with Thunderbird and reads what it shows.
func TestThunderbird(t *testing.T) {
	findTool(t, "thunderbird", "thunderbird")
	display := startScreen(t)
	for name, tc := range map[string]struct {
		offers func(net.Conn) net.Conn
		says   string
	}{
		"PLAIN": {func(server net.Conn) net.Conn { return server }, "AUTH PLAIN "},
		"LOGIN": {func(server net.Conn) net.Conn { return onlyLogin{server} }, "AUTH LOGIN\r\n"},
	} {
		t.Run(clear+"/"+name, func(t *testing.T) {
			r := startProgram(t)
			e := r.endpoint(clear, name)
			wire := recordThrough(t, e.address, tc.offers)
			e.address = wire.address
			t.Run("sends", func(t *testing.T) {
				if sent, said := startThunderbird(t, e, display).send(false, ""); !sent {
					t.Fatal(said)
				}
			})
			wantDesktopText(t, r)
			if <-wire.done; !strings.Contains(wire.said.String(), tc.says) {
				t.Errorf("no %q in %q", tc.says, wire.said.String())
			}
		})
	}
	for _, security := range []string{starttls, implicit} {
		t.Run(security, func(t *testing.T) {
			r := startProgram(t)
			e := r.endpoint(security, "PLAIN")
			b := startThunderbird(t, e, display)
			sent, said := b.send(false, "")
			if want := "The certificate is not trusted because it is self-signed."; sent || !strings.Contains(said, want) {
				t.Errorf("without trust in the certificate: sent %v, it shows %q, want %q", sent, said, want)
			}
			sent, said = b.send(true, "")
			if want := "Add Security Exception [Confirm Security Exception]\naccepted for " + e.address + ": " + r.fingerprint(t); !sent || !strings.Contains(said, want) {
				t.Errorf("with an exception: sent %v, it shows %q, want %q", sent, said, want)
			}
			wantDesktopText(t, r)
			if sent, said := b.send(false, ""); !sent || said != "" {
				t.Errorf("the next message: sent %v, it shows %q", sent, said)
			}
		})
	}
	for name, tc := range map[string]struct {
		change func(*running, *endpoint)
		shows  string
	}{
		"rejected recipient": {func(r *running, e *endpoint) { r.rejectRecipients() },
			"The mail server responded:\nLook at the address again.\nNo mailbox of that name here."},
		"wrong password":  {func(r *running, e *endpoint) { e.password = "wrong" }, "[Retry] [Cancel] [Enter New Password]"},
		"revoked consent": {func(r *running, e *endpoint) { r.provider.Revoke(sender) }, "[Retry] [Cancel] [Enter New Password]"},
	} {
		t.Run(name, func(t *testing.T) {
			r := startProgram(t)
			e := r.endpoint(clear, "PLAIN")
			tc.change(r, &e)
			sent, said := startThunderbird(t, e, display).send(false, "")
			if sent || !strings.Contains(said, tc.shows) {
				t.Errorf("sent %v, it shows %q, want %q", sent, said, tc.shows)
			}
			t.Log(said)
		})
	}
	t.Run("UTF-8 address", func(t *testing.T) {
		r := startProgram(t)
		e := r.endpoint(clear, "PLAIN")
		e.to = utf8Address
		sent, said := startThunderbird(t, e, display).send(false, "")
		if m := r.provider.Messages(); !sent || len(m) != 1 || m[0].Rcpts[0].To != utf8Address {
			t.Errorf("sent %v, to %+v, it shows %q", sent, m, said)
		}
	})
	t.Run("25 MB", func(t *testing.T) {
		r := startProgram(t)
		file, want := bigFile(t)
		if sent, said := startThunderbird(t, r.endpoint(clear, "PLAIN"), display).send(false, file); !sent {
			t.Fatal(said)
		}
		wantAttachment(t, r.provider.Messages(), want)
	})
}

// fingerprint is the one that `waxseal certificate` shows.
func (r *running) fingerprint(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("waxseal", "certificate", "--config", filepath.Join(r.dir, "config.toml")).CombinedOutput()
	_, after, found := strings.Cut(string(out), "SHA-256")
	if err != nil || !found {
		t.Fatalf("waxseal certificate: %v\n%s", err, out)
	}
	return strings.Fields(after)[0]
}

// rejectRecipients makes the provider refuse every recipient.
func (r *running) rejectRecipients() {
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) (act providertest.Action) {
		if e.Step == providertest.StepRcpt {
			act = providertest.Action{Code: 550, Text: "5.1.1 Look at the address again.\n" + noMailbox}
		}
		return act
	}})
}

// wantDesktopText: one message arrived, and its text is unchanged.
func wantDesktopText(t *testing.T, r *running) {
	t.Helper()
	messages := r.provider.Messages()
	if len(messages) != 1 {
		t.Fatalf("%d messages arrived", len(messages))
	}
	_, body, _ := bytes.Cut(messages[0].Body, []byte("\r\n\r\n"))
	if got := strings.TrimRight(string(body), "\r\n"); got != strings.TrimRight(crlf(text), "\r\n") {
		t.Errorf("the text %q arrived as %q", text, got)
	}
}

// onlyLogin is a connection that hides PLAIN from the client.
type onlyLogin struct{ net.Conn }

func (o onlyLogin) Read(p []byte) (int, error) {
	n, err := o.Conn.Read(p)
	return copy(p, bytes.ReplaceAll(p[:n], []byte(" PLAIN LOGIN\r\n"), []byte(" LOGIN\r\n"))), err
}
