package smtpd

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

var (
	// errLoneDot is a dot alone on its line with a line end that is not CRLF: no honest client sends
	// it, since the dot would have been doubled, and servers disagree on whether it ends the message.
	// It is how mail is smuggled, and what devices send that end lines in LF or CR CR LF.
	errLoneDot error = answer(554, "5.6.0", "A dot stands alone on a line that does not end in CRLF, so it is unclear where the message ends; line ends must be CRLF. Nothing was sent")
	// errInterrupted is a read that was given up since the message was refused.
	errInterrupted = errors.New("the message was refused before its end")
	// errLineEnds is a body after which the client waits for an answer, as if it had ended.
	errLineEnds error = answer(554, "5.6.0", "The end of the message was not recognized: line ends must be CRLF, not LF or CR alone. Nothing was sent")
)

// wrongLineEnds reports whether reading a body stopped over its line ends: more of it may come.
func wrongLineEnds(err error) bool { return err == errLoneDot || err == errLineEnds }

var bodyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// dotReader decodes the body that follows DATA (RFC 5321 section 4.5.2): lines that start with a dot
// lose it, CRLF "." CRLF is the end and nothing else is. Every other byte passes as it came, bare CR
// and LF included. It stands in for go-smtp's reader, which misses an end after CR CRLF and drops a
// CR after a dot.
type dotReader struct {
	c   *conn
	buf *[]byte
	w   []byte // read from the connection, not decoded yet

	start bool    // at the start of a line, that is after CRLF
	cr    bool    // the last byte was CR
	drop  bool    // draining: a lone dot is only one more line
	ends  [4]byte // the last bytes that came
	err   error
}

func newDotReader(c *conn) *dotReader {
	return &dotReader{c: c, buf: bodyBuffers.Get().(*[]byte), start: true}
}

// Read gives decoded bytes; io.EOF only after a true end, io.ErrUnexpectedEOF where the connection
// ended first.
func (d *dotReader) Read(p []byte) (n int, err error) {
	for n < len(p) && d.err == nil {
		if d.short() {
			if n > 0 {
				break // hand on what there is before waiting for more
			}
			d.fill()
			continue
		}
		if d.start && d.w[0] == '.' && d.dot() {
			continue
		}
		d.start = false
		run := d.run()
		m := copy(p[n:], run)
		d.advance(run[:m])
		n += m
	}
	if n > 0 {
		return n, nil
	}
	return 0, d.err
}

// run is what can be handed on as it is: up to the next line that starts with a dot, however many
// lines that are. It looks for dots, which are rare in text and absent in base64, rather than for
// line ends.
func (d *dotReader) run() []byte {
	if d.cr && d.w[0] == '\n' { // a CRLF cut in two
		return d.w[:1]
	}
	for i := 0; ; i++ {
		n := bytes.IndexByte(d.w[i:], '.')
		if n < 0 {
			return d.w
		}
		if i += n; i >= 2 && d.w[i-1] == '\n' && d.w[i-2] == '\r' {
			return d.w[:i]
		}
	}
}

// short reports whether more must be read before the next byte can be judged.
func (d *dotReader) short() bool {
	switch {
	case len(d.w) == 0:
		return true
	case !d.start || d.w[0] != '.':
		return false
	case len(d.w) == 1:
		return true
	}
	return d.w[1] == '\r' && len(d.w) == 2
}

// dot judges a line that starts with a dot; true when there is no line to give.
func (d *dotReader) dot() bool {
	switch {
	case d.w[1] == '\r' && d.w[2] == '\n':
		d.w = d.w[3:]
		d.finish(io.EOF)
		return true
	case !d.drop && (d.w[1] == '\r' || d.w[1] == '\n'):
		d.err = errLoneDot
		return true
	}
	d.w = d.w[1:]
	return false
}

func (d *dotReader) advance(took []byte) {
	d.w = d.w[len(took):]
	last := took[len(took)-1]
	if last == '\n' {
		d.start = d.cr
		if len(took) > 1 {
			d.start = took[len(took)-2] == '\r'
		}
	}
	d.cr = last == '\r'
}

func (d *dotReader) fill() {
	kept := copy(*d.buf, d.w)
	n, err := d.c.fill((*d.buf)[kept:])
	d.w = (*d.buf)[:kept+n]
	if n > 0 {
		d.note(d.w[kept:])
		return
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if wrongLineEnds(err) || err == errInterrupted {
		d.err = err // it may still be drained
	} else if err != nil {
		d.finish(err)
	}
}

// note remembers the last bytes that came.
func (d *dotReader) note(came []byte) {
	came = came[max(0, len(came)-len(d.ends)):]
	copy(d.ends[:], d.ends[len(came):])
	copy(d.ends[len(d.ends)-len(came):], came)
}

// misended reports whether the body stops where a client with wrong line ends would have ended it:
// after a dot alone on its line, whatever it takes for a line end.
func (d *dotReader) misended() bool {
	line := bytes.TrimRight(d.ends[:], "\r\n")
	dot := len(line) - 1
	return dot > 0 && dot < len(d.ends)-1 && line[dot] == '.' && (line[dot-1] == '\n' || line[dot-1] == '\r')
}

// finish gives the buffer back; what was read beyond the end is the connection's next input.
func (d *dotReader) finish(err error) {
	d.err = err
	if err == io.EOF {
		d.c.left = bytes.Clone(d.w)
	}
	bodyBuffers.Put(d.buf)
	d.buf, d.w = nil, nil
}

// drain reads to the true end of the body, whatever stands before it.
func (d *dotReader) drain() error {
	if wrongLineEnds(d.err) || d.err == errInterrupted {
		d.err = nil
	}
	d.drop = true
	scratch := bodyBuffers.Get().(*[]byte)
	defer bodyBuffers.Put(scratch)
	for {
		if _, err := d.Read(*scratch); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
