package tray

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/waxseal/waxseal/keystore"
)

// hostPatience is how long a desktop may take to show its tray. Programs that start
// with the desktop are often faster than its panel.
var hostPatience = 2 * time.Second

// callPatience limits a call to another program on the bus.
const callPatience = 5 * time.Second

const watcher = "org.kde.StatusNotifierWatcher"

// reachable reports whether there is a session bus. Without one, godbus would start a
// bus that nobody stops.
func reachable() bool { return keystore.HasSessionBus() }

// WatchHost reports whether something shows tray icons: first when that is known,
// after two seconds at the latest, and then at each change until ctx ends. GNOME needs
// an extension to show them.
func WatchHost(ctx context.Context, report func(present bool)) {
	if !reachable() {
		report(false)
		return
	}
	bus, err := dbus.ConnectSessionBus(dbus.WithContext(ctx))
	if err != nil {
		report(false)
		return
	}
	defer bus.Close()
	changes := make(chan *dbus.Signal, 8)
	bus.Signal(changes)
	bus.AddMatchSignalContext(ctx, dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, watcher))
	bus.AddMatchSignalContext(ctx, dbus.WithMatchInterface(watcher))

	told := hostPresent(ctx, bus)
	known := told // one may still appear
	if told {
		report(true)
	}
	patience := time.NewTimer(hostPatience)
	defer patience.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-patience.C:
			if !known {
				report(false)
				known = true
			}
		case _, open := <-changes:
			if !open {
				return
			}
			now := hostPresent(ctx, bus)
			if ctx.Err() != nil {
				return
			}
			if now != told {
				told, known = now, true
				report(now)
			}
		}
	}
}

func hostPresent(ctx context.Context, bus *dbus.Conn) bool {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	var owned bool
	if bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, watcher).Store(&owned) != nil || !owned {
		return false
	}
	var present bool
	err := bus.Object(watcher, "/StatusNotifierWatcher").
		CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, watcher, "IsStatusNotifierHostRegistered").Store(&present)
	return err == nil && present
}
