// Package splice passes bytes between a mail program and a provider after the login, and
// changes none of them.
//
//	s := &splice.Splice{Client: program, Server: provider, FromServer: early, FromClient: pipelined}
//	end := s.Run(ctx)
//
// Each direction reads, shows the bytes to its observer, and writes them on before it reads more,
// so a slow reader slows its sender and memory stays flat. While a direction waits it holds 512 bytes;
// a buffer of 64 KiB is borrowed while bytes flow. A half-closed connection is passed on.
//
// Something of ours can be said to the client only at a boundary of the protocol, and the observer
// of what the server says knows where those are: see [Splice.Finish].
package splice

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

const (
	// afterClient is how long the server may be silent after the client has closed its side. It may
	// still work on a command; some servers never close.
	afterClient = time.Minute
	// afterServer is how long the client has to close after the server has, or after our last words.
	// To close at once would lose what is on its way to the client: with unread bytes, TCP resets.
	afterServer = 5 * time.Second
	// goodbye bounds the writing of our last words, and is how long the client has to close after them.
	goodbye = 2 * time.Second
)

// Splice is one pair of connections. Its fields are set before Run and not changed.
type Splice struct {
	Client net.Conn // the mail program, TCP or TLS
	Server net.Conn // the provider, TCP or TLS

	FromServer []byte // what the server has sent already; the client hears it first
	FromClient []byte // what the client has sent already

	// Down sees each piece from the server before the client gets it. It returns how much of p lies before the
	// last boundary in it: len(p) if p ends at one, -1 if there is none. Nil: every place is a boundary.
	Down func(p []byte) int
	// Up sees each piece from the client before the server gets it; it may be nil.
	Up func(p []byte)
	// Count is called with the bytes written on, down to the client or up to the server, as they go, from
	// two goroutines; it may be nil.
	Count func(down, up int64)
	// Farewell gives our last words to the client, when the session ends at a boundary and the client did
	// not end it; empty: none. It may be nil.
	Farewell func(by api.EndedBy) []byte

	ctx       context.Context // of Run
	down, up  atomic.Int64
	fromBelow source // the client
	fromAbove source // the server

	mu      sync.Mutex // held while the client is written to; guards the fields below
	started bool       // what had come before is written
	midway  bool       // the last byte was not at a boundary
	leaving api.EndedBy
	over    bool // nothing more is written to the client

	ending  sync.Mutex // guards the fields below
	end     *End
	closed  bool // Finish has no more effect
	helpers sync.WaitGroup
}

// End is how a splice ended.
type End struct {
	By       api.EndedBy // who ended it first
	Err      error       // what was met; nil after a proper close
	Down, Up int64       // bytes written on
}

// Run passes bytes until both directions have ended, and closes both connections. When ctx ends, it closes
// them at once.
func (s *Splice) Run(ctx context.Context) End {
	s.ctx, s.fromBelow.conn, s.fromAbove.conn = ctx, s.Client, s.Server
	cut := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(cut)
		s.note(api.ByWaxseal, nil)
		hangUp(s.Client)
		hangUp(s.Server)
	})
	var other sync.WaitGroup
	other.Go(s.runDown)
	s.runUp()
	other.Wait()
	if !unhook() {
		<-cut
	}
	s.ending.Lock()
	s.closed = true
	s.ending.Unlock()
	s.helpers.Wait()
	s.Server.Close()
	s.Client.Close()
	end := *s.end
	end.Down, end.Up = s.down.Load(), s.up.Load()
	return end
}

// Finish ends the splice at a boundary: at once if the last byte to the client was at one, else at the next.
// The client hears Farewell. Finish does not wait, may be called by any goroutine, before Run
// and after it, and more than once; the first call counts.
func (s *Splice) Finish(by api.EndedBy) {
	s.ending.Lock()
	defer s.ending.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.helpers.Go(func() {
		s.mu.Lock() // waits for a piece that is being written
		defer s.mu.Unlock()
		if s.over {
			return
		}
		s.leaving = by
		if s.started && !s.midway {
			s.leave(nil)
		}
	})
}

