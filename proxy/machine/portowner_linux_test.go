package machine

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
)

func TestFindListener(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0633 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 111 1 0000000000000000 20 4 30 10 -1
   1: 0100007F:0633 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 222 1 0000000000000000 100 0 0 10 0
   2: garbage
`
	for suffix, want := range map[string][2]string{":0633": {"222", "33"}, ":0634": {"", ""}} {
		if inode, uid := findListener(strings.NewReader(table), suffix); inode != want[0] || uid != want[1] {
			t.Errorf("%s: inode %q of user %q, want %q", suffix, inode, uid, want)
		}
	}
}

func TestPortOwner(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	got := portOwner(port)
	if got.program == "" || got.process != os.Getpid() || got.user != "" {
		t.Errorf("the owner of a port of this program is %+v", got)
	}
}

// TestMain also plays another user's program, which listens on a port until it is killed.
func TestMain(m *testing.M) {
	if os.Getenv("MACHINE_TEST_LISTEN") != "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		fmt.Println(l.Addr())
		select {}
	}
	os.Exit(m.Run())
}

func TestPortOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: another user's port. It needs root.")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "MACHINE_TEST_LISTEN=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(line)
	_, err = net.Listen("tcp", address)
	taken, ok := errors.AsType[*api.PortTakenError](PortError(address, err))
	if !ok || taken.User != "54321" || taken.Process != 0 && taken.Process != cmd.Process.Pid { // which may be hidden
		t.Errorf("got %+v, %v", taken, err)
	}
}

// Another user who takes the port while Waxseal does not run gets the local passwords. Nothing
// said whose program it was.
func TestPortTakenByAnotherUser(t *testing.T) {
	for _, c := range []struct {
		taken      api.PortTakenError
		text, cure string
	}{
		{api.PortTakenError{}, "127.0.0.1:1587 is taken by another program.", "Quit the other program"},
		{api.PortTakenError{Owner: "postfix", Process: 812}, "127.0.0.1:1587 is taken by postfix (process 812).", "Quit the other program"},
		{api.PortTakenError{User: "mallory"}, "127.0.0.1:1587 is taken by another program of the user mallory.", "local passwords to mallory"},
		{api.PortTakenError{Owner: "nc", Process: 9, User: "mallory"}, "127.0.0.1:1587 is taken by nc (process 9) of the user mallory.", "local passwords to mallory"},
	} {
		c.taken.Address = "127.0.0.1:1587"
		if got := c.taken.Text().String(); got != c.text {
			t.Errorf("got %q, want %q", got, c.text)
		}
		if got := c.taken.Remedy().String(); !strings.Contains(got, c.cure) {
			t.Errorf("cure %q, want %q", got, c.cure)
		}
		if got := c.taken.Error(); !strings.Contains(got, "port 1587 is taken by ") || !strings.Contains(got, c.taken.Owner) || !strings.Contains(got, c.taken.User) {
			t.Errorf("on a terminal: %q", got)
		}
	}
}
