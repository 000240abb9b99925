package localuser

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// Both ends of these connections are this program's. Wine 8 has an empty table for IPv6, and none
// at all unless its services run.
func TestOwn(t *testing.T) {
	if !strings.HasPrefix(string(Me()), "S-1-5-") || Me().IsAnother() || Me().Name() == string(Me()) {
		t.Errorf("this program's user is %q, %q", Me(), Me().Name())
	}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("NOT TESTED: %v", err)
			continue
		}
		defer l.Close()
		for range 3 { // also in a table that was read before
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			s, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			switch id := Of(s); {
			case id == Unknown && windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil:
				t.Logf("NOT TESTED: wine does not know the connections on %s", address)
			case id != Me():
				t.Errorf("%s: user %q, want %q", address, id, Me())
			}
		}
	}
	if ID("S-1-5-18").IsAnother() || Unknown.IsAnother() || !ID("S-1-5-21-1-2-3-1001").IsAnother() {
		t.Error("the system counts as another user, or another user does not")
	}
}

// TestRows reads a table of each version of IP, as Windows documents them, and one that is cut off.
func TestRows(t *testing.T) {
	four := []byte{2, 0, 0, 0,
		5, 0, 0, 0, 127, 0, 0, 1, 0xc3, 0x50, 0, 0, 127, 0, 0, 1, 0x06, 0x33, 0, 0, 0x39, 0x30, 0, 0,
		5, 0, 0, 0, 127, 0, 0, 1}
	six := make([]byte, 4+56)
	six[0], six[4+15], six[4+20], six[4+21], six[4+24+15], six[4+44], six[4+45], six[4+52] = 1, 1, 0xc3, 0x50, 1, 0x06, 0x33, 7
	pids := map[[2]netip.AddrPort]uint32{}
	v4.add(pids, four)
	v6.add(pids, six)
	for _, want := range []struct {
		theirs, ours string
		pid          uint32
	}{{"127.0.0.1:50000", "127.0.0.1:1587", 12345}, {"[::1]:50000", "[::1]:1587", 7}} {
		ends := [2]netip.AddrPort{netip.MustParseAddrPort(want.theirs), netip.MustParseAddrPort(want.ours)}
		if got := pids[ends]; got != want.pid {
			t.Errorf("%v: process %d, want %d", ends, got, want.pid)
		}
	}
	if len(pids) != 2 {
		t.Errorf("read %v", pids)
	}
}
