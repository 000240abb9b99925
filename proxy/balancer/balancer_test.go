package balancer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/pires/go-proxyproto"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	local            = 0x20
	tcp4, tcp6, udp4 = 0x11, 0x21, 0x12
	unixStream       = 0x31
)

var (
	addresses4 = []byte{192, 0, 2, 9, 198, 51, 100, 1, 0x9c, 0x40, 0x02, 0x4b}
	addresses6 = slicesOf(net.ParseIP("2001:db8::9"), net.ParseIP("2001:db8::1"), []byte{0x9c, 0x40, 0x02, 0x4b})
)

func slicesOf(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// v2 is a header of version 2.
func v2(command, family byte, payload []byte) string {
	h := append(bytes.Clone(proxyproto.SIGV2), command, family)
	h = binary.BigEndian.AppendUint16(h, uint16(len(payload)))
	return string(append(h, payload...))
}

// longest is the longest line of version 1 that the protocol knows.
const longest = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"

var headers = map[string]struct {
	header string
	client string // "" if the header names none
	fails  string // what the error says; "" if there is none
}{
	"v1":                        {"PROXY TCP4 192.0.2.9 198.51.100.1 40000 587\r\n", "192.0.2.9:40000", ""},
	"v1, IPv6":                  {"PROXY TCP6 2001:db8::9 2001:db8::1 40000 587\r\n", "[2001:db8::9]:40000", ""},
	"v1 that claims loopback":   {"PROXY TCP4 127.0.0.1 127.0.0.1 40000 587\r\n", "127.0.0.1:40000", ""},
	"v1, unknown":               {"PROXY UNKNOWN\r\n", "", ""},
	"v1, unknown with a claim":  {"PROXY UNKNOWN 192.0.2.9 198.51.100.1 40000 587\r\n", "", ""},
	"v1, as long as can be":     {longest, "", ""},
	"v1, too long":              {"PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n", "", "longer than 107 bytes"},
	"v1, no end":                {"PROXY TCP4 " + strings.Repeat("1", 200), "", "longer than 107 bytes"},
	"v1, line feed alone":       {"PROXY TCP4 192.0.2.9 198.51.100.1 40000 587\nEHLO x\r\n", "", "does not begin"},
	"v1, names":                 {"PROXY TCP4 client.example 198.51.100.1 40000 587\r\n", "", "invalid address"},
	"v1, a zone":                {"PROXY TCP6 fe80::1%eth0 fe80::2 40000 587\r\n", "", "invalid address"},
	"v1, port out of range":     {"PROXY TCP4 192.0.2.9 198.51.100.1 70000 587\r\n", "", "invalid port"},
	"v1, no port":               {"PROXY TCP4 192.0.2.9 198.51.100.1\r\n", "", "header"},
	"v1, UDP":                   {"PROXY UDP4 192.0.2.9 198.51.100.1 40000 587\r\n", "", "family"},
	"v1, two spaces":            {"PROXY  TCP4 192.0.2.9 198.51.100.1 40000 587\r\n", "", "family"},
	"v1, cut off":               {"PROXY TCP4 192.0", "", "unexpected EOF"},
	"v2":                        {v2(proxied, tcp4, addresses4), "192.0.2.9:40000", ""},
	"v2, IPv6":                  {v2(proxied, tcp6, addresses6), "[2001:db8::9]:40000", ""},
	"v2, extensions":            {v2(proxied, tcp4, append(bytes.Clone(addresses4), 0x04, 0x00, 0x02, 0xff, 0xff)), "192.0.2.9:40000", ""},
	"v2, extensions of garbage": {v2(proxied, tcp4, append(bytes.Clone(addresses4), 0xff, 0xff, 0xff, 0x00, '\r', '\n')), "192.0.2.9:40000", ""},
	"v2, as long as can be":     {v2(proxied, tcp4, append(bytes.Clone(addresses4), make([]byte, maxV2-12)...)), "192.0.2.9:40000", ""},
	"v2, absurdly long":         {v2(proxied, tcp4, append(bytes.Clone(addresses4), make([]byte, 65535-12)...)), "", "65535 bytes are too many"},
	"v2, local":                 {v2(local, unspecified, nil), "", ""},
	"v2, local with a claim":    {v2(local, tcp4, addresses4), "", ""},
	"v2, local with garbage":    {v2(local, tcp4, []byte("??")), "", ""},
	"v2, local, absurdly long":  {v2(local, unspecified, make([]byte, 65535)), "", "too many"},
	"v2, UNIX":                  {v2(proxied, unixStream, make([]byte, 216)), "", ""},
	"v2, UNIX, too short":       {v2(proxied, unixStream, make([]byte, 20)), "", "invalid length"},
	"v2, no family":             {v2(proxied, unspecified, nil), "", ""},
	"v2, no family, garbage":    {v2(proxied, unspecified, []byte("??")), "", ""},
	"v2, UDP":                   {v2(proxied, udp4, addresses4), "", "about UDP"},
	"v2, unknown family":        {v2(proxied, 0x51, addresses4), "", "unsupported address family"},
	"v2, unknown command":       {v2(0x22, tcp4, addresses4), "", "unsupported"},
	"v2, version 3":             {v2(0x31, tcp4, addresses4), "", "unsupported"},
	"v2, too short for IPv4":    {v2(proxied, tcp4, addresses4[:11]), "", "invalid length"},
	"v2, too short for IPv6":    {v2(proxied, tcp6, addresses4), "", "invalid length"},
	"v2, cut off":               {v2(proxied, tcp4, addresses4)[:20], "", "unexpected EOF"},
	"SMTP":                      {"EHLO x\r\n", "", "does not begin"},
	"TLS":                       {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "", "does not begin"},
	"almost v1":                 {"PROXX TCP4 192.0.2.9 198.51.100.1 40000 587\r\n", "", "does not begin"},
	"almost v2":                 {"\r\n\r\n\x00\r\nQUIZ\n" + "\x21\x11\x00\x0c", "", "does not begin"},
	"empty lines":               {"\r\n\r\n\r\n\r\n\r\n\r\n\r\n", "", "does not begin"},
}

// TestHeaders: each header is read whole and nothing after it, however its bytes arrive.
func TestHeaders(t *testing.T) {
	const after = "EHLO test.example\r\n"
	for name, test := range headers {
		for how, arrive := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "with its end": iotest.DataErrReader,
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				sent := test.header
				if test.fails != "unexpected EOF" {
					sent += after
				}
				rest := strings.NewReader(sent)
				raw, err := take(arrive(rest))
				var client net.Addr
				if err == nil {
					client, err = clientIn(raw)
				}
				if test.fails != "" {
					if err == nil || !strings.Contains(err.Error(), test.fails) {
						t.Fatalf("%v, %v; want an error with %q", client, err, test.fails)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := text(client); got != test.client {
					t.Errorf("client %q, want %q", got, test.client)
				}
				if string(raw) != test.header {
					t.Errorf("took %q of %q", raw, test.header)
				}
			})
		}
	}
}

