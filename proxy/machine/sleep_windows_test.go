package machine

import (
	"context"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Windows' notifications are passed on, and a notification after the end finds no listener.
// The test calls the callback in place of Windows, and checks that Windows accepts the
// registration.
func TestTellOfSleep(t *testing.T) {
	var log lockedBuffer
	told, done := make(chan bool), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(done)
		tellOfSleep(ctx, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), told)
	}()
	eventually(t, "the log says whether it listens", func() bool { return log.String() != "" })
	if !strings.Contains(log.String(), "listening to Windows") {
		t.Fatal(log.String())
	}
	id := lastSleeper.Load()
	says := func(id, kind uintptr) {
		if r, _, _ := syscall.SyscallN(sleepCallback(), id, kind, 0); r != 0 {
			t.Errorf("the callback answers %d", r)
		}
	}
	const statusChange, resumeSuspend = 0xa, 0x7
	says(id+1, pbtAPMResumeAutomatic) // of another listener
	says(id, statusChange)
	says(id, pbtAPMSuspend)
	says(id, pbtAPMResumeAutomatic)
	says(id, resumeSuspend) // always follows pbtAPMResumeAutomatic
	says(id, pbtAPMSuspend)
	for _, want := range []bool{true, false, true} {
		select {
		case got := <-told:
			if got != want {
				t.Errorf("told asleep=%t, want %t", got, want)
			}
		case <-time.After(patience):
			t.Fatal("not told")
		}
	}
	cancel()
	<-done
	says(id, pbtAPMSuspend)
	if _, there := sleepers.Load(id); there {
		t.Error("the listener is still registered")
	}
}

func TestRegisterForSleep(t *testing.T) {
	for range 3 {
		unregister, err := registerForSleep(0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unregister(); err != nil {
			t.Fatal(err)
		}
	}
}
