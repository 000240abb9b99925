package signin

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/proxy/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const me = "me@corp.example"

// user is whom the work of a test asks.
type user struct {
	mu   sync.Mutex
	told []string

	decide chan error // nil approves
}

func (u *user) note(what string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.told = append(u.told, what)
}

func (u *user) heard() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.told)
}

// work asks the user, who sees a page.
func (u *user) work(page string) Work {
	return Work{
		Begin: func(context.Context) error { u.note("begin"); return nil },
		Run: func(ctx context.Context, show func(api.Prompt)) (bool, error) {
			show(api.Prompt{URL: page})
			select {
			case err := <-u.decide:
				return err == nil, err
			case <-ctx.Done():
				return false, context.Cause(ctx)
			}
		},
		Undo: func(context.Context) { u.note("undo") },
	}
}

// joined is somebody who has joined.
type joined struct {
	shown chan api.Prompt
	end   chan error
	leave context.CancelFunc
}

func join(t *testing.T, d *Desk, by string, w Work) *joined {
	ctx, cancel := context.WithCancel(t.Context())
	j := &joined{shown: make(chan api.Prompt, 8), end: make(chan error, 1), leave: cancel}
	go func() {
		_, err := d.Join(ctx, me, by, w, func(p api.Prompt) error { j.shown <- p; return nil })
		j.end <- err
	}()
	t.Cleanup(cancel)
	return j
}

// A sign-in ended with the window that had begun it.
func TestLeavingDoesNotEndIt(t *testing.T) {
	var d Desk
	u := &user{decide: make(chan error)}
	first := join(t, &d, "browser", u.work("https://one"))
	<-first.shown
	first.leave()
	if err := <-first.end; !errors.Is(err, context.Canceled) {
		t.Errorf("who has left hears %v", err)
	}
	second := join(t, &d, "browser", u.work("https://two"))
	if p := <-second.shown; !p.Joined {
		t.Errorf("the second one is shown %+v, and not that it joins", p)
	}
	if p := <-second.shown; p.URL != "https://one" {
		t.Errorf("the second one is shown %+v", p)
	}
	u.decide <- nil
	if err := <-second.end; err != nil {
		t.Error(err)
	}
	d.Close()
	if got := u.heard(); !slices.Equal(got, []string{"begin"}) {
		t.Errorf("it did %q", got)
	}
}

// What was added is gone when those who wait hear of the end.
func TestCancel(t *testing.T) {
	var d Desk
	u := &user{decide: make(chan error)}
	if err := d.Cancel(t.Context(), me); err != nil {
		t.Errorf("without a sign-in: %v", err)
	}
	j := join(t, &d, "browser", u.work("https://one"))
	<-j.shown
	if err := d.Cancel(t.Context(), me); err != nil {
		t.Fatal(err)
	}
	if err := <-j.end; !errors.Is(err, ErrCancelled) {
		t.Errorf("ended with %v", err)
	}
	if got := u.heard(); !slices.Equal(got, []string{"begin", "undo"}) {
		t.Errorf("it did %q", got)
	}
	d.Close()
	if _, err := d.Join(t.Context(), me, "browser", u.work(""), func(api.Prompt) error { return nil }); !errors.Is(err, ErrStopping) {
		t.Errorf("after the end: %v", err)
	}
}

// The user approves in one way; the other one ends, and nothing is undone.
func TestOneWayDecides(t *testing.T) {
	var d Desk
	u, other := &user{decide: make(chan error)}, &user{decide: make(chan error)}
	page := join(t, &d, "browser", u.work("https://one"))
	<-page.shown
	code := join(t, &d, "code", other.work("https://code"))
	<-code.shown
	u.decide <- nil
	if err := <-page.end; err != nil {
		t.Error(err)
	}
	if err := <-code.end; err != nil {
		t.Errorf("who watches the other way hears %v", err)
	}
	d.Close()
	if got := append(u.heard(), other.heard()...); !slices.Equal(got, []string{"begin"}) {
		t.Errorf("they did %q", got)
	}
}

// One way fails; the other goes on, and may still succeed.
func TestAWayFails(t *testing.T) {
	var d Desk
	u, other := &user{decide: make(chan error)}, &user{decide: make(chan error)}
	page := join(t, &d, "browser", u.work("https://one"))
	<-page.shown
	code := join(t, &d, "code", other.work("https://code"))
	<-code.shown
	errNone := errors.New("no code")
	other.decide <- errNone
	if err := <-code.end; !errors.Is(err, errNone) {
		t.Errorf("the way ended with %v", err)
	}
	if got := u.heard(); !slices.Equal(got, []string{"begin"}) {
		t.Errorf("it did %q while a way goes on", got)
	}
	u.decide <- nil
	if err := <-page.end; err != nil {
		t.Error(err)
	}
	d.Close()
}

func TestBeginFails(t *testing.T) {
	var d Desk
	errFull := errors.New("no space")
	w := (&user{}).work("")
	w.Begin = func(context.Context) error { return errFull }
	w.Undo = func(context.Context) { t.Error("what was not begun is undone") }
	if _, err := d.Join(t.Context(), me, "browser", w, func(api.Prompt) error { return nil }); !errors.Is(err, errFull) {
		t.Errorf("Join = %v", err)
	}
	d.Close()
}

// A second try waits until the first one has been undone.
func TestTryAgainWhileItIsUndone(t *testing.T) {
	var d Desk
	u := &user{decide: make(chan error)}
	w := u.work("https://one")
	undoing, undone := make(chan struct{}), make(chan struct{})
	w.Undo = func(context.Context) {
		close(undoing)
		<-undone
		u.note("undo")
	}
	first := join(t, &d, "browser", w)
	<-first.shown
	u.decide <- errors.New("declined")
	<-undoing
	second := join(t, &d, "browser", u.work("https://two"))
	close(undone)
	if p := <-second.shown; p.URL != "https://two" {
		t.Errorf("the second try is shown %+v", p)
	}
	u.decide <- nil
	if err := <-second.end; err != nil {
		t.Error(err)
	}
	d.Close()
	if got := u.heard(); !slices.Equal(got, []string{"begin", "undo", "begin"}) {
		t.Errorf("they did %q", got)
	}
}