func text(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// TestRead: the connection behind the header is as it was, and its other end is the client.
func TestRead(t *testing.T) {
	for name, test := range headers {
		if test.fails != "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			go func() {
				defer theirs.Close()
				io.WriteString(theirs, test.header+"EHLO")
			}()
			c, err := Read(t.Context(), ours)
			if err != nil {
				t.Fatal(err)
			}
			want := test.client
			if want == "" {
				want = ours.RemoteAddr().String()
			}
			if got := c.RemoteAddr().String(); got != want || c.Conn != ours {
				t.Errorf("from %q, want %q; %v", got, want, c.Conn)
			}
			if rest, _ := io.ReadAll(c); string(rest) != "EHLO" {
				t.Errorf("%q follows", rest)
			}
		})
	}
}

// TestNoHeader: whoever sends no header, or half of one, is given up, and why is told apart.
func TestNoHeader(t *testing.T) {
	for name, test := range map[string]struct {
		sends  string
		closes bool
		stop   bool
		want   error
	}{
		"a check that closes":  {"", true, false, ErrClosed},
		"nothing":              {"", false, false, ErrSilent},
		"half a v1":            {"PROXY TCP4 192.", false, false, ErrSilent},
		"half a v2":            {v2(proxied, tcp4, addresses4)[:17], false, false, ErrSilent},
		"half, then closes":    {"PROXY TCP4 192.", true, false, io.ErrUnexpectedEOF},
		"another protocol":     {"EHLO x\r\n", false, false, ErrNone},
		"a stop":               {"", false, true, context.Canceled},
		"a stop in the middle": {"PROXY ", false, true, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ours, theirs := net.Pipe()
				go func() {
					io.WriteString(theirs, test.sends)
					if test.closes {
						theirs.Close()
					}
				}()
				if test.stop {
					go func() { synctest.Wait(); cancel() }()
				}
				c, err := Read(ctx, ours)
				if c != nil || !errors.Is(err, test.want) {
					t.Errorf("%v, %v; want %v", c, err, test.want)
				}
				ours.Close()
				theirs.Close()
			})
		})
	}
}

