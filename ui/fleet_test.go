package ui

import (
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"github.com/waxseal/waxseal/proxy/api"
)

// TestWindowOfAFleetsMachine: the desktop program shares no accounts, but its window may be opened for an instance that
// does. It then shows that machine as if it were alone.
func TestWindowOfAFleetsMachine(t *testing.T) {
	fleet := func() *fake {
		b := busyOffice()
		b.snapshot.Instance = "mail-1"
		b.snapshot.Fleet = &api.Fleet{Instance: "mail-1", Problem: keychainLocked(),
			Machines: []api.Machine{{Name: "mail-1", Version: "1.0.0", Started: noon.Add(-time.Hour)}, {Name: "mail-2", Gone: true}}}
		return b
	}
	markup := func(backend func() *fake) string {
		return test.RenderToMarkup((story{backend: backend}).stage(t, staging{size: fyne.NewSize(900, 640)}).w.win.Canvas())
	}
	if markup(fleet) != markup(busyOffice) {
		t.Error("the overview of a fleet's machine differs")
	}
	s := story{backend: func() *fake {
		b := fleet()
		b.snapshot.Keystore.Kind, b.settings.Keystore = "etcd", "etcd"
		return b
	}}.stage(t, staging{size: fyne.NewSize(900, 640)})
	for page := range s.w.pages {
		s.w.show(Page{Name: page})
		s.w.settle()
	}
}
