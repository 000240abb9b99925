//go:build e2e && clients

package e2e

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/e2e/marionette"
	"github.com/waxseal/waxseal/proxy/api"
	setup "github.com/waxseal/waxseal/ui/programs"
)

// thunderbird is a running Thunderbird that reads from an access and sends through Waxseal.
type thunderbird struct {
	*marionette.Thunderbird
	t *testing.T
}

// startThunderbird starts Thunderbird on a screen. It knows the password.
func startThunderbird(t *testing.T, a access, smtp, display string) *thunderbird {
	t.Helper()
	profile, home := t.TempDir(), t.TempDir()
	in := setupServer(t, api.Protocol(a.protocol), a.address, a.pick("none", "starttls", "tls"))
	out := setupServer(t, api.SMTP, smtp, "none")
	v := setup.Values{User: a.user, SMTP: out, IMAP: in}
	if a.protocol == "pop" {
		v.IMAP, v.POP = nil, in
	}
	// The password is stored only after the start.
	marionette.WriteProfile(t, profile, setup.Thunderbird("", v)+`user_pref("mail.server.server1.login_at_startup", false);`)
	d := &desk{t: t, dir: home, env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "DISPLAY=" + display,
		"LC_ALL=C.UTF-8", "NO_AT_BRIDGE=1", "GDK_BACKEND=x11", "MOZ_CRASHREPORTER_DISABLE=1", "DBUS_SESSION_BUS_ADDRESS=disabled:"}}
	p := d.startProgram("thunderbird", "--profile", profile, "--no-remote", "--marionette", "--remote-allow-system-access")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Thunderbird:\n%s", p.said())
		}
	})
	b := &thunderbird{marionette.Connect(t, profile), t}
	b.does("remember", a.password, out.Host)
	return b
}

// setupServer is a server as `waxseal setup` has it.
func setupServer(t *testing.T, p api.Protocol, address, security string) *setup.Server {
	t.Helper()
	host, number, err := net.SplitHostPort(address)
	port, wrong := strconv.Atoi(number)
	if err != nil || wrong != nil {
		t.Fatal(address)
	}
	return &setup.Server{Protocol: p, Host: host, Port: port, Security: security}
}

// script runs the script of testdata/programs.
func (b *thunderbird) script(result any, args ...any) {
	b.t.Helper()
	script, err := os.ReadFile("testdata/programs/thunderbird.js")
	if err != nil {
		b.t.Fatal(err)
	}
	b.Script(string(script), result, args...)
}

// does something that must work.
func (b *thunderbird) does(args ...any) {
	b.t.Helper()
	var result any
	if b.script(&result, args...); result != true {
		b.t.Fatalf("%v: %v", args, result)
	}
}

// lists returns the messages that Thunderbird shows after it has fetched.
func (b *thunderbird) lists() (all []string) {
	b.t.Helper()
	b.script(&all, "read")
	return all
}

// startScreen starts an X server without a screen, and returns its display.
func startScreen(t *testing.T) string {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir(), env: os.Environ()}
	return ":" + d.startProgram("Xvfb", "-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp").mustSay(t, `^\d+$`)[0]
}

// TestThunderbirdReads reads, marks, moves, sends and waits for mail with Thunderbird.
func TestThunderbirdReads(t *testing.T) {
	needs(t, "thunderbird", "Xvfb")
	display := startScreen(t)
	r := newReader(t, "tia@mail.test")
	filled(t, r.address, generated(30))
	for _, protocol := range []string{"imap", "pop"} {
		t.Run(protocol, func(t *testing.T) {
			unread(t, r.address)
			want := startThunderbird(t, directly(t, r.address, protocol, clear), r.starttls, display).lists()
			unread(t, r.address)
			b := startThunderbird(t, r.through(t, protocol, clear), r.starttls, display)
			if got := b.lists(); !slices.Equal(got, want) || len(got) < 24 {
				t.Errorf("through Waxseal it shows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			b.does("send", "tb-"+protocol+"@else.test", "From Thunderbird")
			peers.sink.received(t, "tb-"+protocol+"@else.test")
			if protocol == "pop" {
				return
			}
			b.does("change")
			got := startThunderbird(t, directly(t, r.address, protocol, clear), r.starttls, display).lists()
			if want := b.lists(); !slices.Equal(got, want) {
				t.Errorf("after changes the server has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			direct(t, r.address).append("INBOX", "", strings.Replace(generated(1)[0], "=?utf-8?q?number_0_=C3=BC?=", "pushed", 1))
			b.does("pushed", "pushed")
		})
	}
	r.stop()
}

// TestThunderbirdAsksForNoPassword: a person types another password only where another one helps. If the
// consent has gone, Thunderbird shows what to do, and does not ask.
func TestThunderbirdAsksForNoPassword(t *testing.T) {
	needs(t, "thunderbird", "Xvfb")
	display := startScreen(t)
	for _, protocol := range []string{"imap", "pop"} {
		r := newReader(t, "tom-"+protocol+"@mail.test")
		login := func(a access) (alerts, dialog string) {
			var said []string
			b := startThunderbird(t, a, r.starttls, display)
			b.script(&said, "login")
			return strings.Join(said, "\n"), b.Dialog()
		}
		t.Run(protocol+"/wrong password", func(t *testing.T) {
			a := r.through(t, protocol, clear)
			a.password = "wrong"
			alerts, dialog := login(a)
			if !strings.Contains(dialog, "failed") {
				t.Errorf("it alerts %q and asks %q", alerts, dialog)
			}
			t.Log(alerts, dialog)
		})
		t.Run(protocol+"/revoked consent", func(t *testing.T) {
			grant := peers.provider.last(t, r.address)
			peers.provider.revoke(t, grant, grant.Refresh)
			alerts, dialog := login(r.through(t, protocol, clear))
			if said := alerts + dialog; !strings.Contains(said, "account reauthorize "+r.address) || strings.Contains(said, "Login to server") {
				t.Errorf("it alerts %q and asks %q", alerts, dialog)
			}
			t.Log(alerts, dialog)
		})
		r.stop()
	}
}

// needs skips the test if a program is not installed.
func needs(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		program{command: name}.mustBeThere(t)
	}
}
