package keystore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	ss "github.com/zalando/go-keyring/secret_service"
)

// On Linux and its like a call may put up an unlock prompt, during which
// go-keyring can neither be stopped nor be kept from leaving a signal channel
// on the process's shared D-Bus connection, which a tray icon needs too. So the
// calls are made in a process of their own, which can be ended: the program
// starts itself again, and both sides speak JSON lines over the helper's
// standard input and output. No secret goes any other way.

const (
	helperArgument = "keychain-helper"
	helperMark     = "WAXSEAL_KEYCHAIN_HELPER" // in the environment of a helper
	helperIdle     = 30 * time.Second          // then it is ended, to cost no memory

	// promptLimit is how long a prompt stays open; ending the helper takes it
	// off the screen. Callers have left long before, at callLimit.
	promptLimit = 2 * time.Minute
	// promptPause is how long nobody is asked after a prompt that was dismissed
	// or left alone. That the keychain was opened otherwise is still noticed.
	promptPause = 5 * time.Minute
)

// helperEnv is all that a helper inherits: how to find the bus, and the
// program's libraries. Without a PATH no bus can be started by mistake.
var helperEnv = []string{"DBUS_SESSION_BUS_ADDRESS", "HOME", "LD_LIBRARY_PATH"}

// request asks a helper for one call on an item.
type request struct {
	Op      string // "get", "set" or "delete"
	Service string
	Key     string
	Secret  []byte `json:",omitempty"`
	Quiet   bool   `json:",omitempty"` // answer ErrLocked rather than prompt
}

// response is its answer. Kind is a word of helperKinds, "" for success.
type response struct {
	Secret []byte `json:",omitempty"`
	Kind   string `json:",omitempty"`
	Text   string `json:",omitempty"`
}

var helperKinds = map[string]error{
	"not found": ErrNotFound, "locked": ErrLocked, "denied": ErrDenied, "missing": ErrMissing,
	"timeout": ErrTimeout, "unavailable": ErrUnavailable,
}

// answered is an error as a helper told it.
type answered struct {
	text string
	kind error
}

func (e *answered) Error() string { return e.text }
func (e *answered) Unwrap() error { return e.kind }

// Helper is to be called first of all in main, with [os.Args], by every program
// that uses [System]. It returns at once, unless this process was started by
// System as its helper: then it serves, and ends the process.
func Helper(args []string) {
	if len(args) != 2 || args[1] != helperArgument || os.Getenv(helperMark) == "" {
		return
	}
	nameProcess()
	noCore()
	// A Ctrl-C or a service manager's signal is for the program, which still
	// stores what it has to and then closes the helper's input.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	requests := make(chan request)
	go func() {
		for from := json.NewDecoder(os.Stdin); ; {
			var r request
			if from.Decode(&r) != nil {
				os.Exit(0) // the program has ended, or has done without; a prompt goes too
			}
			requests <- r
		}
	}()
	for to := json.NewEncoder(os.Stdout); ; {
		if to.Encode(serve(<-requests)) != nil { // #nosec G117 -- the pipe to our parent is where secrets go
			os.Exit(0)
		}
	}
}

// serve makes one call.
func serve(q request) (answer response) {
	ctx, r := context.Background(), ring{q.Service}
	err := protect(ctx, func(context.Context) error {
		if q.Quiet {
			if err := r.call(unlocked); err != nil {
				return err
			}
		}
		switch q.Op {
		case "get":
			secret, err := r.get(ctx, q.Key)
			answer.Secret = []byte(secret)
			return err
		case "set":
			return r.set(ctx, q.Key, string(q.Secret))
		case "delete":
			return r.delete(ctx, q.Key)
		}
		return fmt.Errorf("%w: no call %q", ErrUnavailable, q.Op)
	})
	if err == nil {
		return answer
	}
	answer = response{Kind: "unavailable", Text: err.Error()}
	for word, kind := range helperKinds {
		if kind != ErrUnavailable && errors.Is(err, kind) {
			answer.Kind = word
		}
	}
	return answer
}

// unlocked tells, without asking anybody, whether go-keyring's collection is
// open.
func unlocked() error {
	service, err := ss.NewSecretService()
	if err != nil {
		return err
	}
	locked, err := service.GetLoginCollection().GetProperty("org.freedesktop.Secret.Collection.Locked")
	if err == nil && locked.Value() == true {
		err = fmt.Errorf("%w: nobody unlocked it when last asked, and the next prompt comes some minutes later", ErrLocked)
	}
	return err
}

// remote is the keychain as a helper reaches it.
type remote struct {
	service string
	command func() *exec.Cmd
	life    context.Context // ends with close
	end     context.CancelFunc

	mu    sync.Mutex // held for a call; the helper serves one at a time
	run   *running   // nil when no helper runs
	idle  *time.Timer
	quiet time.Time // nobody is asked before
}

func newRemote(service string) *remote {
	r := &remote{service: service, command: helperCommand}
	r.life, r.end = context.WithCancel(context.Background())
	r.idle = time.AfterFunc(helperIdle, r.rest)
	return r
}

// helperCommand starts this very program again, also when an update has put
// another one in its place on disk.
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

	q.Service, q.Quiet = r.service, time.Now().Before(r.quiet)
	secret, err := r.try(ctx, q)
	switch {
	case err == nil, errors.Is(err, ErrNotFound):
		r.quiet = time.Time{}
	case !q.Quiet && (errors.Is(err, ErrLocked) || errors.Is(err, ErrTimeout)):
		r.quiet = time.Now().Add(promptPause)
		r.drop() // with what go-keyring leaves behind after a prompt
	}
	return secret, err
}

// try makes the call, a second time when the helper was killed: each call may
// be made twice.
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
			if answer.Kind != "" {
				err = &answered{answer.Text, helperKinds[answer.Kind]}
			}
			return string(answer.Secret), err
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

// close ends the helper, in a call too.
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
		return nil, errors.New("a helper starts no other; does main call keystore.Helper?")
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

// ask gets an answer. After an error the process is of no use any more.
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
