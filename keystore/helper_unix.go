//go:build unix

package keystore

import (
	"os"
	"syscall"
)

// nameProcess gives a helper on Linux, which was started as /proc/self/exe, a
// name by which people recognize it in lists of processes.
func nameProcess() {
	if f, err := os.OpenFile("/proc/self/comm", os.O_WRONLY, 0); err == nil {
		f.WriteString("waxseal-keys")
		f.Close()
	}
}

// noCore keeps a crash from writing secrets to disk: no core file fits into one byte,
// and at exactly 1 Linux gives the memory to no other program either (coredump_pipe in
// fs/coredump.c; 0 does not stop that). It does not close the process
// to its owner's debugger (PR_SET_DUMPABLE), because KeePassXC could then not tell
// its user which program asks.
func noCore() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: 1, Max: 1}) }
