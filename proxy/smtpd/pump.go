package smtpd

import (
	"io"
	"sync"
)

// pump reads the pipe of a BDAT body on a goroutine of its own, so that a read can be given up. A read
// of the pipe itself could only be ended by closing the pipe, and that is how go-smtp says that it has
// handed over the result (see settle).
type pump struct {
	pipe   *io.PipeReader
	pieces chan []byte   // closed at the pipe's end
	more   chan struct{} // asks for the next piece
	quit   chan struct{} // closed by interrupt
	once   sync.Once
	rest   []byte // of the last piece
	err    error  // why pieces was closed
}

func newPump(pipe *io.PipeReader) *pump {
	p := &pump{pipe: pipe, pieces: make(chan []byte), more: make(chan struct{}), quit: make(chan struct{})}
	go p.run() // until the pipe is closed; finish waits for it
	return p
}

func (p *pump) run() {
	buf := bodyBuffers.Get().(*[]byte)
	defer bodyBuffers.Put(buf)
	defer close(p.pieces)
	for p.err == nil {
		var n int
		if n, p.err = p.pipe.Read(*buf); n > 0 {
			p.pieces <- (*buf)[:n]
			<-p.more
		}
	}
}

// first waits for the first piece, or the end.
func (p *pump) first() error {
	piece, ok := <-p.pieces
	if p.rest = piece; !ok && p.err != io.EOF {
		return p.err
	}
	return nil
}

// Read gives what comes through the pipe.
func (p *pump) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		select {
		case piece, ok := <-p.pieces:
			if !ok {
				return 0, p.err
			}
			p.rest = piece
		case <-p.quit:
			return 0, errInterrupted
		}
	}
	n := copy(b, p.rest)
	if p.rest = p.rest[n:]; len(p.rest) == 0 {
		p.more <- struct{}{}
	}
	return n, nil
}

// interrupt ends a Read that waits, and those to come.
func (p *pump) interrupt() { p.once.Do(func() { close(p.quit) }) }

// finish waits for the goroutine's end. It is called when the body is over for everybody: the pipe is
// closed, or about to be.
func (p *pump) finish() {
	close(p.more)
	for range p.pieces {
	}
}
