package tcp

import (
	"crypto/tls"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A connection is asked every two seconds while it is probed, under TLS too, and as before afterwards.
func TestProbe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	option := func(opt int) (v int) {
		sc, _ := raw.(syscall.Conn).SyscallConn()
		sc.Control(func(fd uintptr) { v, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, opt) })
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := option(unix.TCP_KEEPIDLE)
	secured := tls.Client(Direct(raw), &tls.Config{})
	Probe(secured, true)
	if idle, every, times, limit := option(unix.TCP_KEEPIDLE), option(unix.TCP_KEEPINTVL), option(unix.TCP_KEEPCNT), option(unix.TCP_USER_TIMEOUT); idle != 1 || every != 2 || times != 3 || limit != 7000 {
		t.Errorf("idle %d s, every %d s, %d times, bytes %d ms", idle, every, times, limit)
	}
	Probe(secured, false)
	if idle, limit := option(unix.TCP_KEEPIDLE), option(unix.TCP_USER_TIMEOUT); idle != before || limit != 0 {
		t.Errorf("afterwards: idle %d s, bytes %d ms", idle, limit)
	}
	a, _ := net.Pipe()
	Probe(a, true) // not TCP
}
