//go:build !windows

package main

import "log/slog"

// relayCloses has nothing to relay: elsewhere a program is asked to end by a signal.
func relayCloses(chan<- struct{}, *slog.Logger) (stop func()) { return func() {} }
