//go:build !unix

package machine

// openFiles is how many files this process may have open: Windows has no limit to speak of.
var OpenFiles = 1 << 30
