//go:build unix

package control

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// listenUnix opens a socket that only its owner may connect to. The mode must
// be right from the start: between bind and a later chmod anybody could
// connect. The umask belongs to the whole process, so a file that another
// goroutine creates at this moment gets fewer permissions than it asked for; the
// instance calls this before it does anything else.
func listenUnix(path string) (net.Listener, error) {
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	return ownPeers{l}, nil
}

// checkPrivate fails unless dir is a folder of this user that nobody else may
// enter.
func checkPrivate(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(st.Uid) != os.Getuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is not a private folder of this user; delete it, or set TMPDIR to another place", dir)
	}
	return nil
}
