package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/waxseal/waxseal/keystore/safeio"
)

// maxSocketPath keeps the socket's path within sockaddr_un: 104 bytes on macOS,
// 108 on Linux and Windows, each with its final zero.
const maxSocketPath = 100

const lockRetry = 50 * time.Millisecond

// lockPatience is how long to wait for a lock whose holder does not answer: it may
// be a command at work, or an instance that is starting or ending. Tests wait less.
var lockPatience = 5 * time.Second

// place is a folder, and the name in it that lock and socket share.
type place struct {
	dir, name string
	private   bool // created by us below os.TempDir: nobody else may enter it
}

func (p place) path(ext string) string { return filepath.Join(p.dir, p.name+ext) }

// places returns where the lock and socket of a configuration file may be, best
// first. The instance takes the first that works; a client tries each in turn.
func places(configPath string) ([]place, error) {
	abs, err := filepath.Abs(configPath)
	if err != nil {
		return nil, fmt.Errorf("find the folder of %s: %w", configPath, err)
	}
	dir, file := filepath.Split(abs)
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // one folder with two names gets one instance
	}
	beside := place{dir: filepath.Clean(dir), name: strings.TrimSuffix(file, filepath.Ext(file))}
	sum := sha256.Sum256([]byte(filepath.Join(dir, file)))
	private := place{
		dir:     filepath.Join(os.TempDir(), fmt.Sprintf("waxseal-%d", os.Getuid())),
		name:    hex.EncodeToString(sum[:8]),
		private: true,
	}
	if len(beside.path(".sock")) > maxSocketPath {
		return []place{private}, nil
	}
	return []place{beside, private}, nil
}

// prepare creates the folder. Others may write to os.TempDir too, so a folder
// there that is not ours, or that others may enter, is not used.
func (p place) prepare() error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	if p.private {
		return checkPrivate(p.dir)
	}
	return nil
}

// acquire takes the lock. If another process holds it, acquire waits, but only
// until that process answers as an instance.
func (p place) acquire(ctx context.Context) (*flock.Flock, error) {
	if err := p.prepare(); err != nil {
		return nil, fmt.Errorf("lock %s: %w", p.path(".lock"), err)
	}
	lock := flock.New(p.path(".lock"))
	patience, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	tick := time.NewTicker(lockRetry)
	defer tick.Stop()
	for {
		ok, err := lock.TryLock()
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", lock.Path(), err)
		}
		if ok {
			// The previous holder is gone. Its port file must not stay, because the
			// port may belong to another program by now.
			os.Remove(p.path(".sock"))
			os.Remove(p.path(".port"))
			safeio.RemoveLeftovers(p.path(".port"))
			return lock, nil
		}
		if c, h, err := p.dial(patience); err == nil {
			c.Close()
			return nil, &RunningError{PID: h.PID, Version: h.Version}
		}
		select {
		case <-tick.C:
		case <-patience.Done():
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, &RunningError{}
		}
	}
}

// Hold keeps every instance and every other command away from a configuration
// until release is called. It fails with a *[RunningError] if an instance is using
// the configuration.
func Hold(ctx context.Context, configPath string) (release func(), err error) {
	err = inFirst(configPath, func(p place) error {
		lock, err := p.acquire(ctx)
		if err == nil {
			release = func() { lock.Unlock() }
		}
		return err
	})
	return release, err
}

// AwaitEnd waits until no instance is using a configuration: until the one that was
// told to quit has finished its last message.
func AwaitEnd(ctx context.Context, configPath string) error {
	tick := time.NewTicker(lockRetry)
	defer tick.Stop()
	for {
		release, err := Hold(ctx, configPath)
		var running *RunningError
		switch {
		case err == nil:
			release()
			return nil
		case !errors.As(err, &running):
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// inFirst calls f with each place until one works. It stops at an error that would
// be the same in another place: an instance is running, or ctx has ended.
func inFirst(configPath string, f func(place) error) error {
	all, err := places(configPath)
	if err != nil {
		return err
	}
	var failed []error
	for _, p := range all {
		err := f(p)
		var running *RunningError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &running), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			return err
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}
