package proxy

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// believes makes the addresses balancers of a server.
func believes(from ...string) func(*config.Config) {
	return func(c *config.Config) { c.ProxyProtocol.From = from }
}

const (
	v2Signature = "\r\n\r\n\x00\r\nQUIT\n"
	claimed     = "203.0.113.5:40000" // by what follows
	headerV1    = "PROXY TCP4 203.0.113.5 198.51.100.1 40000 587\r\n"
	headerV2    = v2Signature + "\x21\x11\x00\x0c" + "\xcb\x00\x71\x05\xc6\x33\x64\x01\x9c\x40\x02\x4b"
)

// headerV2With is headerV2 with an extension (TLV) of this type and value.
func headerV2With(kind byte, value string) string {
	payload := headerV2[16:] + string(kind) + string(binary.BigEndian.AppendUint16(nil, uint16(len(value)))) + value
	return v2Signature + "\x21\x11" + string(binary.BigEndian.AppendUint16(nil, uint16(len(payload)))) + payload
}

// notLocal are headers that name nobody, or somebody on loopback.
var notLocal = map[string]string{
	"v1 that claims loopback":      "PROXY TCP4 127.0.0.1 127.0.0.1 40000 587\r\n",
	"v1 that claims IPv6 loopback": "PROXY TCP6 ::1 ::1 40000 587\r\n",
	"v1, unknown":                  "PROXY UNKNOWN\r\n",
	"v2 that claims loopback":      v2Signature + "\x21\x11\x00\x0c" + "\x7f\x00\x00\x01\x7f\x00\x00\x01\x9c\x40\x02\x4b",
	"v2, local":                    v2Signature + "\x20\x00\x00\x00",
	"v2, no family":                v2Signature + "\x21\x00\x00\x00",
	"v2, UNIX":                     v2Signature + "\x21\x31\x00\xd8" + strings.Repeat("\x00", 216),
}

// behind is a balancer that has sent a header to a port, and has not heard the greeting. Where the port is
// for TLS, its client has begun that.
func (r *rig) behind(p api.Protocol, implicit bool, header string) *reader {
	r.t.Helper()
	c, err := net.Dial("tcp", r.at(p, implicit))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, header); err != nil {
		r.t.Fatal(err)
	}
	if implicit {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	return &reader{t: r.t, protocol: p, conn: c, r: bufio.NewReader(c)}
}

// greeted hears the greeting.
func (x *reader) greeted() *reader {
	x.t.Helper()
	if got := x.line(); !strings.HasPrefix(got, greetings[x.protocol]) {
		x.t.Fatalf("greeting: %q", got)
	}
	return x
}

var (
	greetings = map[api.Protocol]string{api.SMTP: "220 ", api.IMAP: "* OK", api.POP: "+OK"}
	upgrades  = map[api.Protocol]string{api.SMTP: "STARTTLS", api.IMAP: "STARTTLS", api.POP: "STLS"}
)

// tries is the answer to a login, in any protocol.
func (x *reader) tries(password string) string {
	x.t.Helper()
	if x.protocol != api.SMTP {
		return x.login(me, password)
	}
	p := &program{t: x.t, conn: x.conn, r: x.r}
	p.send("EHLO test.example\r\n")
	p.reply()
	p.send("AUTH PLAIN " + plainResponse(me, password) + "\r\n")
	return p.reply()
}

func (x *reader) accepted(answer string) bool {
	if x.protocol == api.SMTP {
		return strings.HasPrefix(answer, "235")
	}
	return x.ok(answer)
}

// leave ends a session, and waits until the provider has noticed: POP has one at a time.
func (x *reader) leave(r *rig) {
	x.t.Helper()
	x.conn.Close()
	if x.protocol.Reads() {
		eventually(r.t.(*testing.T), "the session ends", func() bool { return r.gauges(x.protocol).Sessions == 0 })
	}
}

// upgrade does STARTTLS.
func (x *reader) upgrade() {
	x.t.Helper()
	x.send(map[bool]string{true: "s ", false: ""}[x.protocol == api.IMAP] + upgrades[x.protocol] + "\r\n")
	x.line()
	c := tls.Client(x.conn, &tls.Config{InsecureSkipVerify: true})
	x.conn, x.r = c, bufio.NewReader(c)
}

