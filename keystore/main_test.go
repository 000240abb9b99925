package keystore

import (
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// helpers are programs that tests start as processes of their own, by running this
// test binary again, because they need a session bus or an environment of their
// own, or are killed.
var helpers = map[string]func() error{"churn": churn}

const helperVariable = "WAXSEAL_TEST_HELPER"

func TestMain(m *testing.M) {
	Helper(os.Args)
	if name := os.Getenv(helperVariable); name != "" {
		// Nobody would end a helper that hangs once the test has given up on it.
		debug.SetTraceback("all")
		time.AfterFunc(time.Minute, func() { panic("the helper hangs") })
		if err := helpers[name](); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// helper is the command that runs a helper, as the last argument of the command
// before.
func helper(t *testing.T, name string, before ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	words := append(before, self)
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	cmd.Env = append(os.Environ(), helperVariable+"="+name)
	return cmd
}
