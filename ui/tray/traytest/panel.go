//go:build linux

package traytest

import (
	"slices"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
)

const (
	watcherName = "org.kde.StatusNotifierWatcher"
	watcherPath = "/StatusNotifierWatcher"
)

// Panel is a panel that shows icons, as programs see it.
type Panel struct {
	t    testing.TB
	conn *dbus.Conn

	mu    sync.Mutex
	items []string // "SENDER/PATH"
}

// StartPanel shows icons from now on.
func (b *Bus) StartPanel() *Panel {
	b.t.Helper()
	p := &Panel{t: b.t, conn: connect(b.t, b.Address)}
	if err := p.conn.Export(p, watcherPath, watcherName); err != nil {
		b.t.Fatal(err)
	}
	present := map[string]*prop.Prop{"IsStatusNotifierHostRegistered": {Value: true}}
	if _, err := prop.Export(p.conn, watcherPath, prop.Map{watcherName: present}); err != nil {
		b.t.Fatal(err)
	}
	if reply, err := p.conn.RequestName(watcherName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		b.t.Fatalf("own %s: %v, %v", watcherName, reply, err)
	}
	return p
}

// RegisterStatusNotifierItem is called by programs.
func (p *Panel) RegisterStatusNotifierItem(sender dbus.Sender, path string) *dbus.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.items = append(p.items, string(sender)+path)
	return nil
}

// Item waits for the only icon.
func (p *Panel) Item() *Item {
	p.t.Helper()
	var at string
	Until(p.t, "an icon is registered", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.items) > 0 {
			at = p.items[len(p.items)-1]
		}
		return at != ""
	})
	return newItem(p.t, p.conn, at)
}

// Stop ends the panel, as when it crashes.
func (p *Panel) Stop() { p.conn.Close() }

// Items are the icons that a real panel shows.
func (b *Bus) Items() []*Item {
	v, err := b.conn.Object(watcherName, watcherPath).GetProperty(watcherName + ".RegisteredStatusNotifierItems")
	if err != nil {
		return nil
	}
	var all []*Item
	at, _ := v.Value().([]string)
	slices.Sort(at)
	for _, a := range at {
		all = append(all, newItem(b.t, b.conn, a))
	}
	return all
}
