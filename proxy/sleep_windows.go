package proxy

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// sleepTeller is who tells of sleep here.
const sleepTeller = "Windows"

// What Windows tells a callback, and how it is asked to.
const (
	deviceNotifyCallback  = 2
	pbtAPMSuspend         = 0x4
	pbtAPMResumeAutomatic = 0x12
)

var (
	powrprof        = windows.NewLazySystemDLL("powrprof.dll")
	registerSleep   = powrprof.NewProc("PowerRegisterSuspendResumeNotification")
	unregisterSleep = powrprof.NewProc("PowerUnregisterSuspendResumeNotification")
)

// Windows gets a number for who listens, no pointer: a call that comes late finds
// nobody. There is one callback, since callbacks are never freed.
var (
	sleepers      sync.Map // uintptr -> chan bool
	lastSleeper   atomic.Uintptr
	sleepCallback = sync.OnceValue(func() uintptr { return windows.NewCallback(onSleep) })
)

// onSleep runs on a thread of the system's, and must not hold that up.
func onSleep(id, kind, _ uintptr) uintptr {
	listener, ok := sleepers.Load(id)
	if !ok || kind != pbtAPMSuspend && kind != pbtAPMResumeAutomatic {
		return 0
	}
	select {
	case listener.(chan bool) <- kind == pbtAPMSuspend:
	default:
	}
	return 0
}

// tellOfSleep tells true when the machine is about to sleep and false when it
// woke, as far as the system says so, until ctx ends.
func tellOfSleep(ctx context.Context, log *slog.Logger, told chan<- bool) {
	id, heard := lastSleeper.Add(1), make(chan bool, 8)
	sleepers.Store(id, heard)
	defer sleepers.Delete(id)
	unregister, err := registerForSleep(id)
	if err != nil {
		log.Debug("a sleep is noticed by the clocks alone", "err", err)
		return
	}
	defer unregister()
	log.Debug("listening for Windows' word of sleep")
	for {
		select {
		case <-ctx.Done():
			return
		case asleep := <-heard:
			select {
			case told <- asleep:
			case <-ctx.Done():
			}
		}
	}
}

// registerForSleep has Windows call onSleep with id.
func registerForSleep(id uintptr) (unregister func() error, err error) {
	for _, p := range []*windows.LazyProc{registerSleep, unregisterSleep} {
		if err := p.Find(); err != nil {
			return nil, err
		}
	}
	// DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS
	recipient := &struct{ callback, context uintptr }{sleepCallback(), id}
	var handle uintptr
	if code, _, _ := registerSleep.Call(deviceNotifyCallback, uintptr(unsafe.Pointer(recipient)), uintptr(unsafe.Pointer(&handle))); code != 0 {
		return nil, syscall.Errno(code)
	}
	return func() error {
		if code, _, _ := unregisterSleep.Call(handle); code != 0 {
			return syscall.Errno(code)
		}
		return nil
	}, nil
}
