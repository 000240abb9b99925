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

// NoCoreDump keeps a crash from writing this process's memory, with the secrets in it, to
// disk. A limit of one byte is too small for any core file. With 0, Linux would still hand
// the memory to a program that core_pattern names, such as systemd-coredump, which may keep
// it; at exactly 1 it does not (coredump_pipe in fs/coredump.c). If the limit cannot be set,
// the program goes on: Go does not write core files by itself.
//
// It does not close the process to its owner's debugger (PR_SET_DUMPABLE), because KeePassXC
// could then not tell its user which program asks.
func NoCoreDump() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: 1, Max: 1}) }
