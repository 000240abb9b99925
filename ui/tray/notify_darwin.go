package tray

import (
	"context"
	"os/exec"
)

// Notify shows notices until ctx ends. macOS reports clicks on notifications only to
// signed applications, so click is never called.
func Notify(ctx context.Context, notices <-chan Notice, click func(Notice)) error {
	if err := speak(); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case n := <-notices:
			title, body := n.text()
			// The texts are arguments, not part of the script.
			exec.CommandContext(ctx, "osascript", "-e",
				"on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run", title, body).Run()
		}
	}
}
