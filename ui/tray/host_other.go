//go:build !linux

package tray

import "context"

func reachable() bool { return true }

// WatchHost calls report with whether something shows tray icons, which Windows
// and macOS always do.
func WatchHost(_ context.Context, report func(present bool)) { report(true) }