func allProtocols(t *testing.T, test func(t *testing.T, p api.Protocol)) {
	for _, p := range api.Protocols {
		t.Run(string(p), func(t *testing.T) { test(t, p) })
	}
}

// TestBehindABalancer: for every protocol, with TLS and without, the client is the one that the header
// names: in the log, in the activity, and in what it must do to log in.
func TestBehindABalancer(t *testing.T) {
	allProtocols(t, func(t *testing.T, p api.Protocol) {
		r := newRig(t, rigOptions{reads: both, config: believes("127.0.0.1")})
		for name, header := range map[string]string{
			"v1": headerV1, "v2": headerV2, "v2 with extensions": headerV2With(0x05, "an ID"), "v2 with garbage": headerV2With(0xff, strings.Repeat("\r\nQUIT\n", 300)),
		} {
			t.Run(name, func(t *testing.T) {
				x := r.behind(p, false, header).greeted()
				if got := x.tries(password); x.accepted(got) {
					t.Errorf("in clear text: %q", got)
				}
				x = r.behind(p, false, header).greeted()
				x.upgrade()
				if got := x.tries(password); !x.accepted(got) {
					t.Errorf("after %s: %q", upgrades[p], got)
				}
				x.leave(r)
				r.log.reset()
				x = r.behind(p, true, header).greeted()
				if got := x.tries("wrong"); x.accepted(got) {
					t.Errorf("a wrong password: %q", got)
				}
				if got := x.tries(password); !x.accepted(got) {
					t.Errorf("over TLS: %q", got)
				}
				x.leave(r)
				if log := r.log.String(); !strings.Contains(log, "client="+claimed) || strings.Contains(log, "client=127.0.0.1") {
					t.Errorf("the log names another client:\n%s", log)
				}
			})
		}
		failed := r.events(api.Login)
		if len(failed) == 0 {
			t.Error("the wrong passwords are not listed")
		}
		for _, a := range failed {
			if a.Client != "203.0.113.5" {
				t.Errorf("listed as %q", a.Client)
			}
		}
	})
}

// TestBalancerMakesNobodyLocal: neither a balancer on this computer nor a header that claims loopback lets
// anyone log in without TLS.
func TestBalancerMakesNobodyLocal(t *testing.T) {
	allProtocols(t, func(t *testing.T, p api.Protocol) {
		r := newRig(t, rigOptions{reads: both, config: believes("127.0.0.1")})
		for name, header := range notLocal {
			t.Run(name, func(t *testing.T) {
				x := r.behind(p, false, header).greeted()
				if got := x.tries(password); x.accepted(got) {
					t.Errorf("in clear text: %q", got)
				}
				x = r.behind(p, true, header).greeted()
				if got := x.tries(password); !x.accepted(got) {
					t.Errorf("over TLS: %q", got)
				}
				x.leave(r)
			})
		}
	})
}

// TestHeaderFromElsewhereMeansNothing: a client that is not a balancer and sends a header has sent garbage,
// and is who it is.
func TestHeaderFromElsewhereMeansNothing(t *testing.T) {
	for name, from := range map[string][]string{"no balancers": nil, "others": {"192.0.2.0/24", "::1"}} {
		t.Run(name, func(t *testing.T) {
			allProtocols(t, func(t *testing.T, p api.Protocol) {
				r := newRig(t, rigOptions{reads: both, config: believes(from...)})
				x := r.behind(p, false, headerV1).greeted()
				if got := x.line(); !strings.HasPrefix(got, "500 ") && !strings.HasPrefix(got, "-ERR") && !strings.Contains(got, "BAD") {
					t.Errorf("told %q", got)
				}
				if got := x.tries("wrong"); x.accepted(got) {
					t.Errorf("a wrong password: %q", got)
				}
				for _, a := range r.events(api.Login) {
					if a.Client != "127.0.0.1" {
						t.Errorf("listed as %q", a.Client)
					}
				}
				for _, header := range []string{headerV2, headerV1, v2Signature + "\x20\x00\x00\x00"} {
					r.behind(p, true, header).conn.Close()
					io.ReadAll(r.behind(p, false, header+"\r\nQUIT\r\n").conn)
				}
				if log := r.log.String(); strings.Contains(log, "203.0.113.5") || strings.Contains(log, "panic") {
					t.Errorf("log:\n%s", log)
				}
			})
		})
	}
}

