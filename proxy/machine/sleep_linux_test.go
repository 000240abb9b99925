package machine

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// systemBus is a bus of the test's own that is used as the system bus.
type systemBus struct {
	t       *testing.T
	path    string
	address string
}

func newSystemBus(t *testing.T) *systemBus {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		t.Skip("NOT TESTED: there is no dbus-daemon")
	}
	dir, err := os.MkdirTemp("", "bus") // sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &systemBus{t: t, path: filepath.Join(dir, "bus")}
	b.address = "unix:path=" + b.path
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", b.address)
	return b
}

// start starts the bus, which runs until stop or the end of the test. It may be called again
// after stop.
func (b *systemBus) start() (stop func()) {
	b.t.Helper()
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address", "--address="+b.address)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	b.t.Cleanup(stop)
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		b.t.Fatal(err)
	}
	return stop
}

func (b *systemBus) connect() *dbus.Conn {
	b.t.Helper()
	conn, err := dbus.Connect(b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	return conn
}

// logind connects a program to the bus that has logind's name.
func (b *systemBus) logind() *dbus.Conn {
	b.t.Helper()
	conn := b.connect()
	if r, err := conn.RequestName(login1, dbus.NameFlagDoNotQueue); err != nil || r != dbus.RequestNameReplyPrimaryOwner {
		b.t.Fatal(r, err)
	}
	return conn
}

// prepareForSleep sends the signal to the bus, or to one program alone if to is set. When it
// returns, the bus has passed on the signal.
func prepareForSleep(t *testing.T, from *dbus.Conn, to string, asleep bool) {
	t.Helper()
	m := &dbus.Message{Type: dbus.TypeSignal, Body: []any{asleep}, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/login1")),
		dbus.FieldInterface: dbus.MakeVariant(login1 + ".Manager"),
		dbus.FieldMember:    dbus.MakeVariant("PrepareForSleep"),
		dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(asleep)),
	}}
	if to != "" {
		m.Headers[dbus.FieldDestination] = dbus.MakeVariant(to)
	}
	if call := from.Send(m, nil); call != nil && call.Err != nil {
		t.Fatal(call.Err)
	}
	if err := from.BusObject().Call("org.freedesktop.DBus.GetId", 0).Err; err != nil {
		t.Fatal(err)
	}
}

// follower follows logind as a server does, but tries the bus again sooner.
type follower struct {
	t    *testing.T
	log  lockedBuffer
	told chan bool
}

func follow(t *testing.T) *follower {
	t.Helper()
	f := &follower{t: t, told: make(chan bool)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		followLogind(ctx, slog.New(slog.NewTextHandler(&f.log, &slog.HandlerOptions{Level: slog.LevelDebug})), time.Millisecond, f.told)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("followLogind does not end")
		}
	})
	return f
}

// says waits until the log contains a text a number of times.
func (f *follower) says(times int, what string) {
	f.t.Helper()
	eventually(f.t, what, func() bool { return strings.Count(f.log.String(), what) >= times })
}

func (f *follower) wants(asleep bool) {
	f.t.Helper()
	select {
	case got := <-f.told:
		if got != asleep {
			f.t.Errorf("told asleep=%t, want %t", got, asleep)
		}
	case <-time.After(patience):
		f.t.Fatalf("not told of asleep=%t; the log: %s", asleep, f.log.String())
	}
}

const listening, clocksAlone, notLogind = "listening to logind", "noticing sleep by the clocks alone", "not from logind"

// Logind may start late, and its bus may go away and come back.
func TestFollowLogind(t *testing.T) {
	bus := newSystemBus(t)
	f := follow(t)
	f.says(1, clocksAlone)
	for n := range 2 {
		stop := bus.start()
		f.says(n+1, listening)
		logind := bus.logind()
		for _, asleep := range []bool{true, false, true, false} {
			prepareForSleep(t, logind, "", asleep)
			f.wants(asleep)
		}
		stop()
		f.says(n+2, clocksAlone)
	}
}

// Only logind is believed, whether others send the signal to all or to this program alone.
func TestOnlyLogindIsBelieved(t *testing.T) {
	bus := newSystemBus(t)
	bus.start()
	logind, other := bus.logind(), bus.connect()
	f := follow(t)
	f.says(1, listening)
	var names []string
	if err := other.BusObject().Call("org.freedesktop.DBus.ListNames", 0).Store(&names); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, ":") && name != logind.Names()[0] && name != other.Names()[0] {
			prepareForSleep(t, other, name, false)
		}
	}
	prepareForSleep(t, other, "", false)
	prepareForSleep(t, logind, "", true)
	f.wants(true)
	if n := strings.Count(f.log.String(), notLogind); n != 1 {
		t.Errorf("%d signals of other programs reached the check of their sender, want 1: the one sent to this program alone", n)
	}
}

// A bus that accepts connections and says nothing does not delay a stop, which follow checks
// at its end. A bus on another machine is not dialled.
func TestBusThatIsNone(t *testing.T) {
	bus := newSystemBus(t)
	silent, err := net.Listen("unix", bus.path)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	follow(t)
	conn, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() }) // runs before the clean-up of follow
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}

	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "tcp:host=192.0.2.1,port=1")
	if err := listenToLogind(t.Context(), slog.New(slog.DiscardHandler), nil); err == nil || !strings.Contains(err.Error(), "not a socket on this machine") {
		t.Error(err)
	}
}

// Signals that come faster than they are checked are dropped, not kept.
func TestFloodOfSleep(t *testing.T) {
	s := make(sleepSignals, 8)
	for range 1000 {
		s.DeliverSignal(login1+".Manager", "PrepareForSleep", &dbus.Signal{Body: []any{false}})
		s.DeliverSignal(login1+".Manager", "PrepareForShutdown", &dbus.Signal{Body: []any{true}})
		s.DeliverSignal(login1+".Manager", "PrepareForSleep", &dbus.Signal{})
	}
	for len(s) > 0 {
		if signal := <-s; signal.Body[0] != false {
			t.Errorf("%+v was kept", signal)
		}
	}
}

// A watch listens to logind by itself.
func TestWatchHearsLogind(t *testing.T) {
	bus := newSystemBus(t)
	bus.start()
	logind := bus.logind()
	var log lockedBuffer
	told := make(chan bool)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		NewWatch().TellOfSleep(ctx, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), told)
	}()
	eventually(t, "it listens to logind", func() bool { return strings.Contains(log.String(), listening) })
	prepareForSleep(t, logind, "", false)
	if asleep := <-told; asleep {
		t.Error("told asleep, want awake")
	}
	cancel()
	<-done
}
