//go:build !windows

package main

import (
	"os/exec"
	"runtime"
	"testing"
)

func TestAutostart(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home+"/.config")
	for _, want := range []bool{false, true, true, false, false} {
		if err := setAutostart(want); err != nil {
			t.Fatal(err)
		}
		if got, err := autostart(); err != nil || got != want {
			t.Errorf("autostart: %t, %v, want %t", got, err, want)
		}
	}
	if tool, err := exec.LookPath("desktop-file-validate"); err == nil && runtime.GOOS == "linux" {
		setAutostart(true)
		path, _, _ := autostartFile()
		if out, err := exec.Command(tool, path).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
