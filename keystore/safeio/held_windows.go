package safeio

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// patience is how long a file may be held by another program: virus scanners,
// indexers and backups open each new file for a moment.
const patience = 2 * time.Second

// errSharing is ERROR_SHARING_VIOLATION.
const errSharing = syscall.Errno(32)

// rename waits while somebody has one of the files open, which Windows reports
// as either error.
func rename(from, to string) error {
	return retry(func() error { return os.Rename(from, to) }, errSharing, syscall.ERROR_ACCESS_DENIED)
}

// open waits while the file is being replaced, or is open to somebody who shares
// it with nobody.
func open(path string, flag int) (f *os.File, err error) {
	err = retry(func() error { f, err = os.OpenFile(path, flag, 0); return err }, errSharing)
	return f, err
}

// retry tries again while try fails with one of the errors of a file that is
// held by another program, for as long as patience lasts.
func retry(try func() error, held ...error) error {
	wait := time.Millisecond
	for deadline := time.Now().Add(patience); ; wait = min(2*wait, 100*time.Millisecond) {
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
