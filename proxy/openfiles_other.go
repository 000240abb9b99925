//go:build !unix

package proxy

// openFiles is how many files this process may have open: Windows has no limit to speak of.
var openFiles = 1 << 30
