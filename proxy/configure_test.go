package proxy

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/machine"
)

func (r *rig) configure(change func(*api.Settings)) ([]string, error) {
	was := r.server.Settings()
	to := was
	change(&to)
	return r.server.Configure(r.t.Context(), was.Change(to))
}

// TestConfigureAddresses: mail programs can use a new port at once, connected programs stay
// connected, and the old port is closed.
func TestConfigureAddresses(t *testing.T) {
	r := newRig(t, rigOptions{})
	text := readText(t, r.config)
	p := r.login(me)
	p.do("MAIL FROM:<"+me+">", "250")
	p.do("RCPT TO:<you@there.test>", "250")
	old := r.plain
	secure := r.tls
	free := machine.FreeAddress("127.0.0.1:0")
	if notes, err := r.configure(func(s *api.Settings) { s.Listen = []string{free} }); err != nil || len(notes) != 0 {
		t.Fatalf("notes %q, %v", notes, err)
	}
	r.plain = free
	if got := r.login(me).message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("on the new port: %q", got)
	}
	if c, err := net.Dial("tcp", old); err == nil {
		c.Close()
		t.Error("the old port is still open")
	}
	p.do("DATA", "354")
	p.send("in flight\r\n.\r\n")
	p.expect("250 2.0.0 OK")
	listeners := r.server.Snapshot().Listeners
	if len(listeners) != 2 || listeners[0] != (api.Listener{Protocol: "smtp", Address: free}) || listeners[1] != (api.Listener{Protocol: "smtp", Address: secure, TLS: true}) {
		t.Errorf("listens on %v", listeners)
	}
	want := strings.Replace(text, `listen = ["127.0.0.1:0"]`, `listen = ["`+free+`"]`, 1)
	if got := readText(t, r.config); !strings.HasPrefix(got, want[:200]) {
		t.Errorf("the file is\n%s", got)
	}
	r.dialTLS().do("QUIT", "221")
}

// TestConfigureForDevices: one change allows devices on the network and opens ports for them, the next
// takes both back.
func TestConfigureForDevices(t *testing.T) {
	r := newRig(t, rigOptions{})
	var own []string
	every := machine.FreeAddress("0.0.0.0:0")
	if _, err := r.configure(func(s *api.Settings) { own = s.ListenTLS; s.AllowRemote, s.ListenTLS = true, append(own, every) }); err != nil {
		t.Fatal(err)
	}
	s := r.server.Settings()
	if _, port, _ := net.SplitHostPort(every); !s.AllowRemote || s.Firewall != "" && !strings.Contains(s.Firewall, port) || strings.Contains(s.Firewall, "1465") {
		t.Errorf("settings: %+v", s)
	}
	if text := readText(t, r.config); !strings.Contains(text, "allow_remote = true") || !strings.Contains(text, every) {
		t.Errorf("the file is\n%s", text)
	}
	if _, err := r.configure(func(s *api.Settings) { s.AllowRemote = false }); err == nil {
		t.Error("an address that others reach stayed without being allowed")
	}
	if _, err := r.configure(func(s *api.Settings) { s.AllowRemote, s.ListenTLS = false, own }); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", strings.Replace(every, "0.0.0.0", "127.0.0.1", 1)); err == nil {
		c.Close()
		t.Error("the port for devices is still open")
	}
}

// TestConfigureMovesAnAddressToTLS: its listener stays and uses TLS from now on.
func TestConfigureMovesAnAddressToTLS(t *testing.T) {
	r := newRig(t, rigOptions{})
	free := machine.FreeAddress("127.0.0.1:0")
	if _, err := r.configure(func(s *api.Settings) { s.Listen = []string{free} }); err != nil {
		t.Fatal(err)
	}
	notes, err := r.configure(func(s *api.Settings) { s.Listen, s.ListenTLS = nil, []string{free} })
	if err != nil || len(notes) != 0 {
		t.Fatalf("notes %q, %v", notes, err)
	}
	r.tls = free
	p := r.dialTLS()
	p.auth(me, password)
	if l := r.server.Snapshot().Listeners; len(l) != 1 || l[0] != (api.Listener{Protocol: "smtp", Address: free, TLS: true}) {
		t.Errorf("listens on %v", l)
	}
}

