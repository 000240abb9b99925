//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFetchmailIsPushed: a program that waits for mail with IDLE gets it at once, and a stop of Waxseal
// does not wait for the program.
func TestFetchmailIsPushed(t *testing.T) {
	t.Parallel()
	p := programs[slices.IndexFunc(programs, func(p program) bool { return p.name == "fetchmail" })]
	p.mustBeThere(t)
	r := newReader(t, "liz@mail.test")
	messages := generated(4)
	filled(t, r.address, messages[:1])
	a := r.through(t, "imap", implicit)
	p.setup(a)
	cmd := exec.Command("sh", "-c", "sed -i 's/ folder INBOX,Archive//' fetchmailrc; exec fetchmail --idle --fetchmailrc fetchmailrc --pidfile pid")
	cmd.Dir, cmd.Env = a.dir, p.environment(a)
	running, err := start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		<-running.exited
	}()
	saved := func() string { return tree(t, a.out()) }
	eventually(t, running, func() bool { return saved() != "" })
	at := direct(t, r.address)
	for _, m := range messages[1:] {
		before := saved()
		at.append("INBOX", "", m)
		eventually(t, running, func() bool { return saved() != before })
	}
	r.stop()
}

// eventually polls until a program has done something.
func eventually(t *testing.T, p *process, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("nothing within %v\n%s", patience, p.said())
		}
	}
}

// TestMbsyncBothWays: what changes in a maildir changes at the server, and the other way round.
func TestMbsyncBothWays(t *testing.T) {
	t.Parallel()
	r := newReader(t, "mia@mail.test")
	filled(t, r.address, generated(10))
	p := programs[0]
	p.mustBeThere(t)
	a := r.through(t, "imap", starttls)
	both := p
	both.setup = func(a access) string {
		p.setup(a)
		return "sed -i 's/^Sync Pull/Sync All\\nExpunge Both/' mbsyncrc; mbsync -c mbsyncrc all"
	}
	both.run(t, a)
	inbox := filepath.Join(a.out(), "INBOX")
	unseen, err := filepath.Glob(filepath.Join(inbox, "new", "*"))
	if err != nil || len(unseen) < 2 {
		t.Fatalf("new messages: %v, %v", unseen, err)
	}
	a.writeIn("out/INBOX/new/1.own.test", "Subject: my own\n\nGrüße\n")
	for _, change := range []struct{ old, flags string }{{unseen[0], ":2,FS"}, {unseen[1], ":2,T"}} {
		if err := os.Rename(change.old, filepath.Join(inbox, "cur", strings.SplitN(filepath.Base(change.old), ":", 2)[0]+change.flags)); err != nil {
			t.Fatal(err)
		}
	}
	at := direct(t, r.address)
	at.do("SELECT Archive")
	at.do(`STORE 1 +FLAGS (\Deleted)`)
	at.do("EXPUNGE")
	before := direct(t, r.address).everything()
	both.run(t, a)
	after := direct(t, r.address).everything()
	if strings.Count(after, "UID ") != strings.Count(before, "UID ") || !strings.Contains(after, "my own") || strings.Contains(before, "my own") {
		t.Errorf("the server has\n%s\nand had\n%s", after, before)
	}
	if n := strings.Count(after, `\Flagged`) - strings.Count(before, `\Flagged`); n != 1 {
		t.Errorf("%d messages were flagged, want 1", n)
	}
	if left, _ := filepath.Glob(filepath.Join(a.out(), "Archive", "*", "*")); len(left) != 1 {
		t.Errorf("Archive has %v, want one message", left)
	}
	r.stop()
}