// note remembers the first reason. What breaks after the end of ctx broke because of it: its owner may have
// closed a connection.
func (s *Splice) note(by api.EndedBy, err error) {
	s.ending.Lock()
	defer s.ending.Unlock()
	if s.ctx.Err() != nil {
		by, err = api.ByWaxseal, context.Cause(s.ctx)
	}
	if s.end == nil {
		s.end = &End{By: by, Err: err}
	}
}

// runDown carries what the server says to the client.
func (s *Splice) runDown() {
	err := s.toClient(s.FromServer)
	if err == nil {
		err = s.fromAbove.pump(s.toClient)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if err == io.EOF {
		s.leaving = api.ByProvider
		s.say(nil) // it may still listen
		return
	}
	s.leaving = api.ByNetwork
	s.leave(err)
}

// toClient writes p to the client, or as much as lies before a boundary if that is where it ends.
func (s *Splice) toClient(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return net.ErrClosed
	}
	boundary := len(p)
	if s.Down != nil && len(p) > 0 {
		boundary = s.Down(p)
	}
	last := s.leaving != "" && boundary >= 0
	if last {
		p = p[:boundary]
	}
	s.started, s.midway = true, boundary != len(p)
	if len(p) > 0 {
		n, err := s.Client.Write(p)
		s.passed(int64(n), 0)
		if err != nil { // it is gone; what it sent before still goes up
			s.over = true
			s.note(api.ByProgram, err)
			s.fromBelow.within(afterServer)
			return err
		}
	}
	if last {
		s.leave(nil)
		return net.ErrClosed
	}
	return nil
}

// leave ends both directions; say's rules hold.
func (s *Splice) leave(err error) {
	s.say(err)
	s.Server.Close()
}

// say ends what the client hears, with our last words if they fit in. The lock must be held.
func (s *Splice) say(err error) {
	s.over = true
	s.note(s.leaving, err)
	if s.Farewell != nil && !s.midway {
		if words := s.Farewell(s.leaving); len(words) > 0 {
			s.Client.SetWriteDeadline(time.Now().Add(goodbye))
			s.Client.Write(words)
		}
	}
	wait := afterServer
	if s.leaving == api.ByWaxseal {
		wait = goodbye // a stop waits for it
	}
	s.fromBelow.within(wait)
	closeWrite(s.Client)
}

// runUp carries what the client says to the server.
func (s *Splice) runUp() {
	var err error
	if len(s.FromClient) > 0 {
		err = s.toServer(s.FromClient)
	}
	if err == nil {
		err = s.fromBelow.pump(s.toServer)
	}
	if refused, ok := err.(*writeError); ok {
		s.note(api.ByNetwork, refused.error)
		s.fromAbove.within(afterServer)
		s.fromBelow.discard(afterServer)
		return
	}
	patience := afterServer // a client that is gone hears no answer
	if err == io.EOF {
		err, patience = nil, afterClient
	}
	s.note(api.ByProgram, err)
	s.fromAbove.within(patience)
	closeWrite(s.Server)
}

// writeError is an error of the receiving side.
type writeError struct{ error }

func (s *Splice) toServer(p []byte) error {
	if s.Up != nil {
		s.Up(p)
	}
	n, err := s.Server.Write(p)
	s.passed(0, int64(n))
	if err != nil {
		return &writeError{err}
	}
	return nil
}

func (s *Splice) passed(down, up int64) {
	s.down.Add(down)
	s.up.Add(up)
	if s.Count != nil {
		s.Count(down, up)
	}
}

// closeWrite tells the other end that nothing more comes.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
		return
	}
	c.Close()
}

// hangUp closes without a word, whatever is being written: TLS would wait to say that it closes.
func hangUp(c net.Conn) {
	if over, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = over.NetConn()
	}
	c.Close()
}
