package localuser

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain also plays another user's program: it connects to an address, says so, and stays until
// its input ends.
func TestMain(m *testing.M) {
	if address := os.Getenv("LOCALUSER_TEST_CONNECT"); address != "" {
		c, err := net.Dial("tcp", address)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Fprintln(c, "here")
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// accept is a connection to this program that dial makes.
func accept(t testing.TB, network, address string, dial func(address string)) net.Conn {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	defer l.Close()
	dial(l.Addr().String())
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// own connects this program with itself.
func own(t testing.TB, d net.Dialer) func(string) {
	return func(address string) {
		c, err := d.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
}

func TestOwn(t *testing.T) {
	for _, on := range [][2]string{{"tcp4", "127.0.0.1:0"}, {"tcp6", "[::1]:0"}, {"tcp", "localhost:0"}} {
		if id := Of(accept(t, on[0], on[1], own(t, net.Dialer{}))); id != Me() || id.IsAnother() {
			t.Errorf("%s: user %q, want %q", on, id, Me())
		}
	}
}

// A program may speak IPv4 through an IPv6 socket, and a listener on all addresses does so itself.
func TestMappedAddresses(t *testing.T) {
	c := accept(t, "tcp", ":0", func(address string) {
		_, port, _ := net.SplitHostPort(address)
		own(t, net.Dialer{})("127.0.0.1:" + port)
	})
	if id := Of(c); id != Me() {
		t.Errorf("at a listener on all addresses: user %q", id)
	}
	c = accept(t, "tcp4", "127.0.0.1:0", func(address string) {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Skipf("NOT TESTED: %v", err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		a := netip.MustParseAddrPort(address)
		if err := unix.Connect(fd, &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}); err != nil {
			t.Fatal(err)
		}
	})
	if id := Of(c); id != Me() {
		t.Errorf("an IPv6 socket with an IPv4 address: user %q", id)
	}
}

// A socket that is bound to the loopback interface is found too.
func TestBoundToDevice(t *testing.T) {
	bind := func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			if err := unix.BindToDevice(int(fd), "lo"); err != nil {
				t.Errorf("bind to lo: %v", err)
			}
		})
	}
	if id := Of(accept(t, "tcp4", "127.0.0.1:0", own(t, net.Dialer{Control: bind}))); id != Me() {
		t.Errorf("user %q", id)
	}
}

// The kernel calls the socket of a program that has closed it root's, or does not find it. That
// must not pass for root or for somebody unknown.
func TestGone(t *testing.T) {
	for name, end := range map[string]func(*net.TCPConn){
		"closed": func(c *net.TCPConn) {},
		"reset":  func(c *net.TCPConn) { c.SetLinger(0) },
	} {
		c := accept(t, "tcp4", "127.0.0.1:0", func(address string) {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(c, "GET / HTTP/1.1")
			end(c.(*net.TCPConn))
			c.Close()
		})
		if id := Of(c); id != Gone {
			t.Errorf("%s: user %q", name, id)
		}
	}
	c := accept(t, "tcp4", "127.0.0.1:0", func(address string) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.(*net.TCPConn).CloseWrite() // it still reads
	})
	if id := Of(c); id != Me() {
		t.Errorf("closed for writing only: user %q", id)
	}
}

func TestAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: another user's connection. It needs root.")
	}
	const other = 54321
	c := accept(t, "tcp4", "127.0.0.1:0", func(address string) {
		cmd := exec.Command("/proc/self/exe") // the binary's folder may be closed to others
		cmd.Env = append(os.Environ(), "LOCALUSER_TEST_CONNECT="+address)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: other, Gid: other}}
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close(); cmd.Wait() })
	})
	if id := Of(c); id != "54321" || !id.IsAnother() {
		t.Errorf("user %q", id)
	}
}

// What is not on loopback, or has no TCP addresses, has no local user.
func TestNoLocalUser(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	remote := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 40000}
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1587}
	for _, c := range []net.Conn{a, ends{a, local, remote}, ends{a, remote, local}, ends{a, local, local}} {
		if id := Of(c); id != Unknown || id.IsAnother() {
			t.Errorf("%v -> %v: user %q", c.RemoteAddr(), c.LocalAddr(), id)
		}
	}
}

type ends struct {
	net.Conn
	local, remote net.Addr
}

func (e ends) LocalAddr() net.Addr  { return e.local }
func (e ends) RemoteAddr() net.Addr { return e.remote }

// Where no connection has the addresses, the kernel answers with a socket that listens there.
func TestListenerIsNoConnection(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	there := l.Addr().(*net.TCPAddr).AddrPort()
	if id := connected(there, netip.MustParseAddrPort("127.0.0.1:1")); id != Unknown {
		t.Errorf("user %q", id)
	}
	for _, answer := range [][]byte{nil, make([]byte, 15), make([]byte, answerSize)} {
		if id := userIn(answer, there); id != Unknown {
			t.Errorf("%d bytes: user %q", len(answer), id)
		}
	}
}

// A user with 65,536 IDs for containers is still one user.
func TestBorrowedIDs(t *testing.T) {
	root, err := user.Lookup("root")
	if err != nil {
		t.Skip("NOT TESTED: there is no root")
	}
	const lent = "root:100000:65536\n1234:165536:65536\ngarbage\nx:y:z\n:1:1:1\nnobody-here:231072:10\n"
	for uid, want := range map[uint32]ID{
		99999: Unknown, 100000: ID(root.Uid), 165535: ID(root.Uid), 165536: "1234", 231071: "1234", 231072: Unknown, 1: Unknown,
	} {
		if got := borrower(lent, uid); got != want {
			t.Errorf("%d is lent to %q, want %q", uid, got, want)
		}
	}
}

func TestAdministratorIsNobodyElse(t *testing.T) {
	for id, want := range map[ID]bool{"0": false, Unknown: false, Me(): false, Gone: true, "54321": true} {
		if got := id.IsAnother(); got != want {
			t.Errorf("%q is another user: %t, want %t", id, got, want)
		}
	}
	if ID("0").Name() != "root" || ID("4294967294").Name() != "4294967294" {
		t.Errorf("users 0 and 4294967294 are %q and %q", ID("0").Name(), ID("4294967294").Name())
	}
}

func BenchmarkOf(b *testing.B) {
	c := accept(b, "tcp4", "127.0.0.1:0", own(b, net.Dialer{}))
	for b.Loop() {
		if Of(c) != Me() {
			b.Fatal("unknown")
		}
	}
}
