// Package signin keeps the sign-ins of an engine going, whoever watches them.
//
// A sign-in belongs to a [Desk] and not to the window or the command that asked for it: it goes on
// when they leave, and anyone who asks for the same one joins it and sees all of it from the start.
// It ends by its own limit, by [Desk.Cancel], or with the Desk.
package signin

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/waxseal/waxseal/proxy/api"
)

var (
	// ErrCancelled says that somebody cancelled the sign-in.
	ErrCancelled = errors.New("the sign-in was cancelled")
	// ErrOtherWay ends a way whose user has approved in another way.
	ErrOtherWay = errors.New("the account was approved another way")
	// ErrStopping says that the Desk was closed.
	ErrStopping = errors.New("the program is stopping")
)

// Work is what a sign-in does. The functions get a context that ends when the sign-in is to end.
type Work struct {
	// Begin runs once, before the first way. If it fails, so does the sign-in.
	Begin func(ctx context.Context) error
	// Run asks the user in one way, and reports whether they have approved.
	Run func(ctx context.Context, show func(api.Prompt)) (approved bool, err error)
	// Undo runs after the last way has ended, if Begin worked and nobody has approved. Its context
	// does not end.
	Undo func(ctx context.Context)
}

// Desk has all sign-ins that are going on. The zero value is ready.
type Desk struct {
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	all    map[string]*signIn // by account
}

// signIn is the sign-in of one account. It has one or more ways, the first of which to succeed
// decides.
type signIn struct {
	begun chan struct{} // closed when Begin has ended
	err   error         // of Begin
	over  chan struct{} // closed when everything has ended
	undo  func(context.Context)

	ways     map[string]*way // guarded by the Desk's mu, like what follows
	left     int             // ways that have not ended
	approved bool
	result   error // of the way that was approved
}

// way is one way in which the user is asked: in the browser, or with a code.
type way struct {
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	prompts  []api.Prompt
	more     chan struct{} // closed at the next change of what is guarded here
	ended    bool
	approved bool
	err      error
}

// Join asks for a sign-in of an account in one way, and begins it unless it is going on. It calls
// show with everything that there is to show, until the sign-in ends. If ctx ends first, or show
// fails, the sign-in goes on.
func (d *Desk) Join(ctx context.Context, account, by string, work Work, show func(api.Prompt) error) (approved bool, err error) {
	w, joined, err := d.way(ctx, account, by, work)
	if err != nil {
		return false, err
	}
	if joined {
		if err := show(api.Prompt{Joined: true}); err != nil {
			return false, err
		}
	}
	for seen := 0; ; {
		w.mu.Lock()
		prompts, more, ended := w.prompts[seen:], w.more, w.ended
		approved, err = w.approved, w.err
		w.mu.Unlock()
		for _, p := range prompts {
			seen++
			if err := show(p); err != nil {
				return false, err
			}
		}
		if ended {
			return approved, err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// way finds or begins a way. It waits for the end of a sign-in that is being undone.
func (d *Desk) way(ctx context.Context, account, by string, work Work) (w *way, joined bool, err error) {
	for {
		d.mu.Lock()
		s := d.all[account]
		if d.closed {
			d.mu.Unlock()
			return nil, false, ErrStopping
		}
		if s == nil || s.left > 0 {
			defer d.mu.Unlock()
			if s != nil && s.ways[by] != nil {
				return s.ways[by], true, nil
			}
			return d.begin(s, account, by, work), false, nil
		}
		d.mu.Unlock()
		select {
		case <-s.over:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// begin starts a way, of a new sign-in if s is nil. The caller holds d.mu.
func (d *Desk) begin(s *signIn, account, by string, work Work) *way {
	first := s == nil
	if first {
		s = &signIn{begun: make(chan struct{}), over: make(chan struct{}), undo: work.Undo, ways: map[string]*way{}}
		if d.all == nil {
			d.all = map[string]*signIn{}
		}
		d.all[account] = s
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	w := &way{cancel: cancel, more: make(chan struct{})}
	s.ways[by] = w
	s.left++
	d.running.Go(func() {
		defer cancel(nil)
		if first {
			s.err = work.Begin(ctx)
			close(s.begun)
		}
		<-s.begun
		approved, err := false, s.err
		if err == nil {
			approved, err = work.Run(ctx, w.show)
		}
		if why := context.Cause(ctx); err != nil && why != nil && !errors.Is(err, why) && errors.Is(err, context.Canceled) {
			err = why
		}
		w.end(d.end(s, account, w, approved, err))
	})
	return w
}

// end takes a way out of its sign-in, and gives its result. After an approval that is the approval's,
// however this way ended. With the last way the sign-in ends.
func (d *Desk) end(s *signIn, account string, w *way, approved bool, err error) (bool, error) {
	d.mu.Lock()
	s.left--
	last := s.left == 0
	switch {
	case s.approved:
		approved, err = true, s.result
	case approved:
		s.approved, s.result = true, err
		for _, other := range s.ways {
			if other != w {
				other.cancel(ErrOtherWay)
			}
		}
	}
	d.mu.Unlock()
	if !last {
		return approved, err
	}
	if s.err == nil && !s.approved {
		s.undo(context.Background())
	}
	d.mu.Lock()
	delete(d.all, account)
	d.mu.Unlock()
	close(s.over)
	return approved, err
}

// Cancel ends the sign-in of an account, if there is one, and waits until it has ended.
func (d *Desk) Cancel(ctx context.Context, account string) error {
	d.mu.Lock()
	s := d.all[account]
	if s != nil {
		for _, w := range s.ways {
			w.cancel(ErrCancelled)
		}
	}
	d.mu.Unlock()
	if s == nil {
		return nil
	}
	select {
	case <-s.over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends all sign-ins and waits until they have ended. No other one begins.
func (d *Desk) Close() {
	d.mu.Lock()
	d.closed = true
	for _, s := range d.all {
		for _, w := range s.ways {
			w.cancel(ErrStopping)
		}
	}
	d.mu.Unlock()
	d.running.Wait()
}

// show adds a prompt for all who watch.
func (w *way) show(p api.Prompt) {
	w.change(func() { w.prompts = append(slices.Clip(w.prompts), p) })
}

func (w *way) end(approved bool, err error) {
	w.change(func() { w.ended, w.approved, w.err = true, approved, err })
}

func (w *way) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.more)
	w.more = make(chan struct{})
}
