package keystore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"go.uber.org/goleak"
)

// An unlock prompt needs a screen and a person. Here our own Secret Service plays
// both, on a real bus and with the real go-keyring.

func init() {
	helpers["prompt"] = promptSteps
	helpers["orphan"] = orphan
}

func TestUnlockPrompt(t *testing.T) { onBus(t, "prompt", plainBus) }

// locksmith is as much of the Secret Service API (draft 0.2) as reading one item
// needs: a locked collection, an unlock prompt, an item.
type locksmith struct {
	conn     *dbus.Conn
	prompted chan string // for each prompt the bus name of the client that wants it
	open     chan bool   // holds whether the collection is unlocked
}

const (
	promptPath = dbus.ObjectPath("/org/freedesktop/secrets/prompt/p")
	itemPath   = dbus.ObjectPath("/org/freedesktop/secrets/collection/login/1")
	noPath     = dbus.ObjectPath("/")
)

type wireSecret struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

func (l *locksmith) Get(_, property string) (dbus.Variant, *dbus.Error) {
	if property == "Locked" {
		open := <-l.open
		l.open <- open
		return dbus.MakeVariant(!open), nil
	}
	return dbus.MakeVariant([]dbus.ObjectPath{loginPath}), nil // Collections
}

func (l *locksmith) set(open bool) {
	<-l.open
	l.open <- open
}

func (l *locksmith) Unlock(paths []dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	open := <-l.open
	l.open <- open
	if open {
		return paths, noPath, nil
	}
	return nil, promptPath, nil
}

func (l *locksmith) Prompt(sender dbus.Sender, _ string) *dbus.Error {
	l.prompted <- string(sender)
	return nil
}

func (l *locksmith) SearchItems(map[string]string) ([]dbus.ObjectPath, *dbus.Error) {
	return []dbus.ObjectPath{itemPath}, nil
}

func (l *locksmith) OpenSession(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	return dbus.MakeVariant(""), "/org/freedesktop/secrets/session/s", nil
}

func (l *locksmith) GetSecret(session dbus.ObjectPath) (wireSecret, *dbus.Error) {
	return wireSecret{Session: session, Value: []byte("the secret"), ContentType: "text/plain"}, nil
}

func (l *locksmith) Close() *dbus.Error { return nil }

// answer is the person at the prompt.
func (l *locksmith) answer(unlock bool) error {
	result := dbus.MakeVariant([]dbus.ObjectPath{})
	if unlock {
		l.set(true)
		result = dbus.MakeVariant([]dbus.ObjectPath{loginPath})
	}
	return l.conn.Emit(promptPath, "org.freedesktop.Secret.Prompt.Completed", !unlock, result)
}

func startLocksmith() (*locksmith, error) {
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		return nil, err
	}
	l := &locksmith{conn: conn, prompted: make(chan string, 8), open: make(chan bool, 1)}
	l.open <- false
	for path, faces := range map[dbus.ObjectPath][]string{
		"/org/freedesktop/secrets":           {"org.freedesktop.Secret.Service", "org.freedesktop.DBus.Properties"},
		loginPath:                            {"org.freedesktop.Secret.Collection", "org.freedesktop.DBus.Properties"},
		itemPath:                             {"org.freedesktop.Secret.Item"},
		promptPath:                           {"org.freedesktop.Secret.Prompt"},
		"/org/freedesktop/secrets/session/s": {"org.freedesktop.Secret.Session"},
	} {
		for _, face := range faces {
			if err := conn.Export(l, path, face); err != nil {
				return nil, err
			}
		}
	}
	_, err = conn.RequestName("org.freedesktop.secrets", dbus.NameFlagDoNotQueue)
	return l, err
}

// rig is the locksmith with a Store that uses it.
type rig struct {
	*locksmith
	store  *Store
	guard  *guard
	remote *remote
	names  chan *dbus.Signal // clients that join the bus and leave it
	before goleak.Option     // the goroutines from before the store was used
}

func newRig() (*rig, error) {
	l, err := startLocksmith()
	if err != nil {
		return nil, err
	}
	s := System(testService)
	b := s.backend.(*system)
	r := &rig{l, s, b.guard, b.secrets.items.(*remote), make(chan *dbus.Signal, 64), nil}
	l.conn.Signal(r.names)
	err = l.conn.AddMatchSignal(dbus.WithMatchMember("NameOwnerChanged"))
	r.before = goleak.IgnoreCurrent()
	return r, err
}

