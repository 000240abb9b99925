//go:build !race

package ui

const (
	racing = false
	rounds = 18_000
)
