package ui

import (
	"testing"

	"fyne.io/fyne/v2"
)

// firstSetUp is a stage on which the first account was just added. starts is whether
// Waxseal starts at login already.
func firstSetUp(t *testing.T, b *fake, starts bool, set func(bool) error) *stage {
	t.Helper()
	s := newStage(t, b, staging{options: Options{SetAutostart: set, Autostart: func() (bool, error) { b.ask("autostart"); return starts, nil }}})
	s.shows()
	s.w.show(Page{Name: "setup", Account: "ada@corp.example"})
	s.w.pages["setup"].(*setup).welcome(false)
	return s
}

// alone is a backend with one account.
func alone() *fake {
	b := busyOffice()
	b.snapshot.Accounts = b.snapshot.Accounts[:1]
	return b
}

// At the end of the first set-up, the window asks whether Waxseal starts at login. Yes is
// the default, and Escape is no.
func TestAutostartIsOffered(t *testing.T) {
	for name, key := range map[string]fyne.KeyName{"default": fyne.KeyReturn, "escape": fyne.KeyEscape} {
		t.Run(name, func(t *testing.T) {
			set := make(chan bool, 1)
			s := firstSetUp(t, alone(), false, func(on bool) error { set <- on; return nil })
			s.until("it is asked", func() bool { return s.w.win.Canvas().Overlays().Top() != nil })
			s.key(key)
			if s.w.win.Canvas().Overlays().Top() != nil {
				t.Error("the question is still open")
			}
			s.w.work.stop()
			if got := len(set) == 1 && <-set; got != (key == fyne.KeyReturn) {
				t.Errorf("turned on: %t", got)
			}
		})
	}
}

func TestAutostartIsNotOffered(t *testing.T) {
	t.Run("it is on", func(t *testing.T) {
		b := alone()
		s := firstSetUp(t, b, true, func(bool) error { return nil })
		s.until("the desktop was asked", func() bool { return b.called("autostart") })
		s.w.work.stop()
		s.run()
		if s.w.win.Canvas().Overlays().Top() != nil {
			t.Error("asks although Waxseal starts at login")
		}
	})
	t.Run("not the first account", func(t *testing.T) {
		b := busyOffice()
		firstSetUp(t, b, false, func(bool) error { return nil })
		if b.called("autostart") {
			t.Error("asks after the second account")
		}
	})
}
