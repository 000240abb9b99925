package control

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
)

// TestAnotherUser: another local user cannot open the socket and, if its mode was
// changed, is disconnected before anything is sent.
func TestAnotherUser(t *testing.T) {
	for _, tool := range []string{"setpriv", "curl"} {
		if _, err := exec.LookPath(tool); err != nil || os.Getuid() != 0 {
			t.Skip("NOT TESTED: another user on the control socket. It needs root, setpriv (of util-linux) and curl.")
		}
	}
	dir, err := os.MkdirTemp("/tmp", "waxseal-peer-") // a folder that others may enter too
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := place{dir: dir, name: "config"}
	l, err := Listen(t.Context(), p.path(".toml"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	b := &fake{snapshot: api.Snapshot{PID: 9}}
	go func() { ended <- Serve(ctx, l, b, Desktop{}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	ask := func(who ...string) string {
		args := append(who, "curl", "-sS", "--max-time", "20", "--unix-socket", p.path(".sock"), "http://waxseal/hello")
		out, _ := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
		return string(out)
	}
	other := []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
	if got := ask("env"); !strings.Contains(got, `"pid":9`) {
		t.Errorf("its own user: %s", got)
	}
	if got := ask(other...); strings.Contains(got, "pid") || !strings.Contains(got, "connect") {
		t.Errorf("another user: %s", got)
	}
	if err := os.Chmod(p.path(".sock"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := ask(other...); strings.Contains(got, "pid") || strings.Contains(got, "refused") {
		t.Errorf("another user, with the mode changed: %s", got)
	} else {
		t.Logf("another user, with the mode changed: %s", got)
	}
}
