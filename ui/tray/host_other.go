//go:build !linux

package tray

import "context"

func reachable() bool { return true }

// WatchHost reports whether something shows tray icons, which is always so on Windows
// and macOS.
func WatchHost(_ context.Context, report func(present bool)) { report(true) }
