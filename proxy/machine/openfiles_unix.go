//go:build unix

package machine

import "syscall"

// openFiles is how many files this process may have open. Go raises the limit to the hard one at its
// start (package syscall); what is left is the administrator's decision.
var OpenFiles = func() int {
	const plenty = 1 << 30
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return plenty
	}
	if uint64(limit.Cur) > plenty { // signed on some systems, where a negative one is none
		return plenty
	}
	return int(limit.Cur) // #nosec G115 -- at most plenty
}()
