package localtls

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio"
)

// Files is a certificate that somebody else issues and renews, such as Let's Encrypt: a PEM file
// with the certificate and its chain, and one with its key. They are read again when they change.
// New files that cannot be used leave the certificate in use that was read before.
type Files struct {
	Certificate, Key string // paths
	Log              *slog.Logger

	mu     sync.Mutex
	looked time.Time     // when the files were last looked at
	seen   [2]fileState  // what they were then
	failed *[2]fileState // what could not be used; a second look at the same files logs it
	told   bool
	now    *tls.Certificate // nil until the files could be read once
}

// lookEvery is the least time between two looks at the files.
const lookEvery = time.Second

// maxPEM is more than any certificate chain is long, in bytes.
const maxPEM = 1 << 20

// fileState changes when a file is replaced or written.
type fileState struct {
	modified time.Time
	size     int64
	target   string // of a symbolic link: Let's Encrypt moves those
}

func stateOf(path string) (s fileState) {
	s.target, _ = filepath.EvalSymlinks(path)
	if info, err := os.Stat(path); err == nil {
		s.modified, s.size = info.ModTime(), info.Size()
	}
	return s
}

// Get returns the certificate, or nil if the files could not be used yet. It costs a few system
// calls, at most once a second.
func (f *Files) Get(now time.Time) *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	now = now.Round(0) // the wall clock: it also counts while the machine sleeps
	if since := now.Sub(f.looked); since >= 0 && since < lookEvery {
		return f.now
	}
	f.looked = now
	state := [2]fileState{stateOf(f.Certificate), stateOf(f.Key)}
	if f.now != nil && state == f.seen {
		return f.now
	}
	cert, err := f.Load()
	if err != nil {
		f.complain(state, err)
		return f.now
	}
	f.now, f.seen, f.failed, f.told = &cert, state, nil, false
	f.Log.Info("read the certificate for TLS", "file", f.Certificate, "names", Names(cert.Leaf), "until", cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	if w := f.KeyWarning(); w != nil {
		f.Log.Warn("the certificate's key is not well protected", "err", w, "cure", "run chmod o-rwx "+f.Key)
	}
	return f.now
}

// complain logs once that files cannot be used. Whoever renews a certificate replaces one file after
// the other, so the first look may find two that do not belong together.
func (f *Files) complain(state [2]fileState, err error) {
	again := f.failed != nil && *f.failed == state
	if f.told = f.told && again; !f.told && (again || f.now == nil) {
		f.told = true
		f.Log.Error("the certificate for TLS cannot be used; continuing with the one before", "err", err,
			"cure", "correct certificate and key of [tls]; they are read again when they change")
	}
	f.failed = &state
}

// Load reads the files and returns an error that says what is wrong with them. It changes nothing.
func (f *Files) Load() (tls.Certificate, error) {
	certPEM, err := readPEM(f.Certificate)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := readPEM(f.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if bytes.Contains(keyPEM, []byte("ENCRYPTED")) {
		return tls.Certificate{}, fmt.Errorf("the key %s is protected by a passphrase; write it without one: openssl pkey -in %[1]s -out NEW", f.Key)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s and %s do not belong together, or one of them is not what its name says (the server's own certificate comes first, then those of the issuers): %w",
			f.Certificate, f.Key, err)
	}
	return cert, nil
}

// readPEM reads a file that must contain PEM.
func readPEM(path string) ([]byte, error) {
	file, err := safeio.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s does not exist; put the file there, or correct its name: %w", path, err)
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read; let the user that Waxseal runs as read it: %w", path, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxPEM))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if block, _ := pem.Decode(data); block == nil {
		return nil, fmt.Errorf("%s does not contain PEM, which begins with -----BEGIN; convert it, for example with openssl x509 -inform DER", path)
	}
	return data, nil
}

// KeyWarning is what is wrong with the key file's permissions, nil if nothing is or if the system
// has none. A group that may read the key is somebody's decision.
func (f *Files) KeyWarning() error {
	info, err := os.Stat(f.Key)
	if runtime.GOOS == "windows" || err != nil || info.Mode().Perm()&0o007 == 0 {
		return nil
	}
	return fmt.Errorf("every user of this computer may use %s (mode %04o)", f.Key, info.Mode().Perm())
}
