package tcp

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A message whose body came in small pieces took 40 ms longer, because the pieces
// waited for acknowledgements that the system held back.
func TestAcknowledgementsAreNotHeldBack(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	buf := make([]byte, 8)
	for range 20 { // in a dialogue the system begins to hold acknowledgements back
		client.Write([]byte("command"))
		server.Read(buf)
		server.Write([]byte("reply"))
		client.Read(buf)
	}
	if heldBack(t, server) != true {
		t.Skip("NOT TESTED: this system does not hold acknowledgements back in a dialogue")
	}
	QuickAck(server)
	if heldBack(t, server) {
		t.Error("acknowledgements are still held back")
	}
}

func heldBack(t *testing.T, conn net.Conn) bool {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	quick := 0
	raw.Control(func(fd uintptr) { quick, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK) })
	if err != nil {
		t.Fatal(err)
	}
	return quick == 0
}
