package proxy

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestLocalCertificateReadOnlyFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(name, 0o555); err != nil {
			t.Fatal(err)
		}
	}
	asNobody(t, func() {
		cert, err := LocalCertificate(dir, certificateTime)
		if !errors.Is(err, ErrNotKept) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), dir) {
			t.Errorf("error %v", err)
		}
		checkCertificate(t, cert, certificateTime)
	})
}

// asNobody runs f with the file permissions of an ordinary user, even if the tests run as
// root, who may write to every folder. The permissions belong to the thread, which ends with
// the goroutine.
func asNobody(t *testing.T, f func()) {
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
