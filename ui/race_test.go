//go:build race

package ui

// With the race detector all is ten times as slow: how the window looks and what
// memory it takes are tested without.
const racing = true
