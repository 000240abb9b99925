//go:build unix

package safeio

import (
	"os"
	"syscall"
)

// keepOwner gives a new file the owner of the one that it replaces, where this user may do that: root
// must not take a user's file away.
func keepOwner(f *os.File, path string) {
	info, err := os.Stat(path)
	if err != nil {
		return
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && (int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid()) {
		_ = f.Chown(int(st.Uid), int(st.Gid))
	}
}
