//go:build unix

package main

import "golang.org/x/sys/unix"

// noCoreDump keeps memory, with the tokens in it, out of core files. If that fails, the program
// goes on: Go does not write core files by itself.
func noCoreDump() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
