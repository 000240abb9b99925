package tcp

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

type conn struct {
	*net.TCPConn
	raw     syscall.RawConn
	in, out transfer
}

// transfer is one direction of a connection. Its functions are made once, so that a
// call allocates nothing.
type transfer struct {
	op   string                                        // the name that package net gives it
	trap uintptr                                       // the system call
	wait func(step func(fd uintptr) (done bool)) error // for the socket, under its deadline
	step func(fd uintptr) (done bool)

	mu  sync.Mutex // held for a whole call; guards the fields below
	p   []byte
	n   int // bytes of p transferred so far
	err error
}

func direct(c net.Conn) net.Conn {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return c // it is closed; a read will say so
	}
	d := &conn{TCPConn: t, raw: raw}
	d.in.op, d.in.trap, d.in.wait, d.in.step = "read", syscall.SYS_READ, raw.Read, d.in.carry
	d.out.op, d.out.trap, d.out.wait, d.out.step = "write", syscall.SYS_WRITE, raw.Write, d.out.carry
	return d
}

func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.in.run(p, c.TCPConn)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return c.out.run(p, c.TCPConn)
}

// run transfers p in as many steps as it takes.
func (t *transfer) run(p []byte, c *net.TCPConn) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p, t.n, t.err = p, 0, nil
	err := t.wait(t.step)
	n := t.n
	t.p = nil // an idle connection must not keep its caller's buffer alive
	if err == nil && t.err != nil {
		err = &net.OpError{Op: t.op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: t.err}
	} else if oe, ok := err.(*net.OpError); ok {
		oe.Op = t.op // instead of raw-read or raw-write
	}
	return n, err
}

// carry reads once, or writes until all of p is written. It returns false if it has
// to wait for the socket.
func (t *transfer) carry(fd uintptr) (done bool) {
	for {
		n, errno := call(t.trap, fd, t.p[t.n:])
		switch errno {
		case 0:
			if t.n += n; t.trap == syscall.SYS_READ || t.n == len(t.p) {
				return true
			}
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			t.err = os.NewSyscallError(t.op, errno)
			return true
		}
	}
}

func call(trap, fd uintptr, p []byte) (int, syscall.Errno) {
	// #nosec G103 -- p outlives the call, and the kernel keeps no pointer to it
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

// deadAfter is how long sent bytes may wait for their acknowledgement while a connection is probed: as long
// as keepalive takes, which says nothing while they wait.
const deadAfter = 7 * time.Second

// unacknowledged bounds how long sent bytes may wait for their acknowledgement, or lifts the bound (tcp(7),
// TCP_USER_TIMEOUT).
func unacknowledged(c keptAlive, bound bool) {
	limit := 0
	if bound {
		limit = int(deadAfter.Milliseconds())
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := s.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, limit) })
	}
}
