package safeiotest

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// AsNobody runs f with the file permissions of an ordinary user, even if the tests run as
// root, who may write to every folder. The permissions belong to the thread, which ends with
// the goroutine.
func AsNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if os.Getuid() == 0 {
			if _, _, e := syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0); e != 0 {
				t.Errorf("setfsuid: %v", e)
				return
			}
		}
		f()
	}()
	<-done
}
