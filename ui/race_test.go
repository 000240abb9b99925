//go:build race

package ui

// With the race detector all is ten times as slow: memory is watched for a
// shorter time, and pictures are not drawn.
const (
	racing = true
	rounds = 2_000
)
