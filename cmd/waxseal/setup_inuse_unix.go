//go:build unix

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// profileInUse reports whether Thunderbird runs with a profile. It then holds an fcntl lock on
// .parentlock, and on Linux its process is in the target of the link "lock" ("127.0.1.1:+1234"), which a
// crash leaves behind.
func profileInUse(profile string) bool {
	if target, err := os.Readlink(filepath.Join(profile, "lock")); err == nil {
		_, number, _ := strings.Cut(target, ":+")
		pid, err := strconv.Atoi(number)
		if err == nil && pid > 0 && !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			return true
		}
	}
	f, err := os.OpenFile(filepath.Join(profile, ".parentlock"), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	err = unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock)
	return err == nil && lock.Type != unix.F_UNLCK
}
