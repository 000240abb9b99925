//go:build !unix

package main

// noCoreDump does nothing: Windows only writes a dump of a program if somebody has set that up
// (WER LocalDumps).
func noCoreDump() {}