// TestSlowHeaderHoldsUpNobody: connections whose header does not come, or comes byte by byte, wait alone.
func TestSlowHeaderHoldsUpNobody(t *testing.T) {
	allProtocols(t, func(t *testing.T, p api.Protocol) {
		r := newRig(t, rigOptions{reads: both, config: believes("127.0.0.1")})
		var slow []*reader
		for range 20 {
			slow = append(slow, r.behind(p, false, ""), r.behind(p, false, headerV2[:17]))
		}
		r.behind(p, false, headerV2).greeted()
		pieces := slow[0]
		for _, b := range []byte(headerV1) {
			pieces.send(string(b))
		}
		pieces.greeted()
		slow[1].send(headerV2[17:])
		slow[1].greeted()
		r.stop() // does not wait for the rest
		if log := r.log.String(); strings.Contains(log, "no usable header") {
			t.Errorf("a stop is nobody's fault:\n%s", log)
		}
	})
}

// TestChecksOfABalancer: a balancer that looks whether a port is open, with a header or without, leaves
// nothing in the log; one that sends something else is told what is missing, and so is the log, once.
func TestChecksOfABalancer(t *testing.T) {
	allProtocols(t, func(t *testing.T, p api.Protocol) {
		r := newRig(t, rigOptions{reads: both, config: believes("127.0.0.0/8")})
		before := r.server.Snapshot()
		r.log.reset()
		for _, implicit := range []bool{false, true} {
			for _, header := range []string{"", headerV1, v2Signature + "\x20\x00\x00\x00"} {
				x := r.behind(p, implicit, header)
				if implicit {
					x.conn = x.conn.(*tls.Conn).NetConn()
				}
				x.conn.(*net.TCPConn).SetLinger(0) // HAProxy's checks end with a reset
				x.conn.Close()
			}
		}
		eventually(t, "all are gone", func() bool { return r.server.Snapshot().Clients == 0 && r.server.introducing.Load() == 0 })
		told := slices.DeleteFunc(strings.Split(r.log.String(), "\n"), func(line string) bool {
			// wine has a reset that comes early fail accept, which Windows does not
			return !strings.Contains(line, "level=INFO") && !strings.Contains(line, "level=WARN") && !strings.Contains(line, "level=ERROR") ||
				runtime.GOOS == "windows" && strings.Contains(line, "accept failed")
		})
		if len(told) > 0 {
			t.Errorf("checks are logged:\n%s", strings.Join(told, "\n"))
		}
		for range 3 {
			x := r.behind(p, false, "NOOP\r\n")
			if got := x.line(); !strings.Contains(got, noHeader) || !strings.HasPrefix(got, goodbye[p]) {
				t.Errorf("without a header: %q", got)
			}
		}
		if s := r.server.Snapshot(); s.AuthFailures != before.AuthFailures || len(r.events(api.Login)) != 0 {
			t.Errorf("%d logins failed", s.AuthFailures)
		}
		if log := r.log.String(); strings.Count(log, "no usable header") != 1 {
			t.Errorf("log:\n%s", log)
		}
	})
}

// TestTooManyHeadersWait: whoever connects without ever sending a header takes no more than the places for
// that, and nobody else's.
func TestTooManyHeadersWait(t *testing.T) {
	r := newRig(t, rigOptions{config: believes("127.0.0.1")})
	r.server.introducing.Add(1 << 20)
	if got := r.behind(api.SMTP, false, headerV1).line(); got != gone {
		t.Errorf("told %q", got)
	}
	r.server.introducing.Add(-1 << 20)
	r.behind(api.SMTP, false, headerV1).greeted()
}

