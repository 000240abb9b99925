package upstream

import (
	"context"
	"sync/atomic"
	"time"
)

// Interrupter is a body whose Read may wait long for a slow client. When the provider refuses the
// message before its end, Interrupt is called, on another goroutine than Read's: the Read in progress,
// if there is one, should return soon, with any error, so that the refusal need not wait. Interrupt is
// not called after [Transaction.Data] has returned.
type Interrupter interface{ Interrupt() }

// listener hears what the provider says while a body that takes more than one piece goes up. Providers
// refuse a body half-way (552 for its size, 421), and may then read no further, or hang up: whoever
// only writes would hear it after minutes, or never. The connection's reader and read deadline are the
// listener's until end.
type listener struct {
	c     *conn
	body  any
	heard chan heard   // closed when the listener ends
	due   atomic.Int64 // how many replies have been asked for
	all   atomic.Bool  // no more will be asked for
	over  atomic.Bool  // nothing more is to be sent
	got   int64        // how many replies were received
	last  bool         // no more will be
	until time.Time    // the write deadline
}

// heard is one reply, or why there is none.
type heard struct {
	Reply
	err   error
	early bool // it ended the body before its end
	cut   bool // the reply broke off
}

// listen starts a listener, which is ended by end. body may be an [Interrupter].
func (c *conn) listen(body any) *listener {
	c.raw.SetReadDeadline(time.Time{}) // the client may take its time
	c.until = time.Time{}
	l := &listener{c: c, body: body, heard: make(chan heard, window+2)}
	go l.run()
	return l
}

func (l *listener) run() {
	defer close(l.heard)
	for n := int64(1); ; n++ {
		var h heard
		h.Reply, h.err = l.c.readReply(nil)
		if h.cut = h.err != nil && h.refusal(); h.cut {
			h.err = nil
		}
		if h.err == nil && !h.refusal() && n > l.due.Load() {
			h.err = ErrOutOfTurn
		}
		bad := h.err != nil || !h.ok()
		h.early = bad && !l.all.Load()
		l.heard <- h
		if h.early {
			l.over.Store(true)
			l.c.raw.SetWriteDeadline(longAgo)
			if body, ok := l.body.(Interrupter); ok {
				body.Interrupt()
			}
		}
		if bad || l.all.Load() && n == l.due.Load() {
			return
		}
	}
}

// write sends a piece of the body that replies more replies are due for; last, if it is the last.
func (l *listener) write(ctx context.Context, p []byte, replies int64, last bool) error {
	l.due.Add(replies)
	l.all.Store(last) // after due: the listener must not take the reply before for the last
	d := min(l.c.timeout, blockTimeout)
	if want := time.Now().Add(d); want.Sub(l.until) > d/64 {
		l.c.raw.SetWriteDeadline(want)
		l.until = want
	}
	// After the deadline is set, since either may have cut the connection just before.
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.over.Load() {
		return errBrokeOff
	}
	_, err := l.c.rw.Write(p)
	return inTime(err, d)
}

// next waits at most d for the next reply.
func (l *listener) next(ctx context.Context, d time.Duration) heard {
	if h, ok := l.poll(); ok {
		return h
	}
	l.c.raw.SetReadDeadline(time.Now().Add(d))
	if ctx.Err() != nil {
		l.c.raw.SetReadDeadline(longAgo)
	}
	h := l.received(<-l.heard)
	h.err = inTime(h.err, d)
	if !l.last {
		l.c.raw.SetReadDeadline(time.Time{})
	}
	return h
}

// poll gives a reply that has arrived.
func (l *listener) poll() (heard, bool) {
	select {
	case h, ok := <-l.heard:
		if ok {
			return l.received(h), true
		}
	default:
	}
	return heard{}, false
}

func (l *listener) received(h heard) heard {
	l.got++
	l.last = h.err != nil || !h.ok() || l.all.Load() && l.got == l.due.Load()
	l.c.broken = l.c.broken || h.early || h.cut || h.err != nil || h.Code == 421
	l.c.used = time.Now()
	return h
}

// lastWords waits a moment for what a server that hung up in the middle of a body, or reads no further,
// has said, and gives the last of it.
func (l *listener) lastWords() (last heard) {
	l.c.raw.SetReadDeadline(time.Now().Add(goodbye))
	for h := range l.heard {
		last = l.received(h)
	}
	return last
}

// end waits for the listener's end and gives the connection's reader back.
func (l *listener) end() {
	if !l.last {
		l.c.raw.SetReadDeadline(longAgo)
	}
	for range l.heard {
	}
	l.c.until = time.Time{}
}
