//go:build unix

package main

import "golang.org/x/sys/unix"

// noCoreDump keeps memory, tokens in it, out of core files. Where it cannot be
// done the program goes on: Go writes none by itself.
func noCoreDump() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