func promptSteps() error {
	r, err := newRig()
	if err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"unanswered", r.unanswered}, {"dismissed", r.dismissed}, {"answered", r.answered},
		{"what the helper has", r.inherited}, {"helper killed", r.killed}, {"program killed", r.programKilled},
		{"closed", r.closedWhilePrompted}, {"this process's bus", r.noOtherConnection}, {"bus gone", r.busGone},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// wants reads the secret until the answer is want.
func (r *rig) wants(want error) error {
	got, err := r.store.Get(context.Background(), "k")
	switch {
	case want == nil && (err != nil || got != "the secret"):
		return fmt.Errorf("got %q, %w", got, err)
	case !errors.Is(err, want), want != nil && Cure(err) == "":
		return fmt.Errorf("got %w, want %w", err, want)
	case len(r.prompted) > 0:
		return errors.New("there was a prompt")
	}
	return nil
}

// ask reads in the background, and waits for the prompt that this causes.
func (r *rig) ask() (asker string, answer chan error) {
	r.remote.mu.Lock()
	r.remote.quiet = time.Time{}
	r.remote.mu.Unlock()
	answer = make(chan error, 1)
	go func() {
		got, err := r.store.Get(context.Background(), "k")
		if err == nil && got != "the secret" {
			err = fmt.Errorf("got %q", got)
		}
		answer <- err
	}()
	return <-r.prompted, answer
}

// gone waits until a client has left the bus.
func (r *rig) gone(name string) {
	for s := range r.names {
		if s.Body[0] == name && s.Body[2] == "" {
			return
		}
	}
}

// No caller waits for a prompt that stays open, no second prompt appears, and in the
// end the first one disappears. Then nobody is asked again for a while, but the
// keychain is used as soon as it has been unlocked in another way.
func (r *rig) unanswered() error {
	limit, stop := r.guard.limit, r.guard.stop
	r.guard.limit, r.guard.stop = 200*time.Millisecond, 2*time.Second
	asker, answer := r.ask()
	if err := <-answer; !errors.Is(err, ErrTimeout) {
		return err
	}
	for range 50 {
		if err := r.wants(ErrTimeout); err != nil {
			return err
		}
	}
	r.gone(asker)
	r.settle()
	r.guard.limit, r.guard.stop = limit, stop
	for range 50 {
		if err := r.wants(ErrLocked); err != nil {
			return fmt.Errorf("in the pause: %w", err)
		}
	}
	r.set(true)
	err := r.wants(nil)
	r.set(false)
	return err
}

func (r *rig) dismissed() error {
	_, answer := r.ask()
	if err := r.answer(false); err != nil {
		return err
	}
	if err := <-answer; !errors.Is(err, ErrLocked) {
		return err
	}
	for range 50 {
		if err := r.wants(ErrLocked); err != nil {
			return fmt.Errorf("again: %w", err)
		}
	}
	return r.unlocked()
}

// unlocked: in the pause after a dismissed prompt, a look at the keychain brings up none, and
// Unlock brings it up at once.
func (r *rig) unlocked() error {
	if err := r.store.Look(context.Background()); !errors.Is(err, ErrLocked) || len(r.prompted) > 0 {
		return fmt.Errorf("a look answers %w, with %d prompts", err, len(r.prompted))
	}
	for range 2 {
		answer := make(chan error, 1)
		go func() { answer <- r.store.Unlock(context.Background()) }()
		<-r.prompted
		if err := r.answer(false); err != nil {
			return err
		}
		if err := <-answer; !errors.Is(err, ErrLocked) {
			return fmt.Errorf("unlock answers %w", err)
		}
	}
	return nil
}

// The call that waited gets its secret, and so do all later ones.
func (r *rig) answered() error {
	_, answer := r.ask()
	return errors.Join(r.answer(true), <-answer, r.wants(nil))
}

// settle waits until no call is in progress.
func (r *rig) settle() {
	r.guard.turn <- struct{}{}
	<-r.guard.turn
}

func (r *rig) helper() int {
	r.remote.mu.Lock()
	defer r.remote.mu.Unlock()
	return r.remote.run.cmd.Process.Pid
}

