package machine

import (
	"net"
	"os"
	"strconv"
	"strings"
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
	if !strings.HasSuffix(got.program, "(process "+strconv.Itoa(os.Getpid())+")") || got.user != "" {
		t.Errorf("the owner of a port of this program is %+v", got)
	}
	if userName("0") != "root" || userName("4294967294") != "4294967294" {
		t.Errorf("users 0 and 4294967294 are %q and %q", userName("0"), userName("4294967294"))
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
		{api.PortTakenError{Owner: "postfix (process 812)"}, "127.0.0.1:1587 is taken by postfix (process 812).", "Quit the other program"},
		{api.PortTakenError{User: "mallory"}, "127.0.0.1:1587 is taken by another program of the user mallory.", "local passwords to mallory"},
		{api.PortTakenError{Owner: "nc (process 9)", User: "mallory"}, "127.0.0.1:1587 is taken by nc (process 9) of the user mallory.", "local passwords to mallory"},
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