// TestConfigureTakenPort: everything stays as it was, and the error names a free port.
func TestConfigureTakenPort(t *testing.T) {
	r := newRig(t, rigOptions{})
	before, text := r.server.Snapshot().Listeners, readText(t, r.config)
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	free := machine.FreeAddress("127.0.0.1:0")
	for name, change := range map[string]func(*api.Settings){
		"mail":    func(s *api.Settings) { s.Listen = []string{free, other.Addr().String()} },
		"metrics": func(s *api.Settings) { s.Listen, s.Metrics = []string{free}, other.Addr().String() },
	} {
		_, err = r.configure(change)
		var taken *api.PortTakenError
		if !errors.As(err, &taken) || taken.Address != other.Addr().String() || taken.Free == "" {
			t.Fatalf("%s: got %v", name, err)
		}
		l, err := net.Listen("tcp", taken.Free)
		if err != nil {
			t.Errorf("%s: the free address is not free: %v", name, err)
		} else {
			l.Close()
		}
		if c, err := net.Dial("tcp", free); err == nil {
			c.Close()
			t.Errorf("%s: the address that could be opened stayed open", name)
		}
		if now := r.server.Snapshot().Listeners; len(now) != 2 || now[0] != before[0] || now[1] != before[1] || readText(t, r.config) != text {
			t.Errorf("%s: listens on %v, the file is\n%s", name, now, readText(t, r.config))
		}
	}
	r.login(me)
	if _, err := r.configure(func(s *api.Settings) { s.Listen, s.ListenTLS = nil, nil }); err == nil {
		t.Error("a server without any address")
	}
}

// TestConfigureOwnPort: an address that needs the port of one that will be closed waits for
// the next start, and the old one stays in use until then.
func TestConfigureOwnPort(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only on Linux do the two addresses exclude each other")
	}
	r := newRig(t, rigOptions{config: func(c *config.Config) { c.AllowRemote = true }})
	free := machine.FreeAddress("127.0.0.1:0")
	if _, err := r.configure(func(s *api.Settings) { s.Listen = []string{free} }); err != nil {
		t.Fatal(err)
	}
	text := readText(t, r.config)
	if err := os.WriteFile(r.config, []byte("allow_remote = true\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	everywhere := "0.0.0.0:" + portOf(free)
	notes, err := r.configure(func(s *api.Settings) { s.Listen, s.ListenTLS = []string{everywhere}, nil })
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], everywhere) {
		t.Fatalf("notes %q, %v", notes, err)
	}
	r.plain = free
	r.login(me)
	if s := r.server.Settings(); s.Listen[0] != everywhere {
		t.Errorf("the settings say %v", s.Listen)
	}
	notes, err = r.configure(func(s *api.Settings) { s.Listen = []string{free, "203.0.113.9:1587"} })
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "203.0.113.9") {
		t.Errorf("an address of another machine: notes %q, %v", notes, err)
	}
	// The metrics may use the port, too.
	r.plain = machine.FreeAddress("127.0.0.1:0")
	if _, err := r.configure(func(s *api.Settings) { s.Metrics = r.plain }); err != nil {
		t.Fatal(err)
	}
	notes, err = r.configure(func(s *api.Settings) {
		s.Listen, s.ListenTLS, s.Metrics = []string{r.plain}, []string{"127.0.0.1:0"}, ""
	})
	if err != nil || len(notes) != 2 {
		t.Fatalf("notes %q, %v", notes, err)
	}
}