// TestNetworks: what may be written, and whom it means.
func TestNetworks(t *testing.T) {
	for _, test := range []struct {
		from    string
		in, out []string
	}{
		{"10.0.0.0/8", []string{"10.1.2.3", "::ffff:10.1.2.3"}, []string{"11.0.0.1", "127.0.0.1", "::1"}},
		{"10.0.0.7", []string{"10.0.0.7"}, []string{"10.0.0.8"}},
		{"2001:db8::/64", []string{"2001:db8::1"}, []string{"2001:db8:0:1::1", "10.0.0.1"}},
		{"fe80::/10", []string{"fe80::1%eth0"}, []string{"fd00::1"}},
		{"::ffff:10.0.0.7", []string{"10.0.0.7"}, []string{"10.0.0.8"}},
		{"127.0.0.2", []string{"127.0.0.2"}, []string{"127.0.0.1"}},
	} {
		n, err := ParseNetworks([]string{test.from})
		if err != nil {
			t.Errorf("%s: %v", test.from, err)
		}
		for _, addr := range test.in {
			if !n.Contain(addrOf(t, addr)) {
				t.Errorf("%s does not contain %s", test.from, addr)
			}
		}
		for _, addr := range test.out {
			if n.Contain(addrOf(t, addr)) {
				t.Errorf("%s contains %s", test.from, addr)
			}
		}
	}
	for _, wrong := range []string{"", "lb.example", "localhost", "10.0.0.0/33", "10.0.0.5/8", "10.0.0.1:587", "fe80::1%eth0", "::ffff:10.0.0.0/104", "10.0.0.0/255.0.0.0", "*"} {
		if n, err := ParseNetworks([]string{wrong}); err == nil {
			t.Errorf("%q means %v", wrong, n)
		}
	}
	if (Networks{}).Contain(addrOf(t, "127.0.0.1")) || (Networks{}).Contain(&net.UnixAddr{Name: "x"}) {
		t.Error("no networks contain something")
	}
	n, err := ParseNetworks([]string{"10.0.0.0/8", "127.0.0.0/8", "192.0.2.7", "::/0"})
	if err != nil || n.String() != "10.0.0.0/8, 127.0.0.0/8, 192.0.2.7, ::/0" || n.Everybody() != "::/0" || n.Own() != "127.0.0.0/8" {
		t.Errorf("%v: everybody %q, own %q; %v", n, n.Everybody(), n.Own(), err)
	}
}

func addrOf(t *testing.T, host string) net.Addr {
	t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(host, "40000"))
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// FuzzHeader: whatever comes, a header is read to its end and no further, in pieces as at once, and never
// holds more than the protocol allows.
func FuzzHeader(f *testing.F) {
	for _, test := range headers {
		f.Add([]byte(test.header))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		all := bytes.NewReader(in)
		raw, err := take(all)
		pieces, err2 := take(iotest.OneByteReader(bytes.NewReader(in)))
		if (err == nil) != (err2 == nil) {
			t.Fatalf("at once %v, in pieces %v", err, err2)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(raw, pieces) || !bytes.HasPrefix(in, raw) || len(raw)+all.Len() != len(in) {
			t.Fatalf("took %q and %q of %q, %d are left", raw, pieces, in, all.Len())
		}
		if len(raw) > fixedV2+maxV2 || raw[0] == 'P' && len(raw) > maxV1 {
			t.Fatalf("%d bytes", len(raw))
		}
		client, err := clientIn(raw)
		if tcp, ok := client.(*net.TCPAddr); err == nil && client != nil && (!ok || tcp.IP == nil) {
			t.Fatalf("client %v", client)
		}
	})
}
