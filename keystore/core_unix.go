//go:build unix

package keystore

import "syscall"

// noCore keeps a crash from writing secrets to disk. The process stays open to
// its owner's debugger (PR_SET_DUMPABLE): closed, KeePassXC could not tell its
// user which program asks.
func noCore() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) }
