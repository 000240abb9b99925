package machine

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// sleepTeller is the part of the system that reports sleep.
const SleepTeller = "Windows"

// Constants of PowerRegisterSuspendResumeNotification and its callback.
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

// Windows gets a number instead of a pointer to the listener, so that a late call finds no
// listener. There is only one callback, because callbacks are never freed.
var (
	sleepers      sync.Map // uintptr -> chan bool
	lastSleeper   atomic.Uintptr
	sleepCallback = sync.OnceValue(func() uintptr { return windows.NewCallback(onSleep) })
)

// onSleep runs on one of the system's threads and must not block it.
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

// tellOfSleep sends true when the machine is about to sleep and false when it woke up, as
// far as the system reports it, until ctx ends.
func tellOfSleep(ctx context.Context, log *slog.Logger, told chan<- bool) {
	id, heard := lastSleeper.Add(1), make(chan bool, 8)
	sleepers.Store(id, heard)
	defer sleepers.Delete(id)
	unregister, err := registerForSleep(id)
	if err != nil {
		log.Debug("noticing sleep by the clocks alone", "err", err)
		return
	}
	defer unregister()
	log.Debug("listening to Windows for sleep")
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

// registerForSleep makes Windows call onSleep with id.
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