// inherited checks what others can see of the helper.
func (r *rig) inherited() error {
	proc := fmt.Sprintf("/proc/%d/", r.helper())
	words, err := os.ReadFile(proc + "cmdline")
	if want := os.Args[0] + "\x00" + helperArgument + "\x00"; string(words) != want || err != nil {
		return fmt.Errorf("its arguments are %q, %w", words, err)
	}
	env, err := os.ReadFile(proc + "environ")
	for entry := range strings.SplitSeq(strings.TrimRight(string(env), "\x00"), "\x00") {
		if name, _, _ := strings.Cut(entry, "="); name != helperMark && !slices.Contains(helperEnv, name) {
			return fmt.Errorf("its environment has %s", name)
		}
	}
	if name, _ := os.ReadFile(proc + "comm"); string(name) != "waxseal-keys\n" {
		return fmt.Errorf("its name is %q", name)
	}
	limits, errLimits := os.ReadFile(proc + "limits")
	if !regexp.MustCompile(`(?m)^Max core file size +1 +1 |^Max core file size +0 +0 `).Match(limits) {
		return fmt.Errorf("a core dump is allowed: %s", limits)
	}
	return errors.Join(err, errLimits)
}

func (r *rig) killed() error {
	for range 3 {
		if err := syscall.Kill(r.helper(), syscall.SIGKILL); err != nil {
			return err
		}
		if err := r.wants(nil); err != nil {
			return fmt.Errorf("between calls: %w", err)
		}
	}
	r.set(false)
	asker, answer := r.ask()
	pid, err := r.pid(asker)
	if err != nil {
		return err
	}
	syscall.Kill(pid, syscall.SIGKILL)
	if again := <-r.prompted; again == asker {
		return errors.New("it is still there")
	}
	return errors.Join(r.answer(true), <-answer, r.wants(nil))
}

// pid is the process that has a bus name.
func (r *rig) pid(name string) (pid int, err error) {
	err = r.conn.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixProcessID", 0, name).Store(&pid)
	return pid, err
}

// programKilled kills a program that waits for a prompt, as kill -9 does, after an
// update has removed its file. The helper ends too, and the prompt disappears.
func (r *rig) programKilled() error {
	r.set(false)
	dir, err := os.MkdirTemp("", "keystore")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "orphan")
	if err := exec.Command("cp", fmt.Sprintf("/proc/%d/exe", os.Getpid()), path).Run(); err != nil {
		return err
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), helperVariable+"=orphan")
	if err := cmd.Start(); err != nil {
		return err
	}
	asker := <-r.prompted // its helper, during a call
	cmd.Process.Kill()
	cmd.Wait()
	r.gone(asker)
	return nil
}

// orphan is the program that is killed.
func orphan() error {
	if err := os.Remove(os.Args[0]); err != nil {
		return err
	}
	_, err := System(testService).Get(context.Background(), "k")
	return fmt.Errorf("got %w without a prompt", err)
}

// closedWhilePrompted ends a Store whose prompt nobody answers.
func (r *rig) closedWhilePrompted() error {
	limit := r.guard.limit
	r.guard.limit = 200 * time.Millisecond
	asker, answer := r.ask()
	err := <-answer
	r.store.Close()
	r.gone(asker)
	r.settle()
	r.guard.limit = limit
	if !errors.Is(err, ErrTimeout) {
		return err
	}
	return r.wants(errClosed)
}

// noOtherConnection checks which connections this process has to the bus after all
// of that: only the locksmith's. A tray icon has the shared connection for itself.
func (r *rig) noOtherConnection() error {
	var names []string
	if err := r.conn.BusObject().Call("org.freedesktop.DBus.ListNames", 0).Store(&names); err != nil {
		return err
	}
	for _, name := range names {
		pid, err := r.pid(name)
		if err == nil && pid == os.Getpid() && name != r.conn.Names()[0] && name != "org.freedesktop.secrets" {
			return fmt.Errorf("this process has the connection %s too", name)
		}
	}
	return goleak.Find(r.before)
}

// busGone ends the bus while a prompt is open: go-keyring panics then.
func (r *rig) busGone() error {
	s := System(testService)
	defer s.Close()
	r.store, r.remote = s, s.backend.(*system).secrets.items.(*remote)
	_, answer := r.ask()
	bus, err := r.pid("org.freedesktop.DBus")
	if err != nil {
		return err
	}
	syscall.Kill(bus, syscall.SIGKILL)
	if err := <-answer; !errors.Is(err, ErrUnavailable) {
		return err
	}
	return r.wants(ErrMissing)
}
