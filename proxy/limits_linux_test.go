package proxy

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// mallory runs a script of bash as another user of this computer, with the port as $1, until the test
// ends. Its lines of output can be read.
func mallory(t *testing.T, address, script string) *bufio.Scanner {
	t.Helper()
	for _, tool := range []string{"setpriv", "bash"} {
		if _, err := exec.LookPath(tool); err != nil || os.Getuid() != 0 {
			t.Skip("NOT TESTED: another user of this computer. It needs root, setpriv (of util-linux) and bash.")
		}
	}
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.Command("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "bash", "-c", script, "bash", port)
	stay, leave, err := os.Pipe() // its input has no end
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stay.Close(); leave.Close() })
	cmd.Stdin, cmd.Stderr = stay, os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return bufio.NewScanner(out)
}

// Any local user shut the owner out by filling max_connections with idle connections, again and again.
func TestAnotherUsersConnectionsMakeRoom(t *testing.T) {
	const limit = 8
	r := newRig(t, rigOptions{config: func(c *config.Config) { c.MaxConnections = limit }})
	oldest := r.dial()
	flood := mallory(t, r.plain, `for i in {1..100}; do exec {fd}<>/dev/tcp/127.0.0.1/$1; done; echo full; read`)
	if !flood.Scan() {
		t.Fatal("the other user could not connect")
	}
	eventually(t, "the last ones have made room", func() bool { return r.server.Snapshot().Refused >= 100+1-limit })
	oldest.auth(me, password)
	for range limit - 2 {
		r.login(me)
	}
	if got := oldest.message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("got %q", got)
	}
}

// All programs of a computer were one source of wrong passwords, so that one user's guesses slowed
// another user's programs.
func TestAnotherUsersGuesses(t *testing.T) {
	r := newRig(t, rigOptions{})
	said := mallory(t, r.plain, `exec 3<>/dev/tcp/127.0.0.1/$1; echo "EHLO x" >&3
		for i in {1..5}; do echo "AUTH PLAIN `+plainResponse(me, "guess")+`" >&3; done
		while read -r line <&3; do echo "$line"; done`)
	for n := 0; n < mailbox.FreeGuesses && said.Scan(); {
		if strings.HasPrefix(said.Text(), "535") {
			n++
		}
	}
	p := r.dial()
	p.do("EHLO x", "250")
	p.do("AUTH PLAIN "+plainResponse(me, "mistyped"), "535")
	failures := map[bool]int{} // by the owner
	for _, s := range r.server.hall.Suspects() {
		failures[s.Own] = s.Failures
	}
	if failures[true] != 1 || failures[false] != mailbox.FreeGuesses {
		t.Errorf("counted %v, want %d of the other user's and one of the own user's", failures, mailbox.FreeGuesses)
	}
	if log := r.log.String(); !strings.Contains(log, "user=54321") {
		t.Errorf("the log does not say whose they are:\n%s", log)
	}
	p.do("AUTH PLAIN "+plainResponse(me, password), "235")
}

// Wrong logins under ever new names rolled the log over in minutes.
func TestAnotherUsersGuessesInTheLog(t *testing.T) {
	r := newRig(t, rigOptions{})
	const all = 2*mailbox.MaxRefusals + 1
	var guesses strings.Builder
	for i := range all {
		fmt.Fprintln(&guesses, "echo AUTH PLAIN "+plainResponse(fmt.Sprintf("me%d@corp.test", i), "guess")+" >&3")
	}
	said := mallory(t, r.plain, "exec 3<>/dev/tcp/127.0.0.1/$1\necho EHLO x >&3\n"+guesses.String()+`while read -r line <&3; do echo "$line"; done`)
	for n := 0; n < all && said.Scan(); {
		if strings.HasPrefix(said.Text(), "535") {
			n++
		}
	}
	if n := strings.Count(r.log.String(), `msg="login refused"`); n != mailbox.MaxRefusals {
		t.Errorf("the log has %d of %d refused logins, want %d", n, all, mailbox.MaxRefusals)
	}
	p := r.dial()
	p.do("EHLO x", "250")
	p.do("AUTH PLAIN "+plainResponse(me, "mistyped"), "535")
	if !strings.Contains(r.log.String(), `reason="wrong local password"`) {
		t.Error("the log leaves out the own user's refused login")
	}
}
