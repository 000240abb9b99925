//go:build linux

package main_test

import (
	"bytes"
	"image/png"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/waxseal/waxseal/ui/tray/traytest"
)

// Values of color-scheme in the desktop portal's settings.
const (
	preferDark  = uint32(1)
	preferLight = uint32(2)
)

// portal plays the part of a desktop that says whether it is light or dark.
type portal struct {
	bus    *dbus.Conn
	scheme uint32
}

const portalPath = "/org/freedesktop/portal/desktop"

func (s *screen) startPortal(scheme uint32) *portal {
	s.t.Helper()
	bus, err := dbus.Connect(s.bus.Address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { bus.Close() })
	p := &portal{bus: bus, scheme: scheme}
	methods := map[string]any{"Read": func(namespace, key string) (dbus.Variant, *dbus.Error) {
		if namespace != "org.freedesktop.appearance" || key != "color-scheme" {
			return dbus.Variant{}, dbus.NewError("org.freedesktop.portal.Error.NotFound", nil)
		}
		return dbus.MakeVariant(dbus.MakeVariant(p.scheme)), nil
	}}
	methods["ReadOne"] = func(namespace, key string) (dbus.Variant, *dbus.Error) {
		return dbus.MakeVariant(p.scheme), nil
	}
	if err := bus.ExportMethodTable(methods, portalPath, "org.freedesktop.portal.Settings"); err != nil {
		s.t.Fatal(err)
	}
	if _, err := bus.RequestName("org.freedesktop.portal.Desktop", 0); err != nil {
		s.t.Fatal(err)
	}
	return p
}

// change says that the desktop is light or dark now.
func (p *portal) change(t *testing.T, scheme uint32) {
	t.Helper()
	if err := p.bus.Emit(portalPath, "org.freedesktop.portal.Settings.SettingChanged", "org.freedesktop.appearance", "color-scheme", dbus.MakeVariant(scheme)); err != nil {
		t.Fatal(err)
	}
}

// dark reports whether the window's middle is dark.
func (s *screen) dark(name string) bool {
	s.t.Helper()
	img, err := png.Decode(bytes.NewReader(s.picture(s.window(), name)))
	if err != nil {
		s.t.Fatal(err)
	}
	b := img.Bounds()
	r, g, bl, _ := img.At(b.Max.X-30, b.Max.Y-20).RGBA()
	return r+g+bl < 3*0x8000
}

// The window is light on a desktop that does not say what it is.
func TestDesktopWithoutScheme(t *testing.T) {
	s := newScreen(t, true)
	s.waxseal(nil)
	s.settled(s.window(), "scheme-none")
	if s.dark("scheme-none") {
		t.Error("the window is dark")
	}
}

// The window is light or dark like the desktop, and changes with it.
func TestDesktopScheme(t *testing.T) {
	s := newScreen(t, true)
	p := s.startPortal(preferDark)
	s.waxseal(nil)
	traytest.Until(t, "the window is dark", func() bool { return s.dark("scheme-dark") })
	traytest.Until(t, "the window is light", func() bool {
		p.change(t, preferLight) // again and again: the window may not listen yet
		return !s.dark("scheme-light")
	})
}
