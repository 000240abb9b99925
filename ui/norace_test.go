//go:build !race

package ui

const rounds = 18_000