func TestConfigureMetrics(t *testing.T) {
	r := newRig(t, rigOptions{})
	get := func(addr string) string {
		resp, err := http.Get("http://" + addr + "/healthz")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		defer http.DefaultClient.CloseIdleConnections()
		text, _ := io.ReadAll(resp.Body)
		return string(text)
	}
	old := r.server.Snapshot().Metrics
	if got := get(old); got != "ok\n" {
		t.Fatal(got)
	}
	free := machine.FreeAddress("127.0.0.1:0")
	if _, err := r.configure(func(s *api.Settings) { s.Metrics = free }); err != nil {
		t.Fatal(err)
	}
	if got := get(free); got != "ok\n" || r.server.Snapshot().Metrics != free {
		t.Errorf("on the new port: %s", got)
	}
	if _, err := r.configure(func(s *api.Settings) { s.Metrics = "" }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are closed", func() bool { return get(old) != "ok\n" && get(free) != "ok\n" })
	if got := r.server.Snapshot().Metrics; got != "" {
		t.Errorf("metrics at %s", got)
	}
}

func TestConfigureTheRest(t *testing.T) {
	level := &slog.LevelVar{}
	r := newRig(t, rigOptions{})
	r.server.opts.LogLevel = level
	notes, err := r.configure(func(s *api.Settings) { s.LogLevel, s.Notifications, s.Theme, s.Language = "debug", false, "dark", "de" })
	if err != nil || len(notes) != 0 || level.Level() != slog.LevelDebug {
		t.Errorf("notes %q, %v, level %v", notes, err, level)
	}
	if s := r.server.Settings(); s.LogLevel != "debug" || s.Notifications || s.Theme != "dark" || s.Language != "de" || s.Keystore != "memory" {
		t.Errorf("%+v", s)
	}
	c, err := config.Load(r.config)
	if err != nil || c.LogLevel != "debug" || c.Notifications || c.Theme != "dark" || c.Language != "de" || len(c.Accounts) != 1 {
		t.Errorf("the file: %+v, %v", c, err)
	}
	before := readText(t, r.config)
	for name, change := range map[string]func(*api.Settings){
		"log_level":  func(s *api.Settings) { s.LogLevel = "loud" },
		"theme":      func(s *api.Settings) { s.Theme = "loud" },
		"language":   func(s *api.Settings) { s.Language = "tlh" },
		"keystore":   func(s *api.Settings) { s.Keystore = "file" },
		"http_proxy": func(s *api.Settings) { s.HTTPProxy = "http://me:secret-word@proxy.corp.test:3128" },
	} {
		if _, err := r.configure(change); err == nil || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := readText(t, r.config); got != before {
		t.Errorf("refused settings changed the file:\n%s", got)
	}
	r.configure(func(*api.Settings) {})
	r.server.Configure(t.Context(), api.Settings{}.Change(r.server.Settings()))
	if got := readText(t, r.config); got != before {
		t.Errorf("no change changed the file:\n%s", got)
	}
}

// TestConfigureKeepsEditsOfTheFile: settings that somebody has edited in the file since it was
// read, and that are not changed here, stay.
func TestConfigureKeepsEditsOfTheFile(t *testing.T) {
	r := newRig(t, rigOptions{})
	text := strings.Replace(readText(t, r.config), `metrics = "127.0.0.1:0"`, `metrics = "" # none, please`, 1)
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.configure(func(s *api.Settings) { s.LogLevel = "warn" }); err != nil {
		t.Fatal(err)
	}
	if got := readText(t, r.config); !strings.Contains(got, `metrics = "" # none, please`) || !strings.Contains(got, `log_level = "warn"`) {
		t.Errorf("the file is\n%s", got)
	}
}

// TestConfigureUndoesNoOtherChange: two windows that show the same settings each change another
// one. The second used to write back what it had read before the first change.
func TestConfigureUndoesNoOtherChange(t *testing.T) {
	r := newRig(t, rigOptions{})
	shown := r.server.Settings()
	free := machine.FreeAddress("127.0.0.1:0")
	port, level := shown, shown
	port.Listen, level.LogLevel = []string{free}, "debug"
	for _, to := range []api.Settings{port, level} {
		if _, err := r.server.Configure(t.Context(), shown.Change(to)); err != nil {
			t.Fatal(err)
		}
	}
	if s := r.server.Settings(); !slices.Equal(s.Listen, port.Listen) || s.LogLevel != "debug" {
		t.Errorf("%+v", s)
	}
}

// TestConfigureWithoutServing: if nothing is running, the command line changes settings in the
// file only, and nothing is opened.
func TestConfigureWithoutServing(t *testing.T) {
	r := newRig(t, rigOptions{idle: true})
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := r.configure(func(s *api.Settings) { s.Listen = []string{other.Addr().String()} }); err != nil {
		t.Errorf("%v", err)
	}
	if !strings.Contains(readText(t, r.config), other.Addr().String()) {
		t.Error("the file does not have it")
	}
	if l := r.server.Snapshot().Listeners; len(l) != 0 {
		t.Errorf("listens on %v", l)
	}
}

func TestConfigureAfterTheEnd(t *testing.T) {
	r := newRig(t, rigOptions{})
	free := machine.FreeAddress("127.0.0.1:0")
	if err := r.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.configure(func(s *api.Settings) { s.Listen = []string{free} }); !errors.Is(err, errStopping) {
		t.Errorf("got %v", err)
	}
	if c, err := net.Dial("tcp", free); err == nil {
		c.Close()
		t.Error("a server that has ended still listens")
	}
}

func TestTakenPortAtTheStart(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s, err := New(Options{Config: config.Config{Listen: []string{other.Addr().String()}}, Secrets: keystore.Memory()})
	if err != nil {
		t.Fatal(err)
	}
	var taken *api.PortTakenError
	if err := s.Serve(t.Context()); !errors.As(err, &taken) || taken.Free == "" || taken.Free == taken.Address {
		t.Errorf("Serve: %v", err)
	}
}

func TestFreeAddress(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1:1587": true, "[::1]:65535": true, "192.0.2.1:1587": false, "nonsense": false} {
		if got := machine.FreeAddress(addr); (got != "") != want && addr[0] != '[' {
			t.Errorf("%s: %q", addr, got)
		}
	}
}

func TestCertificateInfo(t *testing.T) {
	r := newRig(t, rigOptions{})
	i, err := r.server.Certificate()
	if err != nil || readText(t, i.File) != i.PEM || strings.Contains(i.PEM, "KEY") || len(i.Fingerprint) != 95 || i.NotAfter == "" {
		t.Errorf("%+v, %v", i, err)
	}
}

func TestMailSettings(t *testing.T) {
	r := newRig(t, rigOptions{})
	s, err := r.server.MailSettings(t.Context(), "ME@corp.test", false)
	if err != nil || s.User != me || s.Password != password || len(s.Servers) != 2 || s.Servers[0].TLS || s.Servers[0].Port == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	s, err = r.server.MailSettings(t.Context(), me, true)
	if err != nil || s.Password == password {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := r.server.MailSettings(t.Context(), "nobody@corp.test", false); err == nil {
		t.Error("an account that does not exist has settings")
	}
}

// TestConfigureWhileMailFlows: no message and no connection is lost, whatever is changed and
// however often.
func TestConfigureWhileMailFlows(t *testing.T) {
	r := newRig(t, rigOptions{})
	addresses := []string{machine.FreeAddress("127.0.0.1:0"), r.plain}
	stop := make(chan struct{})
	var programs sync.WaitGroup
	var sent atomic.Int64
	for range 4 {
		p := r.login(me)
		programs.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				p.send("MAIL FROM:<" + me + ">\r\nRCPT TO:<you@there.test>\r\nDATA\r\n")
				for _, want := range []string{"250", "250", "354"} {
					if got := p.reply(); !strings.HasPrefix(got, want) {
						t.Errorf("got %q, want %s", got, want)
						return
					}
				}
				p.send("hello\r\n.\r\n")
				if got := p.reply(); !strings.HasPrefix(got, "250") {
					t.Errorf("got %q, want 250", got)
					return
				}
				sent.Add(1)
			}
		})
	}
	for n := range 20 {
		level := []string{"debug", "info"}[n%2]
		if _, err := r.configure(func(s *api.Settings) { s.Listen, s.LogLevel = addresses[n%2:n%2+1], level }); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	programs.Wait()
	if s := r.server.Snapshot(); s.Totals["sent"] != sent.Load() || int64(len(r.provider.Messages())) != sent.Load() || len(s.Listeners) != 2 {
		t.Errorf("%d sent, %d arrived, the programs know of %d; listens on %v", s.Totals["sent"], len(r.provider.Messages()), sent.Load(), s.Listeners)
	}
}
