package tray

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// appID is the desktop entry's name.
const appID = "io.github.waxseal.waxseal"

const (
	notifications     = "org.freedesktop.Notifications"
	notificationsPath = "/org/freedesktop/Notifications"
)

// Notify shows notices until ctx ends, and calls click with each that is clicked. It
// has its own connection to the desktop's notification service. A notice replaces the
// previous one of its kind.
func Notify(ctx context.Context, notices <-chan Notice, click func(Notice)) error {
	if !reachable() {
		return errors.New("there is no session bus to notify over")
	}
	if err := speak(); err != nil {
		return err
	}
	bus, err := dbus.ConnectSessionBus(dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("reach the notification service: %w", err)
	}
	defer bus.Close()
	signals := make(chan *dbus.Signal, 16)
	bus.Signal(signals)
	if err := bus.AddMatchSignalContext(ctx, dbus.WithMatchInterface(notifications)); err != nil {
		return fmt.Errorf("listen to the notification service: %w", err)
	}
	n := notifier{service: bus.Object(notifications, notificationsPath), shown: map[uint32]Notice{}, last: map[Kind]uint32{}}
	for {
		select {
		case <-ctx.Done():
			return nil
		case notice := <-notices:
			// Without a service, the icon alone has to tell.
			n.show(ctx, notice)
		case s, open := <-signals:
			if !open {
				return nil
			}
			if notice, clicked := n.signal(s); clicked {
				click(notice)
			}
		}
	}
}

// notifier knows what is on the screen.
type notifier struct {
	service dbus.BusObject
	shown   map[uint32]Notice
	last    map[Kind]uint32
}

func (n *notifier) show(ctx context.Context, notice Notice) error {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	title, body := notice.text()
	old := n.last[notice.Kind]
	var id uint32
	err := n.service.CallWithContext(ctx, notifications+".Notify", 0, "Waxseal", old, appID, title, body,
		[]string{"default", title}, map[string]dbus.Variant{"desktop-entry": dbus.MakeVariant(appID)}, int32(-1)).Store(&id)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	delete(n.shown, old)
	n.shown[id], n.last[notice.Kind] = notice, id
	return nil
}

// signal handles a signal of the service about a notification.
func (n *notifier) signal(s *dbus.Signal) (Notice, bool) {
	if len(s.Body) < 2 {
		return Notice{}, false
	}
	id, ok := s.Body[0].(uint32)
	notice, ours := n.shown[id]
	if !ok || !ours {
		return Notice{}, false
	}
	switch s.Name {
	case notifications + ".ActionInvoked":
		return notice, true
	case notifications + ".NotificationClosed":
		delete(n.shown, id)
		delete(n.last, notice.Kind)
	}
	return Notice{}, false
}
