package imapd

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/waxseal/waxseal/proxy/mailbox"
)

const (
	spareAfter = 10 * time.Minute // two logins within it make a spare worthwhile
	spareFor   = 5 * time.Minute  // how long a spare is kept
	spareToken = 30 * time.Minute // what its token must have left
)

// spares keeps a connection for each account that logs in often, logged in and never used by a mail program, so
// that the next login need not wait for the provider. A connection that was used is never kept: what it has
// selected and enabled would be the next program's. The zero value is not usable; see newSpares.
type spares struct {
	connect func(ctx context.Context, b account) (*link, error)

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	closed bool
	kept   map[string]*spare    // by address; one without a link is being made
	logins map[string]time.Time // the last login, by address
}

// spare is a connection in waiting. A goroutine reads it: whatever comes makes it unusable.
type spare struct {
	box   account
	link  *link
	until time.Time
	ended chan struct{} // the goroutine has ended
	err   error         // of its read
}

func newSpares(connect func(ctx context.Context, b account) (*link, error)) *spares {
	ctx, cancel := context.WithCancel(context.Background())
	return &spares{connect: connect, ctx: ctx, cancel: cancel, kept: make(map[string]*spare), logins: make(map[string]time.Time)}
}

// take gives the account's spare, nil if there is none that is good. token is the account's at this time.
func (s *spares) take(b account, token string) *link {
	s.mu.Lock()
	sp := s.kept[b.Address()]
	if sp == nil || sp.link == nil {
		s.mu.Unlock()
		return nil
	}
	delete(s.kept, b.Address())
	s.mu.Unlock()
	sp.link.conn.SetReadDeadline(time.Unix(1, 0))
	<-sp.ended
	if !errors.Is(sp.err, os.ErrDeadlineExceeded) || !time.Now().Before(sp.until) || sp.link.token != token || sp.box.Removed() ||
		sp.link.conn.SetReadDeadline(time.Time{}) != nil {
		sp.link.conn.Close()
		return nil
	}
	return sp.link
}

// loggedIn says that a mail program has logged in, and makes a spare if that happens often. room reports
// whether the provider's limit of connections allows one.
func (s *spares) loggedIn(b account, room bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.logins[b.Address()]
	s.logins[b.Address()] = time.Now()
	if !room {
		s.drop(b.Address())
		return
	}
	if s.closed || s.kept[b.Address()] != nil || last.IsZero() || time.Since(last) > spareAfter {
		return
	}
	sp := &spare{box: b, ended: make(chan struct{})}
	s.kept[b.Address()] = sp
	s.work.Go(func() { s.keep(b, sp) })
}

// keep makes a spare and reads it until it ends.
func (s *spares) keep(b account, sp *spare) {
	defer close(sp.ended)
	ctx, cancel := context.WithTimeout(s.ctx, mailbox.LoginTimeout)
	l, err := s.connect(ctx, b)
	cancel()
	s.mu.Lock()
	if err != nil || s.kept[b.Address()] != sp || b.Removed() {
		s.forget(b.Address(), sp)
		s.mu.Unlock()
		if err == nil {
			l.conn.Close()
		}
		return
	}
	sp.until = time.Now().Add(spareFor)
	if end := l.expiry.Add(-spareToken); !l.expiry.IsZero() && end.Before(sp.until) {
		sp.until = end
	}
	l.conn.SetReadDeadline(sp.until)
	sp.link = l
	b.Spare(true)
	s.mu.Unlock()
	defer b.Spare(false)
	_, sp.err = l.conn.Read(make([]byte, 1))
	if sp.err == nil {
		sp.err = errors.New("the provider said something")
	}
	s.mu.Lock()
	unused := s.forget(b.Address(), sp)
	s.mu.Unlock()
	switch {
	case unused && errors.Is(sp.err, os.ErrDeadlineExceeded): // it has become old
		l.logOut()
	case unused:
		l.conn.Close()
	}
}

// forget reports whether sp was still kept. The lock must be held.
func (s *spares) forget(address string, sp *spare) bool {
	if s.kept[address] != sp {
		return false
	}
	delete(s.kept, address)
	return true
}

// drop closes an account's spare. The lock must be held.
func (s *spares) drop(address string) {
	if sp := s.kept[address]; sp != nil {
		delete(s.kept, address)
		if sp.link != nil {
			sp.link.conn.Close()
		}
	}
}

// dropRemoved closes the spares of accounts that were removed or changed.
func (s *spares) dropRemoved() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for address, sp := range s.kept {
		if sp.box.Removed() {
			s.drop(address)
		}
	}
}

// dropAll closes all spares, as after sleep or a change of network.
func (s *spares) dropAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for address := range s.kept {
		s.drop(address)
	}
}

// close closes all spares and makes no more. It returns when nothing is left, or ctx ends.
func (s *spares) close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.dropAll()
	done := make(chan struct{})
	go func() { s.work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
