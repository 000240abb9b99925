package proxy

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// quickAck makes the system acknowledge at once what has come and what comes
// next. Many mail programs write a body in small pieces with Nagle's algorithm
// on: each piece then waits for the acknowledgement of the last, and that, since
// there is nothing to answer yet, for a timer of 40 ms (tcp(7), TCP_QUICKACK,
// which does not last and is set before each read).
func quickAck(tcp net.Conn) {
	if c, ok := tcp.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			raw.Control(setQuickAck)
		}
	}
}

func setQuickAck(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) }
