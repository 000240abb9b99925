//go:build linux

package traytest

import (
	"testing"

	"github.com/godbus/dbus/v5"
)

const (
	noticesName = "org.freedesktop.Notifications"
	noticesPath = "/org/freedesktop/Notifications"
)

// Notice is a notification that a program sent.
type Notice struct {
	ID, Replaces uint32
	Title, Body  string
	Actions      []string
}

// Notices is a notification service.
type Notices struct {
	t    testing.TB
	conn *dbus.Conn
	last uint32
	Sent chan Notice
}

// StartNotices takes notifications from now on.
func (b *Bus) StartNotices() *Notices {
	b.t.Helper()
	n := &Notices{t: b.t, conn: connect(b.t, b.Address), Sent: make(chan Notice, 64)}
	if err := n.conn.Export(n, noticesPath, noticesName); err != nil {
		b.t.Fatal(err)
	}
	if reply, err := n.conn.RequestName(noticesName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		b.t.Fatalf("own %s: %v, %v", noticesName, reply, err)
	}
	return n
}

// Notify is called by programs.
func (n *Notices) Notify(_ string, replaces uint32, _, title, body string, actions []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	id := replaces
	if id == 0 {
		n.last++
		id = n.last
	}
	n.Sent <- Notice{id, replaces, title, body, actions}
	return id, nil
}

// Click clicks a notification.
func (n *Notices) Click(s Notice) {
	n.t.Helper()
	if err := n.conn.Emit(noticesPath, noticesName+".ActionInvoked", s.ID, "default"); err != nil {
		n.t.Fatal(err)
	}
}

// Close takes a notification off the screen.
func (n *Notices) Close(s Notice) {
	n.t.Helper()
	if err := n.conn.Emit(noticesPath, noticesName+".NotificationClosed", s.ID, uint32(2)); err != nil {
		n.t.Fatal(err)
	}
}
