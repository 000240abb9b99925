//go:build !windows

package main

import "log/slog"

// relayCloses does nothing: other systems ask a program to end with a signal.
func relayCloses(chan<- struct{}, *slog.Logger) (stop func()) { return func() {} }
