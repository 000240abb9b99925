//go:build linux && clients

package main_test

import (
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestClawsMail has Claws Mail send the message in its queue, as "Send later" puts it there.
func TestClawsMail(t *testing.T) {
	findTool(t, "claws-mail", "claws-mail")
	display := startScreen(t)
	for _, security := range []string{clear, starttls, implicit} {
		for _, auth := range []string{"PLAIN", "LOGIN"} {
			t.Run(security+"/"+auth, func(t *testing.T) {
				r := startProgram(t)
				c := startClawsMail(t, r.endpoint(security, auth), display, header+text)
				c.wantSent(t)
				if m := r.provider.Messages(); len(m) != 1 || string(m[0].Body) != crlf(header+text) {
					t.Errorf("%d messages arrived: %+v", len(m), m)
				}
				if want := "AUTH " + auth; !strings.Contains(strings.NewReplacer("> [", "> ").Replace(c.log()), "> "+want) {
					t.Errorf("no %q in\n%s", want, c.log())
				}
			})
		}
	}
	for name, tc := range map[string]struct {
		change func(*running, *endpoint)
		says   string
	}{
		"rejected recipient": {func(r *running, e *endpoint) { r.rejectRecipients() }, noMailbox},
		"wrong password":     {func(r *running, e *endpoint) { e.password = "wrong" }, wrongPassword},
		"revoked consent":    {func(r *running, e *endpoint) { r.provider.Revoke(sender) }, consentGone},
		"UTF-8 address":      {func(r *running, e *endpoint) { e.to = utf8Address }, notASCII},
	} {
		t.Run(name, func(t *testing.T) {
			r := startProgram(t)
			e := r.endpoint(clear, "PLAIN")
			tc.change(r, &e)
			c := startClawsMail(t, e, display, header+text)
			waitFor(t, tc.says, func() string {
				if strings.Contains(c.log(), tc.says) {
					return "said"
				}
				return ""
			})
			if len(r.provider.Messages()) != 0 {
				t.Error("a message arrived")
			}
			t.Log(c.log())
		})
	}
	t.Run("25 MB", func(t *testing.T) {
		r := startProgram(t)
		file, want := bigFile(t)
		startClawsMail(t, r.endpoint(clear, "PLAIN"), display, withAttachment(t, file)).wantSent(t)
		wantAttachment(t, r.provider.Messages(), want)
	})
}

// clawsMail is a running Claws Mail with its own home folder.
type clawsMail struct{ home string }

func startClawsMail(t *testing.T, e endpoint, display, message string) clawsMail {
	t.Helper()
	c := clawsMail{t.TempDir()}
	config := filepath.Join(c.home, ".claws-mail")
	for _, dir := range []string{filepath.Join(config, "certs"), c.folder("inbox"), c.folder("sent"), c.folder("draft"), c.folder("queue"), c.folder("trash")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	method := map[string]int{"LOGIN": 1, "PLAIN": 16}[e.auth]
	writeFile(t, filepath.Join(config, "accountrc"), fmt.Sprintf(`[Account: 1]
account_name=me
is_default=1
name=Me
address=%s
protocol=4
smtp_server=%s
set_smtpport=1
smtp_port=%s
use_smtp_auth=1
smtp_auth_method=%d
smtp_user_id=%s
smtp_password=%s
ssl_smtp=%s
`, sender, e.host(), e.port(), method, sender, e.password, e.pick("0", "2", "1")[0]))
	writeFile(t, filepath.Join(config, "clawsrc"), "[Common]\nconfig_version=4\n")
	writeFile(t, filepath.Join(config, "folderlist.xml"), `<?xml version="1.0" encoding="UTF-8"?>
<folderlist>
 <folder type="mh" name="Mailbox" path="Mail">
  <folderitem type="inbox" name="inbox" path="inbox"/>
  <folderitem type="outbox" name="sent" path="sent"/>
  <folderitem type="draft" name="draft" path="draft"/>
  <folderitem type="queue" name="queue" path="queue"/>
  <folderitem type="trash" name="trash" path="trash"/>
 </folder>
</folderlist>
`)
	writeFile(t, filepath.Join(c.folder("queue"), "1"), fmt.Sprintf("S:%s\nSSV:%s\nR:<%s>\nMAID:1\nX-Claws-End-Special-Headers: 1\n%s",
		sender, e.host(), e.to, message))
	trusted, err := os.ReadFile(e.certificate)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(trusted) // as if the user had accepted it before
	writeFile(t, filepath.Join(config, "certs", e.host()+"."+e.port()+".cert"), string(block.Bytes))
	cmd := exec.Command("dbus-run-session", "claws-mail", "--debug", "--send")
	runOnScreen(t, cmd, c.home, display)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Claws Mail's log:\n%s", c.log())
		}
	})
	return c
}

func (c clawsMail) folder(name string) string { return filepath.Join(c.home, "Mail", name) }

// log is what it writes to its log window.
func (c clawsMail) log() string {
	data, _ := os.ReadFile(filepath.Join(c.home, ".claws-mail", "claws.log"))
	return string(data)
}

// wantSent waits until the message has left the queue.
func (c clawsMail) wantSent(t *testing.T) {
	t.Helper()
	waitFor(t, "Claws Mail's queue to be empty", func() string {
		if _, err := os.Stat(filepath.Join(c.folder("queue"), "1")); os.IsNotExist(err) {
			return "gone"
		}
		return ""
	})
}
