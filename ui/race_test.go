//go:build race

package ui

// rounds is fewer with the race detector, which makes each ten times as slow.
const rounds = 2_000
