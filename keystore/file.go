package keystore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/keystore/seal"
)

// fileLimit limits one call. Deriving the key is slow on purpose: it takes a tenth
// of a second on an idle desktop, and many times that on a small or busy machine.
const fileLimit = 20 * time.Second

// File answers the store in one encrypted file. The first call opens the file and
// the first [Store.Set] creates it, so that is when a wrong passphrase is reported,
// as [ErrDenied]. A file next to it, with ".lock" after its name, keeps two
// processes from writing at once. The passphrase must not be empty.
//
// A file that cannot be read or decrypted is never written to.
func File(path string, passphrase []byte) (*Store, error) {
	if path == "" {
		return nil, errors.New("no path is given")
	}
	if len(passphrase) == 0 {
		return nil, errNoPassphrase
	}
	f := &file{path: path, safe: safe{string(passphrase), seal.Work, seal.MaxWork}, guard: newGuard()}
	f.guard.limit, f.guard.stop = fileLimit, fileLimit
	return &Store{kind: FileKind, backend: f}, nil
}

// file keeps the whole content in memory after the first call, and writes all of
// it at each change. The guard lets one call through at a time; changes that wait
// together for their turn are written together by the first of them.
type file struct {
	path  string
	safe  safe
	guard *guard

	mu      sync.Mutex
	pending []*change

	// The rest belongs to the call whose turn it is.
	held   *content    // what the file contains; nil before it has been read
	seen   fs.FileInfo // the file that held was read from or written to; nil when there is none
	refuse refusal
	writes int
	tidied bool // whether an earlier process's leftovers have been removed
}

// change is one Set (or Delete, when secret is nil) on its way to the file.
type change struct {
	key    string
	secret []byte
	done   bool
	err    error
}

// refusal remembers a file that could not be decrypted, so that the next call
// does not derive the key again as long as the file is the same.
type refusal struct {
	seen fs.FileInfo
	err  error
}

func (f *file) get(ctx context.Context, key string) (string, error) {
	secret, ok := "", false
	err := f.guard.do(ctx, func(context.Context) error {
		if err := f.load(); err != nil {
			return err
		}
		var value []byte
		value, ok = f.held.secrets[key]
		secret = string(value)
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case !ok:
		return "", ErrNotFound
	}
	return secret, nil
}

func (f *file) set(ctx context.Context, key, secret string) error {
	return f.change(ctx, &change{key: key, secret: append([]byte{}, secret...)})
}

func (f *file) delete(ctx context.Context, key string) error {
	return f.change(ctx, &change{key: key})
}

func (f *file) close() {
	_ = f.guard.do(context.Background(), func(context.Context) error {
		f.held, f.seen = nil, nil
		return nil
	})
}

// change makes c durable, or answers why it could not. If the caller leaves before
// anybody has begun to write c, the change is withdrawn.
func (f *file) change(ctx context.Context, c *change) error {
	f.mu.Lock()
	f.pending = append(f.pending, c)
	f.mu.Unlock()

	err := f.guard.do(ctx, func(ctx context.Context) error {
		if !c.done {
			f.commit(ctx)
		}
		return c.err
	})
	if err != nil {
		f.mu.Lock()
		f.pending = slices.DeleteFunc(f.pending, func(p *change) bool { return p == c })
		f.mu.Unlock()
	}
	return err
}

// commit writes all waiting changes and gives each its result.
func (f *file) commit(ctx context.Context) {
	f.mu.Lock()
	batch := f.pending
	f.pending = nil
	f.mu.Unlock()

	err := f.write(ctx, batch)
	for _, c := range batch {
		c.done, c.err = true, err
	}
}

func (f *file) write(ctx context.Context, batch []*change) error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return fileError(err)
	}
	lock := flock.New(f.path+".lock", flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%w: another process keeps the file locked", ErrTimeout)
		}
		return fileError(err)
	}
	defer lock.Close()
	if !f.tidied {
		safeio.RemoveLeftovers(f.path)
		f.tidied = true
	}

	if err := f.load(); err != nil {
		return err
	}
	next := f.held.with(batch)
	same := maps.EqualFunc(next.secrets, f.held.secrets, slices.Equal)
	if same && (f.seen != nil || len(next.secrets) == 0) {
		return nil
	}
	data, err := f.safe.seal(next)
	if err != nil {
		return err
	}
	if err := safeio.Replace(f.path, data, 0o600); err != nil {
		return fileError(err)
	}
	f.writes++
	f.held = next
	f.seen, err = os.Stat(f.path)
	return fileError(err)
}

// load brings held up to date with the file, which another process may have
// written. If the file has been removed since it was read, its content stays in
// memory and is written again with the next change.
func (f *file) load() error {
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if f.held == nil {
			f.held = &content{}
		}
		f.seen = nil
		return nil
	case err != nil:
		return fileError(err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %s is not a regular file", ErrUnavailable, f.path)
	case f.held != nil && unchanged(f.seen, info):
		return nil
	case unchanged(f.refuse.seen, info):
		return f.refuse.err
	}
	data, err := safeio.ReadFile(f.path)
	if err != nil {
		return fileError(err)
	}
	read, err := f.safe.open(data, f.held)
	if err != nil {
		f.refuse = refusal{info, err}
		return err
	}
	f.held, f.seen = read, info
	return nil
}

// unchanged reports whether the path led to the same file both times. Every
// write of ours makes a new file, which os.SameFile sees; time and size show that
// an editor or a copy wrote into the old one.
func unchanged(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) &&
		a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func fileError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return err
}
