package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLeftOut: in continuous integration, a test that needs a program which is not installed has failed; a
// test that does not apply has not.
func TestLeftOut(t *testing.T) {
	for _, complete := range []bool{false, true} {
		s := summary{complete: complete, output: map[string]*strings.Builder{}, failedIn: map[string]bool{}}
		for test, said := range map[string]string{"TestBrowser": "NOT TESTED: install chromium", "TestSoak": "NOT TESTED: make clients installs it"} {
			s.add(event{Action: "output", Package: "e2e", Test: test, Output: "    main_test.go:1: " + said + "\n"})
			s.add(event{Action: "skip", Package: "e2e", Test: test})
		}
		if s.skipped != 2 || (s.failed == 1) != complete {
			t.Errorf("complete %t: %d skipped, %d failed", complete, s.skipped, s.failed)
		}
	}
}

// TestStageIsNotLeftOutInCI: a stage that cannot run here is a note on somebody's computer, and an error
// in continuous integration, where nobody reads notes.
func TestStageIsNotLeftOutInCI(t *testing.T) {
	t.Chdir("../..")
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("NOT TESTED: bash is not installed")
	}
	env, err := exec.LookPath("env")
	if err != nil {
		t.Fatal(err)
	}
	programs := t.TempDir() // no node, dovecot or promtool
	for name, target := range map[string]string{"bash": bash, "env": env} {
		if err := os.Symlink(target, filepath.Join(programs, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, stage := range [][]string{{".ci/e2e", "bin/waxseal"}, {".ci/rules"}} {
		for _, ci := range []string{"", "true"} {
			cmd := exec.Command(bash, stage...)
			cmd.Env = []string{"PATH=" + programs, "CI=" + ci}
			out, err := cmd.CombinedOutput()
			_, failed := errors.AsType[*exec.ExitError](err)
			if failed != (ci != "") || !strings.Contains(string(out), "NOT TESTED") {
				t.Errorf("%s with CI=%q: %v\n%s", stage[0], ci, err, out)
			}
		}
	}
}
