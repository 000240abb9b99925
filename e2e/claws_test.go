//go:build e2e && clients

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClawsMailReads fetches by POP with Claws Mail, which has no command that fetches by IMAP.
func TestClawsMailReads(t *testing.T) {
	needs(t, "claws-mail", "Xvfb")
	display := startScreen(t)
	r := newReader(t, "cla@mail.test")
	filled(t, r.address, generated(30))
	want := clawsMail(t, directly(t, r.address, "pop", clear), display, 24)
	if got := clawsMail(t, r.through(t, "pop", clear), display, 24); got != want {
		t.Errorf("through Waxseal it saves\n%s\nwant\n%s", got, want)
	}
	r.stop()
}

// clawsMail has Claws Mail fetch n messages into its own inbox.
func clawsMail(t *testing.T, a access, display string, n int) (saved string) {
	t.Helper()
	config := a.file(".claws-mail")
	for _, dir := range []string{config, a.file("Mail/inbox"), a.file("Mail/sent"), a.file("Mail/draft"), a.file("Mail/queue"), a.file("Mail/trash")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	a.writeIn(".claws-mail/accountrc", `[Account: 1]
account_name=me
is_default=1
name=Me
address={user}
protocol=0
receive_server={host}
user_id={user}
password={password}
inbox=#mh/Mailbox/inbox
receive_at_get_all=1
remove_mail=0
set_popport=1
pop_port={port}
ssl_pop=0
`)
	a.writeIn(".claws-mail/clawsrc", "[Common]\nconfig_version=4\n")
	a.writeIn(".claws-mail/folderlist.xml", `<?xml version="1.0" encoding="UTF-8"?>
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
	d := &desk{t: t, dir: a.dir, env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + a.dir, "XDG_RUNTIME_DIR=" + a.dir, "DISPLAY=" + display,
		"LC_ALL=C.UTF-8", "NO_AT_BRIDGE=1", "GDK_BACKEND=x11", "DBUS_SESSION_BUS_ADDRESS=disabled:"}}
	p := d.startProgram("claws-mail", "--debug", "--receive-all")
	inbox := a.file("Mail/inbox")
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(config, "claws.log"))
			t.Logf("Claws Mail:\n%s\n%s", log, p.said())
		}
	})
	eventually(t, p, func() bool { return strings.Count(tree(t, inbox), "\n")+1 >= n })
	return tree(t, inbox)
}
