package keystore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	helperIdle = 30 * time.Second // after this the helper is ended, to free its memory

	// promptLimit is how long a prompt stays open; ending the helper removes it
	// from the screen. Callers have left long before, after callLimit.
	promptLimit = 2 * time.Minute
	// promptPause is how long nobody is asked again after a prompt that was
	// dismissed or ignored. If the keychain is unlocked in another way meanwhile,
	// it is used at once.
	promptPause = 5 * time.Minute
)

// helperEnv is all that a helper inherits: how to find the bus, and the
// program's libraries. Without a PATH no bus can be started by mistake.
var helperEnv = []string{"DBUS_SESSION_BUS_ADDRESS", "HOME", "LD_LIBRARY_PATH"}

// remote is the keychain as a helper reaches it.
type remote struct {
	service string
	command func() *exec.Cmd
	life    context.Context // ends with close
	end     context.CancelFunc
	again   atomic.Bool // the next call may ask, whatever was dismissed before

	mu    sync.Mutex // held for a call; the helper serves one at a time
	run   *running   // nil when no helper runs
	idle  *time.Timer
	quiet time.Time // until then nobody is asked
}

func newRemote(service string) *remote {
	r := &remote{service: service, command: helperCommand}
	r.life, r.end = context.WithCancel(context.Background())
	r.idle = time.AfterFunc(helperIdle, r.rest)
	return r
}

// helperCommand starts this very program again, even when an update has replaced
// it on disk.
func helperCommand() *exec.Cmd {
	path := "/proc/self/exe"
	if _, err := os.Stat(path); err != nil || runtime.GOOS != "linux" {
		path, _ = os.Executable()
	}
	cmd := exec.Command(path, helperArgument)
	cmd.Args[0] = os.Args[0]
	cmd.Dir = filepath.VolumeName(path) + string(filepath.Separator)
	cmd.Env = []string{helperMark + "=1"}
	for _, name := range helperEnv {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd
}

func (r *remote) get(ctx context.Context, key string) (string, error) {
	return r.call(ctx, request{Op: "get", Key: key})
}

func (r *remote) set(ctx context.Context, key, secret string) error {
	_, err := r.call(ctx, request{Op: "set", Key: key, Secret: []byte(secret)})
	return err
}

func (r *remote) delete(ctx context.Context, key string) error {
	_, err := r.call(ctx, request{Op: "delete", Key: key})
	return err
}

func (r *remote) call(ctx context.Context, q request) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.idle.Reset(helperIdle)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()

	silent := ctx.Value(quietly{}) != nil
	if !silent && r.again.Swap(false) {
		r.quiet = time.Time{}
	}
	q.Service, q.Quiet = r.service, silent || time.Now().Before(r.quiet)
	secret, err := r.try(ctx, q)
	switch {
	case err == nil, errors.Is(err, ErrNotFound):
		r.quiet = time.Time{}
	case !q.Quiet && prompted(err):
		r.quiet = time.Now().Add(promptPause)
		r.drop() // with what go-keyring leaves behind after a prompt
	}
	return secret, err
}

// prompted reports whether a failed call may have put up a prompt.
func prompted(err error) bool {
	told, ok := errors.AsType[*answered](err)
	return ok && told.asked || errors.Is(err, ErrLocked) || errors.Is(err, ErrTimeout)
}

// try makes the call, a second time when the helper was killed: it does no harm
// to make any of the calls twice.
func (r *remote) try(ctx context.Context, q request) (secret string, err error) {
	for range 2 {
		if r.life.Err() != nil {
			return "", errClosed
		}
		if r.run == nil {
			if r.run, err = start(r.command()); err != nil {
				return "", fmt.Errorf("%w: %w", errHelper, err)
			}
		}
		var answer response
		if answer, err = r.run.ask(ctx, q); err == nil {
			return string(answer.Secret), answer.err()
		}
		r.drop()
		if ctx.Err() != nil && r.life.Err() == nil {
			return "", fmt.Errorf("%w: the keychain's prompt was not answered", ErrTimeout)
		}
	}
	return "", fmt.Errorf("%w: it ended in the middle of a call (%w)", errHelper, err)
}

func (r *remote) drop() {
	if r.run != nil {
		r.run.kill()
		r.run = nil
	}
}

// rest ends a helper that nobody has needed for a while.
func (r *remote) rest() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop()
}

// close ends the helper, even in the middle of a call.
func (r *remote) close() {
	r.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle.Stop()
	r.drop()
}

// running is a helper's process.
type running struct {
	cmd  *exec.Cmd
	in   io.Closer
	to   *json.Encoder
	from *json.Decoder
}

func start(cmd *exec.Cmd) (*running, error) {
	if os.Getenv(helperMark) != "" {
		return nil, errors.New("a helper cannot start another; does main call keystore.Helper?")
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &running{cmd, in, json.NewEncoder(in), json.NewDecoder(out)}, nil
}

// ask gets an answer. After an error the process cannot be used any more.
func (p *running) ask(ctx context.Context, q request) (answer response, err error) {
	stop := context.AfterFunc(ctx, func() { p.cmd.Process.Kill() })
	if err = p.to.Encode(q); err == nil { // #nosec G117 -- the pipe to our helper is where secrets go
		err = p.from.Decode(&answer)
	}
	if !stop() {
		err = ctx.Err()
	}
	return answer, err
}

// kill ends the process and waits for it.
func (p *running) kill() {
	p.in.Close()
	p.cmd.Process.Kill()
	p.cmd.Wait()
}
