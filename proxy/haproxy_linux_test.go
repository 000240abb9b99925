package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// exampleHAProxy is the configuration that docs/server.md describes.
const exampleHAProxy = "../docs/haproxy.cfg"

func haproxyProgram(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("NOT TESTED: install haproxy (make packages)")
	}
	return program
}

// TestExampleForHAProxy: HAProxy finds no fault with the example, and it has every port.
func TestExampleForHAProxy(t *testing.T) {
	text := readText(t, exampleHAProxy)
	for _, l := range config.Default().Listeners() {
		if !strings.Contains(text, fmt.Sprintf(":%d\n", netip.MustParseAddrPort(l.Address).Port())) {
			t.Errorf("the example lacks %s", l.Address)
		}
	}
	if out, err := exec.Command(haproxyProgram(t), "-c", "-f", exampleHAProxy).CombinedOutput(); err != nil || strings.Contains(string(out), "WARNING") {
		t.Errorf("%v\n%s", err, out)
	}
}

// haproxy is a running HAProxy with the example's configuration, in front of rigs in the place of the
// machines.
type haproxy struct {
	t     *testing.T
	ports map[string]string // of each `listen`, what clients connect to
	unix  string            // a socket that leads to its port for SMTP with TLS
}

// startHAProxy starts it, with a header of this version. It connects from 127.0.0.2.
func startHAProxy(t *testing.T, send string, machines ...*rig) *haproxy {
	t.Helper()
	program := haproxyProgram(t)
	dir := safeiotest.Dir(t)
	h := &haproxy{t, map[string]string{}, filepath.Join(dir, "smtp.sock")}
	text := readText(t, exampleHAProxy)
	text = strings.Replace(text, "send-proxy-v2 check", send+" source 127.0.0.2 check", 1)
	text = strings.Replace(text, "inter 2s", "inter 50ms", 1)
	text = strings.Replace(text, "maxconn 20000", "maxconn 200", 1) // as many files as a test may open
	section := ""
	lines := strings.Split(text, "\n")
	server := regexp.MustCompile(`^ +server mail(\d) `)
	for i, line := range lines {
		if name, ok := strings.CutPrefix(line, "listen "); ok {
			section = name
		}
		protocol, implicit := strings.CutSuffix(section, "-tls")
		if strings.HasPrefix(line, "    bind ") {
			h.ports[section] = freeAddress(t)
			lines[i] = "    bind " + h.ports[section]
			if section == "smtp-tls" {
				lines[i] += "\n    bind unix@" + h.unix
			}
		} else if m := server.FindStringSubmatch(line); m != nil {
			n := int(m[1][0] - '1')
			if n >= len(machines) {
				lines[i] = ""
				continue
			}
			_, port, _ := net.SplitHostPort(machines[n].server.Snapshot().Metrics)
			lines[i] = fmt.Sprintf("    server mail%d %s port %s", n+1, machines[n].at(api.Protocol(protocol), implicit), port)
		}
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "-db", "-f", file)
	out := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-exited
		if t.Failed() {
			t.Logf("haproxy:\n%s", out)
		}
	})
	eventually(t, "haproxy listens", func() bool {
		select {
		case <-exited:
			t.Fatal("haproxy has ended")
		default:
		}
		c, err := net.Dial("tcp", h.ports["smtp"])
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return h
}

// realClient is the address from which programs connect to HAProxy.
const realClient = "127.0.0.3"

// dial connects a program to HAProxy, and hears the greeting.
func (h *haproxy) dial(p api.Protocol, implicit bool) *reader {
	h.t.Helper()
	section := string(p)
	if implicit {
		section += "-tls"
	}
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(realClient)}}
	c, err := from.DialContext(h.t.Context(), "tcp", h.ports[section])
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	if implicit {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	x := &reader{t: h.t, protocol: p, conn: c, r: bufio.NewReader(c)}
	return x.greeted()
}

func (r *rig) beReady(t *testing.T) {
	eventually(t, "the accounts are read", func() bool { return r.server.notReady() == "" })
}

// TestHAProxy: behind a real HAProxy with the example's configuration, clients of all protocols are who
// they are, and its checks leave nothing in the log.
func TestHAProxy(t *testing.T) {
	for _, send := range []string{"send-proxy", "send-proxy-v2"} {
		t.Run(send, func(t *testing.T) {
			haproxyProgram(t)
			r := newRig(t, rigOptions{reads: both, config: believes("127.0.0.2")})
			r.beReady(t)
			h := startHAProxy(t, send, r)
			allProtocols(t, func(t *testing.T, p api.Protocol) {
				for _, implicit := range []bool{false, true} {
					x := h.dial(p, implicit)
					if !implicit {
						if got := x.tries(password); x.accepted(got) {
							t.Errorf("in clear text: %q", got)
						}
						x = h.dial(p, false)
						x.upgrade()
					}
					if got := x.tries("wrong"); x.accepted(got) {
						t.Errorf("a wrong password: %q", got)
					}
					if got := x.tries(password); !x.accepted(got) {
						t.Errorf("login: %q", got)
					}
					if p == api.SMTP {
						sends := &program{t: t, conn: x.conn, r: x.r}
						if got := sends.message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
							t.Errorf("a message: %q", got)
						}
					}
					x.leave(r)
				}
			})
			for _, a := range r.events(api.Login) {
				if a.Client != realClient {
					t.Errorf("listed as %q", a.Client)
				}
			}
			log := r.log.String()
			if strings.Contains(log, "client=127.0.0.2") || strings.Contains(log, "no usable header") || !strings.Contains(log, "client="+realClient) {
				t.Errorf("log:\n%s", log)
			}
			c, err := net.Dial("unix", h.unix) // whose client HAProxy does not name
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
			x := (&reader{t: t, protocol: api.SMTP, conn: c, r: bufio.NewReader(c)}).greeted()
			if got := x.tries(password); !x.accepted(got) {
				t.Errorf("through a UNIX socket: %q", got)
			}
			r.login(me) // a program on this computer needs no header
		})
	}
}

// TestRollingRestart: a machine behind HAProxy is stopped with drain_delay, while programs connect all the
// time. 40 connections failed when its ports closed at once.
func TestRollingRestart(t *testing.T) {
	haproxyProgram(t)
	machine := func() *rig {
		r := newRig(t, rigOptions{reads: both, config: func(c *config.Config) {
			believes("127.0.0.2")(c)
			c.DrainDelay = config.Duration(time.Minute)
		}})
		r.beReady(t)
		return r
	}
	first, second := machine(), machine()
	h := startHAProxy(t, "send-proxy-v2", first, second)
	session := func() {
		x := h.dial(api.SMTP, true)
		if got := x.tries(password); !x.accepted(got) {
			t.Fatalf("login: %q", got)
		}
		p := &program{t: t, conn: x.conn, r: x.r}
		if got := p.message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
			t.Fatalf("a message: %q", got)
		}
		p.do("QUIT", "221")
		x.conn.Close()
	}
	for first.server.hall.Sessions() == 0 || second.server.hall.Sessions() == 0 {
		session()
	}
	if first.server.Drain() == 0 {
		t.Fatal("it does not drain")
	}
	began := first.server.hall.Sessions()
	for alone := 0; alone < 20; { // until HAProxy has noticed
		session()
		if now := first.server.hall.Sessions(); now != began {
			began, alone = now, 0
		} else {
			alone++
		}
	}
	first.stop()
	for range 10 {
		session()
	}
	if first.server.hall.Sessions() != began {
		t.Error("the first machine had sessions after it was out")
	}
}
