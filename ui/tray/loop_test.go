//go:build cgo || !darwin

package tray

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// The program ends whatever its tray does: `waxseal quit` waited for ever for one that could not start
// under Windows.
func TestTrayThatDoesNotEndIsLeftBehind(t *testing.T) {
	if firstThread {
		t.Skip("here, the loop of events has the program's first thread to itself")
	}
	for _, tt := range []struct {
		name          string
		begins, obeys bool
		want          error
	}{
		{"it ends", true, true, nil},
		{"it never began", false, false, nil},
		{"it does not end", true, false, ErrNotEnded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				quit, stuck := make(chan struct{}), make(chan struct{})
				icon := loop{
					run: func(began func()) {
						if tt.begins {
							began()
						}
						if tt.obeys {
							<-quit
							return
						}
						<-stuck
					},
					quit: func() {
						if !tt.begins {
							t.Error("it was told to quit before it began")
						}
						close(quit)
					},
				}
				ended := make(chan error, 1)
				go func() { ended <- icon.until(ctx) }()
				synctest.Wait()
				select {
				case err := <-ended:
					t.Fatalf("it returned %v before it was told to end", err)
				default:
				}
				cancel()
				if err := <-ended; !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				close(stuck)
			})
		})
	}
}

// The loop may end by itself, as when somebody closes its window.
func TestTrayThatEndsByItself(t *testing.T) {
	icon := loop{run: func(func()) {}, quit: func() { t.Error("it was told to quit") }}
	if err := icon.until(t.Context()); err != nil {
		t.Error(err)
	}
}
