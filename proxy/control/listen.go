package control

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"

	"github.com/gofrs/flock"

	"github.com/waxseal/waxseal/keystore/safeio"
)

// Listener is the instance's end of the socket, and its lock.
type Listener struct {
	inner net.Listener
	token string // clients must send it; empty on a unix socket, which needs none
	lock  *flock.Flock
	files []string
}

// Listen takes the lock of a configuration file and opens its socket. It fails
// with a *[RunningError] if another instance has the lock.
func Listen(ctx context.Context, configPath string) (*Listener, error) {
	var l *Listener
	err := inFirst(configPath, func(p place) error {
		lock, err := p.acquire(ctx)
		if err != nil {
			return err
		}
		if l, err = p.listen(); err != nil {
			lock.Unlock()
			return err
		}
		l.lock = lock
		return nil
	})
	return l, err
}

// Close closes the socket and releases the lock. Call it last of all: after that
// another instance may start and use the same files.
func (l *Listener) Close() error {
	l.inner.Close()
	for _, f := range l.files {
		os.Remove(f)
	}
	return l.lock.Unlock()
}

func (p place) listen() (*Listener, error) {
	path := p.path(".sock")
	inner, err := listenUnix(path)
	if err == nil {
		return &Listener{inner: inner, files: []string{path}}, nil
	}
	if runtime.GOOS == "windows" {
		return p.listenTCP()
	}
	return nil, fmt.Errorf("open the control socket: %w", err)
}

// portFile is the content of the file that leads to the loopback port.
type portFile struct {
	Address string `json:"address"`
	Token   string `json:"token"`
}

// listenTCP opens a loopback port in place of a socket. Anybody on the machine can
// reach the port, so each request must contain the token. The token is in a file
// that only its owner can read, and changes at each start.
func (p place) listenTCP() (*Listener, error) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the control port: %w", err)
	}
	f := portFile{Address: inner.Addr().String(), Token: rand.Text() + rand.Text()} // 2 × 130 bits
	data, err := json.Marshal(f)
	if err == nil {
		err = safeio.Replace(p.path(".port"), data, 0o600)
	}
	if err != nil {
		inner.Close()
		return nil, fmt.Errorf("write down the control port: %w", err)
	}
	return &Listener{inner: inner, token: f.Token, files: []string{p.path(".port")}}, nil
}

// sameToken compares in constant time, whatever the lengths.
func sameToken(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
