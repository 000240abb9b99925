//go:build unix

package main

import "golang.org/x/sys/unix"

// noCoreDump keeps memory, with the tokens in it, out of core files. A limit of one byte is too small for
// any. With 0, Linux would still hand the memory to a program that core_pattern names, such as
// systemd-coredump, which may keep it; at exactly 1 it does not (coredump_pipe in fs/coredump.c). If the
// limit cannot be set, the program goes on: Go does not write core files by itself.
func noCoreDump() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1, Max: 1}) }
