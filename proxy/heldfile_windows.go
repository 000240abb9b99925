package proxy

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// errSharing is ERROR_SHARING_VIOLATION.
const errSharing = syscall.Errno(32)

// renameFile is os.Rename with patience: Windows replaces no file that somebody
// has open, and virus scanners and indexers open each new one for a moment.
func renameFile(from, to string) error {
	return patiently(func() error { return os.Rename(from, to) }, errSharing, syscall.ERROR_ACCESS_DENIED)
}

// openFile is os.Open with patience, for the moment in which a file is replaced.
func openFile(name string) (f *os.File, err error) {
	err = patiently(func() error { f, err = os.Open(name); return err }, errSharing)
	return f, err
}

// patiently tries again for two seconds while it fails as a file does that
// somebody else has open.
func patiently(try func() error, held ...error) error {
	wait := time.Millisecond
	for deadline := time.Now().Add(2 * time.Second); ; wait = min(2*wait, 100*time.Millisecond) {
		err := try()
		again := false
		for _, h := range held {
			again = again || errors.Is(err, h)
		}
		if !again || time.Now().After(deadline) {
			return err
		}
		time.Sleep(wait)
	}
}
