package upstream

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/dial"
)

func TestCheckHello(t *testing.T) {
	for name, ok := range map[string]bool{
		"mail.example.com":               true,
		"xn--grn-hoa.example.com":        true,
		"localhost":                      true, // some servers want a short name; it is their owner's choice
		"win_host.corp.example":          true,
		"[192.0.2.1]":                    true,
		"[IPv6:2001:db8::1]":             true,
		"[ipv6:2001:db8::1]":             true,
		"":                               false,
		"mail.example.com.":              false,
		".example.com":                   false,
		"mail..example.com":              false,
		"-mail.example.com":              false,
		"mail-.example.com":              false,
		"mail example.com":               false,
		"mail.example.com\r\nMAIL":       false,
		"grün.example.com":               false,
		"192.0.2.1":                      false,
		"[192.0.2.1":                     false,
		"[2001:db8::1]":                  false,
		"[IPv6:192.0.2.1]":               false,
		"[IPv6:fe80::1%eth0]":            false,
		"[]":                             false,
		strings.Repeat("a", 64) + ".com": false,
		strings.Repeat("a.", 127) + "ab": false,
	} {
		if err := CheckHello(name); (err == nil) != ok || err != nil && !errors.Is(err, ErrHello) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// RFC 5321 section 4.1.4: the machine's own name where it has one, else an address literal.
func TestHelloName(t *testing.T) {
	tcp := func(ip string, zone string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 25, Zone: zone} }
	v4 := tcp("192.0.2.7", "")
	for _, c := range []struct {
		machine string
		local   net.Addr
		want    string
	}{
		{"pc7.office.example.com", v4, "pc7.office.example.com"},
		{"pc7.office.example.com.", v4, "pc7.office.example.com"},
		{"PC7.Example.COM", v4, "PC7.Example.COM"},
		{"", v4, "[192.0.2.7]"},
		{"pc7", v4, "[192.0.2.7]"},
		{"localhost", v4, "[192.0.2.7]"},
		{"localhost.localdomain", v4, "[192.0.2.7]"},
		{"Annas-MacBook.local", v4, "[192.0.2.7]"},
		{"pc7.LAN", v4, "[192.0.2.7]"},
		{"router.home.arpa", v4, "[192.0.2.7]"},
		{"pod.ns.svc.cluster.local", v4, "[192.0.2.7]"},
		{"ip-10-0-0-1.ec2.internal", v4, "[192.0.2.7]"},
		{"win_host.example.com", v4, "[192.0.2.7]"},
		{"192.0.2.9", v4, "[192.0.2.7]"},
		{"pc.7", v4, "[192.0.2.7]"},
		{"Anna's PC.example.com", v4, "[192.0.2.7]"},
		{"pc7", tcp("127.0.0.1", ""), "[127.0.0.1]"},
		{"pc7", tcp("::ffff:192.0.2.7", ""), "[192.0.2.7]"},
		{"pc7", tcp("2001:db8::7", ""), "[IPv6:2001:db8::7]"},
		{"pc7", tcp("fe80::7", "eth0"), "[IPv6:fe80::7]"},
		{"pc7", &net.UnixAddr{}, "[127.0.0.1]"},
	} {
		got := helloName(c.machine, c.local)
		if got != c.want || CheckHello(got) != nil {
			t.Errorf("%q at %v: %q, want %q", c.machine, c.local, got, c.want)
		}
	}
}

func TestHello(t *testing.T) {
	cert, roots := certificate(t, "127.0.0.1")
	usual := "EHLO " + helloName(hostName(), &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	for configured, want := range map[string]string{"": usual, "mail.example.com": "EHLO mail.example.com", "[192.0.2.1]": "EHLO [192.0.2.1]"} {
		f := start(t, &fake{tls: cert})
		p := newPool(t, f, func(c *Config) { c.Hello, c.TLS, c.RootCAs = configured, dial.StartTLS, roots })
		mustSend(t, p, "x\r\n")
		hellos := 0
		for _, line := range f.said(1) {
			if strings.HasPrefix(line, "EHLO") {
				if hellos++; line != want {
					t.Errorf("%q: said %q, want %q", configured, line, want)
				}
			}
		}
		if hellos != 2 {
			t.Errorf("%d EHLOs", hellos)
		}
	}
}

// A name that cannot be said is an error of the configuration, not of the host.
func TestUnusableHello(t *testing.T) {
	f := start(t, &fake{})
	p := newPool(t, f, func(c *Config) {
		c.Hello, c.Breaker = "two words", breaker.New("smtp", breaker.Settings{Failures: 1})
	})
	for range 2 {
		if err := p.Check(t.Context()); !errors.Is(err, ErrHello) {
			t.Error(err)
		}
	}
	for _, line := range f.said(1) {
		if strings.HasPrefix(line, "EHLO") {
			t.Errorf("said %q", line)
		}
	}
}

// Greetings and replies to EHLO that break the grammar of RFC 5321 section 4.2 and can mean one thing
// only. Some were waited for without an end, since no line said that it was the last.
func TestOddGrammarBeforeLogin(t *testing.T) {
	for _, c := range []struct{ greeting, hello string }{
		{"220", "250-x\r\n250 AUTH XOAUTH2"},
		{"220-x\r\n220", "250-x\n250-AUTH XOAUTH2\n250"},
		{"220 x\r\n220 y", "250 x\r\n250 AUTH XOAUTH2\r\n250 SIZE"},
		{"220-x\r\n220y", "250-x\r\n250-AUTH XOAUTH2\r\n250HELP"},
		{"220-x\r\n220:y", "250-x\r\n250_AUTH XOAUTH2\r\n250 SIZE"},
		{"220 x", "220 x again\r\n250-x\r\n250 AUTH XOAUTH2"},
		{"220-x\r\nwelcome\r\n220 y", "250 x\r\n250-SIZE\r\n250 AUTH XOAUTH2"},
	} {
		f := start(t, &fake{on: func(_ int, line string) string {
			switch {
			case line == "CONNECT":
				return c.greeting
			case strings.HasPrefix(line, "EHLO"):
				return c.hello
			}
			return ""
		}})
		p := newPool(t, f, func(c *Config) { c.ReplyTimeout = patience })
		if err := p.Check(t.Context()); err != nil {
			t.Errorf("%q, %q: %v", c.greeting, c.hello, err)
			continue
		}
		mustSend(t, p, "x\r\n")
	}
	// Another code is another reply.
	f := start(t, &fake{on: at("CONNECT", "220 x\r\n421 4.3.2 too busy")})
	if err := newPool(t, f).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "421 4.3.2 too busy") {
		t.Error(err)
	}
}