// TestBalancersChange with a reload, without an end of anybody's connection.
func TestBalancersChange(t *testing.T) {
	r := newRig(t, rigOptions{})
	direct := r.login(me)
	reload := func(lines string) {
		t.Helper()
		text := readText(t, r.config)
		text, _, _ = strings.Cut(text, "\n[proxy_protocol]")
		if err := os.WriteFile(r.config, []byte(text+"\n[proxy_protocol]\n"+lines+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := r.server.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	reload(`from = ["127.0.0.1"]`)
	relayed := r.behind(api.SMTP, true, headerV2).greeted()
	reload(`from = ["192.0.2.1"]`)
	r.login(me)
	if got := relayed.tries(password); !relayed.accepted(got) {
		t.Errorf("a client that came before: %q", got)
	}
	if got := direct.message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("a program that came before: %q", got)
	}
	reload(`from = []`)
	r.login(me)
	if err := os.WriteFile(r.config, []byte(readText(t, r.config)+"\nfroms = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.server.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), `did you mean "from"?`) {
		t.Errorf("an unknown key: %v", err)
	}
}

// TestBalancersClientSeesOwnCertificate: the certificate of [tls], even where the balancer is on this
// computer and the client asks for no name.
func TestBalancersClientSeesOwnCertificate(t *testing.T) {
	files := newPair(t, office, time.Now().AddDate(0, 0, 60))
	r := newRig(t, rigOptions{reads: both, config: func(c *config.Config) {
		files.use(c)
		believes("127.0.0.1")(c)
	}})
	for _, p := range api.Protocols {
		x := r.behind(p, true, headerV2).greeted()
		if cert := x.conn.(*tls.Conn).ConnectionState().PeerCertificates[0]; cert.VerifyHostname(office) != nil {
			t.Errorf("%s: a certificate for %v", p, cert.DNSNames)
		}
	}
}

// TestDoctorOnBalancers: networks that are too wide are found.
func TestDoctorOnBalancers(t *testing.T) {
	for from, want := range map[string]string{
		"10.0.0.0/8, 127.0.0.2": "", "10.0.0.0/8, 0.0.0.0/0": "with 0.0.0.0/0 in the list of load balancers, everyone can claim", "::/0": "with ::/0", "127.0.0.0/8": "includes programs on this computer", "::1": "::1/128 in the list",
	} {
		r := newRig(t, rigOptions{noAccount: true, config: believes(strings.Split(from, ", ")...)})
		var found *api.Check
		r.server.Doctor(t.Context(), func(c api.Check) {
			if c.Name == api.CheckBalancers {
				found = &c
			}
		})
		switch {
		case found == nil:
			t.Errorf("%s: not checked", from)
		case found.OK != (want == "") || !strings.Contains(found.Line(), want):
			t.Errorf("%s: %s", from, found.Line())
		}
		if warned := strings.Contains(r.log.String(), "[proxy_protocol] is too wide"); warned != (want != "") {
			t.Errorf("%s: warned %v", from, warned)
		}
	}
}

// TestDrain: /readyz says no at once, and everything else goes on until the stop.
func TestDrain(t *testing.T) {
	r := newRig(t, rigOptions{reads: both, config: func(c *config.Config) { c.DrainDelay = config.Duration(time.Minute) }})
	if got := r.server.Drain(); got != time.Minute {
		t.Errorf("waits %s", got)
	}
	w := httptest.NewRecorder()
	r.server.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	if w.Code != 503 || w.Body.String() != "draining\n" || r.server.Snapshot().State != api.Draining {
		t.Errorf("/readyz: %d %q; state %s", w.Code, w.Body, r.server.Snapshot().State)
	}
	if got := r.login(me).message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("a new program: %q", got)
	}
	for _, p := range both {
		r.reading(p, me)
	}
	if got := r.server.Drain(); got != 0 {
		t.Errorf("a second time, it waits %s", got)
	}
	for name, o := range map[string]rigOptions{
		"without a delay": {},
		"paused":          {config: func(c *config.Config) { c.DrainDelay = config.Duration(time.Minute) }, prepare: func(s *Server) { s.SetPaused(true) }},
		"starting":        {config: func(c *config.Config) { c.DrainDelay = config.Duration(time.Minute) }, idle: true},
	} {
		r := newRig(t, o)
		was := r.server.Snapshot().State
		if got := r.server.Drain(); got != 0 || r.server.Snapshot().State != was {
			t.Errorf("%s, it waits %s; state %s", name, got, r.server.Snapshot().State)
		}
	}
}
