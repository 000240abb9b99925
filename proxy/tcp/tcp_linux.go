package tcp

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

type conn struct {
	*net.TCPConn
	raw     syscall.RawConn
	in, out transfer
}

// transfer is one direction. Its functions are made once, so that a call
// allocates nothing.
type transfer struct {
	wait func(step func(fd uintptr) (done bool)) error // for the socket, under its deadline
	step func(fd uintptr) (done bool)

	mu  sync.Mutex // held for a whole call; guards what follows
	p   []byte
	n   int // bytes of p that have been carried
	err error
}

func direct(c net.Conn) net.Conn {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return c // closed: reading it will say so
	}
	d := &conn{TCPConn: t, raw: raw}
	d.in.wait, d.in.step = raw.Read, d.in.read
	d.out.wait, d.out.step = raw.Write, d.out.write
	return d
}

func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.in.run(p, "read", c.TCPConn)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return c.out.run(p, "write", c.TCPConn)
}

// run carries p, in as many steps as it takes.
func (t *transfer) run(p []byte, op string, c *net.TCPConn) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p, t.n, t.err = p, 0, nil
	err := t.wait(t.step)
	n := t.n
	t.p = nil // an idle connection holds nobody's buffer
	if err == nil && t.err != nil {
		err = &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: t.err}
	} else if oe, ok := err.(*net.OpError); ok {
		oe.Op = op // raw-read, raw-write
	}
	return n, err
}

func (t *transfer) read(fd uintptr) bool {
	for {
		n, errno := call(syscall.SYS_READ, fd, t.p)
		switch errno {
		case 0:
			t.n = n
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			t.err = os.NewSyscallError("read", errno)
			return true
		}
	}
}

func (t *transfer) write(fd uintptr) bool {
	for t.n < len(t.p) {
		n, errno := call(syscall.SYS_WRITE, fd, t.p[t.n:])
		switch errno {
		case 0:
			t.n += n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			t.err = os.NewSyscallError("write", errno)
			return true
		}
	}
	return true
}

func call(trap, fd uintptr, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), errno
}

func quickAck(c net.Conn) {
	switch c := c.(type) {
	case *conn:
		c.raw.Control(setQuickAck)
	case *net.TCPConn:
		if raw, err := c.SyscallConn(); err == nil {
			raw.Control(setQuickAck)
		}
	}
}

func setQuickAck(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) }
