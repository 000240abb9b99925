package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// sleepTeller is who tells of sleep here.
const sleepTeller = "logind"

const login1 = "org.freedesktop.login1"

// busRetry is how long a system bus that is not there, or went away, is left
// alone. The clocks notice a sleep meanwhile.
const busRetry = time.Minute

// tellOfSleep tells true when the machine is about to sleep and false when it
// woke, as far as the system says so, until ctx ends.
func tellOfSleep(ctx context.Context, log *slog.Logger, told chan<- bool) {
	followLogind(ctx, log, busRetry, told)
}

func followLogind(ctx context.Context, log *slog.Logger, retry time.Duration, told chan<- bool) {
	said := ""
	for {
		err := listenToLogind(ctx, log, told)
		if ctx.Err() != nil {
			return
		}
		if said != err.Error() { // a machine without a bus says it once
			said = err.Error()
			log.Debug("a sleep is noticed by the clocks alone", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
	}
}

// listenToLogind passes on what logind says until that, or ctx, ends. On a bus
// without logind it waits for one.
func listenToLogind(ctx context.Context, log *slog.Logger, told chan<- bool) error {
	address := cmp.Or(os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"), "unix:path=/run/dbus/system_bus_socket")
	if !strings.HasPrefix(address, "unix:") {
		return fmt.Errorf("the system bus at %q is no socket of this machine's", address) // dialling one never waits
	}
	heard := make(sleepSignals, 8)
	bus, err := dbus.Connect(address, dbus.WithContext(ctx), dbus.WithSignalHandler(heard))
	if err != nil {
		return fmt.Errorf("connect to the system bus: %w", err)
	}
	defer bus.Close()
	err = bus.AddMatchSignalContext(ctx, dbus.WithMatchSender(login1), dbus.WithMatchObjectPath("/org/freedesktop/login1"),
		dbus.WithMatchInterface(login1+".Manager"), dbus.WithMatchMember("PrepareForSleep"))
	if err != nil {
		return fmt.Errorf("ask the system bus for logind's signals: %w", err)
	}
	log.Debug("listening for logind's word of sleep")
	for {
		select {
		case <-bus.Context().Done():
			return errors.New("the system bus hung up")
		case signal := <-heard:
			asleep, isBool := signal.Body[0].(bool)
			if !isBool || !fromLogind(ctx, bus, signal.Sender) {
				log.Debug("somebody else speaks of sleep", "sender", signal.Sender)
				continue
			}
			select {
			case told <- asleep:
			case <-ctx.Done():
			}
		}
	}
}

// fromLogind tells whether sender is logind. Match rules do not see to it: any
// program on the bus can send a signal to this connection alone.
func fromLogind(ctx context.Context, bus *dbus.Conn, sender string) bool {
	var owner string
	err := bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, login1).Store(&owner)
	return err == nil && owner == sender
}

// sleepSignals takes the signals that say something of sleep, in their order, and
// drops what does not fit: a flood costs no memory.
type sleepSignals chan *dbus.Signal

func (s sleepSignals) DeliverSignal(iface, member string, signal *dbus.Signal) {
	if iface != login1+".Manager" || member != "PrepareForSleep" || len(signal.Body) != 1 {
		return
	}
	select {
	case s <- signal:
	default:
	}
}
