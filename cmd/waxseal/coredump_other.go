//go:build !unix

package main

// noCoreDump has nothing to do: Windows writes a dump of a program only where
// somebody has set that up (WER LocalDumps).
func noCoreDump() {}
