//go:build linux

package traytest

import (
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

const (
	itemName = "org.kde.StatusNotifierItem"
	menuName = "com.canonical.dbusmenu"
)

// Item is an icon in the panel.
type Item struct {
	t    testing.TB
	item dbus.BusObject
	menu dbus.BusObject
}

func newItem(t testing.TB, conn *dbus.Conn, at string) *Item {
	sender, path, _ := strings.Cut(at, "/")
	return &Item{t: t, item: conn.Object(sender, dbus.ObjectPath("/"+path)), menu: conn.Object(sender, dbus.ObjectPath("/"+path+"/menu"))}
}

// Title is the icon's name.
func (i *Item) Title() string {
	v, _ := i.property("Title").Value().(string)
	return v
}

// Tooltip is what the panel says under the mouse.
func (i *Item) Tooltip() string {
	var tip struct {
		Name   string
		Pixels []struct {
			W, H   int32
			Pixels []byte
		}
		Title, Text string
	}
	if err := i.property("ToolTip").Store(&tip); err != nil {
		return ""
	}
	return tip.Title
}

// Pixels are the icon's drawing, as it was sent. Do not ask while it changes:
// systray draws the new one over the old.
func (i *Item) Pixels() []byte {
	var maps []struct {
		W, H   int32
		Pixels []byte
	}
	if err := i.property("IconPixmap").Store(&maps); err != nil || len(maps) == 0 {
		return nil
	}
	return maps[0].Pixels
}

// property is the zero Variant where the program is gone.
func (i *Item) property(name string) dbus.Variant {
	v, err := i.item.GetProperty(itemName + "." + name)
	if err != nil {
		return dbus.MakeVariant("")
	}
	return v
}

// Tap clicks the icon itself.
func (i *Item) Tap() {
	i.t.Helper()
	if err := i.item.Call(itemName+".Activate", 0, int32(0), int32(0)).Err; err != nil {
		i.t.Fatalf("tap the icon: %v", err)
	}
}

// Entry is a line of the menu.
type Entry struct {
	ID      int32
	Label   string // "-" for a separator
	Enabled bool
	Hidden  bool
	Sub     []Entry
}

// layout is a line as com.canonical.dbusmenu sends it.
type layout struct {
	ID    int32
	Props map[string]dbus.Variant
	Sub   []dbus.Variant
}

func (l layout) entry() Entry {
	e := Entry{ID: l.ID, Enabled: true}
	e.Label, _ = l.Props["label"].Value().(string)
	e.Label = strings.ReplaceAll(e.Label, "__", "_")
	if kind, _ := l.Props["type"].Value().(string); kind == "separator" {
		e.Label = "-"
	}
	if on, ok := l.Props["enabled"].Value().(bool); ok {
		e.Enabled = on
	}
	if seen, ok := l.Props["visible"].Value().(bool); ok {
		e.Hidden = !seen
	}
	for _, v := range l.Sub {
		var sub layout
		if dbus.Store([]any{v.Value()}, &sub) == nil {
			e.Sub = append(e.Sub, sub.entry())
		}
	}
	return e
}

// Everything is the whole menu with what is hidden, nil where the program is
// gone.
func (i *Item) Everything() []Entry {
	var revision uint32
	var root layout
	if i.menu.Call(menuName+".GetLayout", 0, int32(0), int32(-1), []string{}).Store(&revision, &root) != nil {
		return nil
	}
	return root.entry().Sub
}

// Label is one line's text.
func (i *Item) Label(id int32) string {
	var v dbus.Variant
	if i.menu.Call(menuName+".GetProperty", 0, id, "label").Store(&v) != nil {
		return ""
	}
	label, _ := v.Value().(string)
	return label
}

// Menu is what a person sees of the menu: labels, of a submenu's lines with the
// line that it hangs on, "me@example.org > Sign in again".
func (i *Item) Menu() []string { return labels("", i.Everything()) }

func labels(above string, all []Entry) []string {
	var seen []string
	for _, e := range all {
		if !e.Hidden {
			seen = append(seen, above+e.Label)
			seen = append(seen, labels(above+e.Label+" > ", e.Sub)...)
		}
	}
	return seen
}

// Has reports whether a person sees that line.
func (i *Item) Has(line string) bool { return slices.Contains(i.Menu(), line) }

// Click waits for a line and clicks it.
func (i *Item) Click(line string) {
	i.t.Helper()
	var id int32
	Until(i.t, "the menu has "+line, func() bool {
		var ok bool
		id, ok = find("", line, i.Everything())
		return ok
	})
	if err := i.menu.Call(menuName+".Event", 0, id, "clicked", dbus.MakeVariant(""), uint32(0)).Err; err != nil {
		i.t.Fatalf("click %s: %v", line, err)
	}
}

func find(above, line string, all []Entry) (int32, bool) {
	for _, e := range all {
		if e.Hidden {
			continue
		}
		if above+e.Label == line && e.Enabled {
			return e.ID, true
		}
		if id, ok := find(above+e.Label+" > ", line, e.Sub); ok {
			return id, true
		}
	}
	return 0, false
}
