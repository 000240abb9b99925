package machine

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

// sleepTeller is the part of the system that reports sleep.
const SleepTeller = "logind"

const login1 = "org.freedesktop.login1"

// busRetry is the time before the next connection to a system bus that is missing or went
// away. In the meantime the clocks show that the machine slept.
const busRetry = time.Minute

// tellOfSleep sends true when the machine is about to sleep and false when it woke up, as
// far as the system reports it, until ctx ends.
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
		if said != err.Error() { // log it once, not every minute
			said = err.Error()
			log.Debug("noticing sleep by the clocks alone", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
	}
}

// listenToLogind passes on logind's signals until the bus goes away or ctx ends. On a bus
// without logind it waits for logind.
func listenToLogind(ctx context.Context, log *slog.Logger, told chan<- bool) error {
	address := cmp.Or(os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"), "unix:path=/run/dbus/system_bus_socket")
	if !strings.HasPrefix(address, "unix:") {
		return fmt.Errorf("the system bus at %q is not a socket on this machine", address) // only connecting to those never blocks
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
	log.Debug("listening to logind for sleep")
	for {
		select {
		case <-bus.Context().Done():
			return errors.New("the system bus closed the connection")
		case signal := <-heard:
			asleep, isBool := signal.Body[0].(bool)
			if !isBool || !fromLogind(ctx, bus, signal.Sender) {
				log.Debug("ignoring a sleep signal that is not from logind", "sender", signal.Sender)
				continue
			}
			select {
			case told <- asleep:
			case <-ctx.Done():
			}
		}
	}
}

// fromLogind reports whether sender is logind. Match rules do not guarantee it: any program
// on the bus can send a signal to this connection alone.
func fromLogind(ctx context.Context, bus *dbus.Conn, sender string) bool {
	var owner string
	err := bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, login1).Store(&owner)
	return err == nil && owner == sender
}

// sleepSignals receives the signals about sleep in their order, and drops those that do not
// fit, so that a flood costs no memory.
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
