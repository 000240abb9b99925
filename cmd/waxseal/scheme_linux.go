//go:build !nogui

package main

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"
)

// schemePatience limits the question to the desktop. A portal that has to be started first may
// take longer; Fyne hears of its answer later.
const schemePatience = 500 * time.Millisecond

// saysNoScheme reports whether this desktop does not say if it is light or dark, as the portal for
// settings does (https://flatpak.github.io/xdg-desktop-portal/docs/doc-org.freedesktop.portal.Settings.html).
// Fyne takes such a desktop for a dark one.
func saysNoScheme(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, schemePatience)
	defer cancel()
	bus, err := dbus.ConnectSessionBus(dbus.WithContext(ctx))
	if err != nil {
		return true
	}
	defer bus.Close()
	portal := bus.Object("org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop")
	err = portal.CallWithContext(ctx, "org.freedesktop.portal.Settings.Read", 0, "org.freedesktop.appearance", "color-scheme").Err
	return err != nil && ctx.Err() == nil
}
