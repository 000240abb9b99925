//go:build nogui

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// hasWindow reports whether this build has a window.
const hasWindow = false

// startDesktop starts the tray program, which this build does not have.
func (m *Main) startDesktop(...string) error { return errors.New("this build has no window") }

// desktop runs what this build has instead of the tray program.
func (m *Main) desktop(ctx context.Context, _ bool) error {
	fmt.Fprintln(m.Err, "waxseal: this build has no window, so Waxseal runs as `waxseal serve`")
	return m.serve(ctx)
}

// windowCommands returns none: this build has no windows.
func (m *Main) windowCommands() []*cobra.Command { return nil }

// hasDisplay reports whether a window could be opened.
func (m *Main) hasDisplay() bool { return false }

func (m *Main) demoDesktop(ctx context.Context, _ *demo, w work) error { return w.run(ctx) }
