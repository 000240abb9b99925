package ui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2/test"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// story is one screen in one state. All of them together are the storybook: each
// is compared with its golden file, looked at for texts that are cut, and some
// become the pictures of the documentation.
type story struct {
	name    string
	page    Page
	backend func() *fake
	options Options
	act     func(*stage) // after the page is shown
	image   bool         // compared as a picture too
	shot    string       // the name of its picture in docs/img
	foreign bool         // has glyphs that Fyne's own font lacks: no picture of it is the same everywhere
}

func (y story) stage(t testing.TB, g staging) *stage {
	t.Helper()
	g.options = y.options
	g.options.OpenURL = func(string) error { return nil }
	g.options.OpenFolder = func(string) error { return nil }
	g.options.Autostart = func() (bool, error) { return true, nil }
	g.options.SetAutostart = func(bool) error { return nil }
	g.options.Version = "1.0.0"
	s := newStage(t, y.backend(), g)
	s.shows()
	s.w.show(y.page)
	if y.page.Name == "setup" {
		s.until("the settings are there", func() bool { return !s.w.pages["setup"].(*setup).loading.Visible() })
	}
	if y.act != nil {
		y.act(s)
	}
	s.w.win.Canvas().Unfocus()
	s.w.settle()
	return s
}

func google() prospect {
	return prospect{domains: []string{"gmail.com"}, Preflight: api.Preflight{Provider: "google", Name: "Google", Registration: registrationAt("google")}}
}

func microsoft() prospect {
	return prospect{domains: []string{"corp.example"}, Preflight: api.Preflight{Provider: "microsoft", Name: "Microsoft 365", Device: true, Registration: registrationAt("microsoft")}}
}

// registrationAt is how the real engine has a provider registered.
func registrationAt(id string) api.Registration {
	for _, p := range (config.Config{}).Catalogue() {
		if p.ID == id {
			return p.Registration()
		}
	}
	panic("no provider " + id)
}

// base is a backend with nothing wrong and no account.
func base() *fake {
	return &fake{
		snapshot: api.Snapshot{Version: "1.0.0", State: "serving", Started: noon.Add(-time.Hour),
			Keystore: api.KeystoreStatus{Kind: "system"}, Totals: map[string]int64{}, PerMinute: make([]int64, 60)},
		prospects: []prospect{google(), microsoft(),
			{domains: []string{"icloud.com"}, err: errors.New("mail programs sign in to iCloud Mail without OAuth, so they do not need Waxseal; create an app-specific password at account.apple.com and enter it in your mail program")},
		},
		settings: api.Settings{Listen: []string{"127.0.0.1:1587", "[::1]:1587"}, ListenTLS: []string{"127.0.0.1:1465", "[::1]:1465"},
			Metrics: "127.0.0.1:9587", Keystore: "system", LogLevel: "info", LogFolder: "/home/me/.local/state/waxseal", Notifications: true},
		mail: api.MailSettings{Password: "k7mq-x2vd-9hfw-tj4c", Servers: []api.MailServer{
			{Host: "127.0.0.1", Port: 1587, Security: "starttls"}, {Host: "127.0.0.1", Port: 1465, Security: "tls"}}},
		cert: api.Certificate{PEM: "-----BEGIN CERTIFICATE-----\n", File: "/home/me/.config/waxseal/localhost.crt",
			Fingerprint: "3A:7F:09:C2:5E:B1:44:D8:90:0A:6C:F3:1B:E7:82:5D:3A:7F:09:C2:5E:B1:44:D8:90:0A:6C:F3:1B:E7:82:5D", NotAfter: "2036-03-09T00:00:00Z"},
	}
}

func account(address, name string) api.AccountStatus {
	return api.AccountStatus{Address: address, Provider: strings.ToLower(name), Name: name, State: "ready",
		LastMessage: noon.Add(-7 * time.Minute), LastResult: "sent", SentToday: 12, DailyLimit: 500,
		ConsentUsed: noon.Add(-26 * time.Hour), ConsentEnds: noon.Add(89 * 24 * time.Hour)}
}

func healthy(names ...string) (list []breaker.Status) {
	for _, n := range names {
		list = append(list, breaker.Status{Name: n})
	}
	return list
}

// busyOffice is a normal day: three accounts, mail on its way.
func busyOffice() *fake {
	b := base()
	s := &b.snapshot
	s.Accounts = []api.AccountStatus{
		account("ada@corp.example", "Microsoft 365"), account("ada.lovelace@gmail.com", "Google"), account("scanner@corp.example", "Microsoft 365")}
	s.Accounts[0].Messages = 1
	s.Accounts[1].LastMessage, s.Accounts[1].SentToday = time.Time{}, 0
	s.Accounts[2].DailyLimit, s.Accounts[2].SentToday = 0, 1204
	s.Connections, s.Messages = 4, 1
	s.Upstream = api.UpstreamGauges{Warm: 2, Busy: 1, Limit: 9}
	s.Totals = map[string]int64{"sent": 1216, "refused": 2}
	for i := range s.PerMinute {
		s.PerMinute[i] = int64([]int{0, 3, 5, 2, 8, 13, 7, 4, 0, 1, 6, 9}[i%12])
	}
	s.Breakers = healthy("login.microsoftonline.com", "smtp.office365.com:587", "oauth2.googleapis.com", "smtp.gmail.com:465")
	s.LastActivity = 6
	b.activity = recent()
	return b
}

func recent() []api.Activity {
	at := func(min int) time.Time { return noon.Add(-time.Duration(min) * time.Minute) }
	return []api.Activity{
		{Seq: 1, Time: at(3000), Session: "a1", Account: "scanner@corp.example", Recipients: 1, Bytes: 2_400_000, Took: 2300 * time.Millisecond, Result: "sent", Reply: "250 2.0.0 OK <b1@corp.example> [Hostname=PR3P1.EURPRD01.PROD.OUTLOOK.COM]"},
		{Seq: 2, Time: at(95), Session: "a4", Account: "ada@corp.example", Recipients: 1, Bytes: 8_200, Took: 340 * time.Millisecond, Result: "deferred", Reply: "432 4.3.2 Concurrent send operations exceeded its limit", Cure: "the provider takes only so many messages at once; mail programs try again by themselves"},
		{Seq: 3, Time: at(61), Session: "b2", Account: "ada@corp.example", Recipients: 0, Bytes: 0, Took: 120 * time.Millisecond, Result: "refused", Reply: "550 5.1.1 The email account that you tried to reach does not exist", Cure: "look at the recipient's address; the provider does not know it"},
		{Seq: 4, Time: at(12), Session: "c9", Account: "ada.lovelace@gmail.com", Recipients: 3, Bytes: 45_100, Took: 810 * time.Millisecond, Result: "sent", Reply: "250 2.0.0 OK 1773316800 a640c23a62f3a-gsmtp"},
		{Seq: 5, Time: at(9), Session: "d0", Account: "scanner@corp.example", Recipients: 1, Bytes: 31_200_000, Took: 41 * time.Second, Result: "unknown", Reply: "451 4.4.2 the connection to the provider was lost before its answer", Cure: "look into the Sent folder before sending it again"},
		{Seq: 6, Time: at(7), Session: "d4", Account: "ada@corp.example", Recipients: 2, Bytes: 12_800, Took: 460 * time.Millisecond, Result: "sent", Reply: "250 2.0.0 OK <c8@corp.example>"},
	}
}

func with(change func(*fake)) func() *fake {
	return func() *fake {
		b := busyOffice()
		change(b)
		return b
	}
}

func many(n int) *fake {
	b := busyOffice()
	b.snapshot.Accounts = nil
	for i := range n {
		a := account(fmt.Sprintf("user%04d@corp.example", i), "Microsoft 365")
		if i%9 == 4 {
			a.State = "needs_consent"
		}
		b.snapshot.Accounts = append(b.snapshot.Accounts, a)
	}
	return b
}

// typeAddress enters an address and waits for what follows from it.
func typeAddress(s *stage, address string) *addWho {
	old := patience
	patience = 0
	s.t.Cleanup(func() { patience = old })
	who := s.w.pages["add"].(*add).who
	who.address.SetText(address)
	s.until("something is known of "+address, func() bool {
		return who.found.Visible() || who.choose.Visible() || who.instead.Visible() || who.register.root.Visible()
	})
	return who
}

func waitFor(s *stage, what string, holds func(*addWait) bool) {
	s.until(what, func() bool { return holds(s.w.pages["add"].(*add).wait) })
}

var stories = []story{
	{name: "empty", backend: base, image: true},
	{name: "one", backend: with(func(b *fake) { b.snapshot.Accounts = b.snapshot.Accounts[1:2] })},
	{name: "busy", backend: busyOffice, image: true, shot: "overview"},
	{name: "forty", backend: func() *fake { return many(40) }},
	{name: "five thousand", backend: func() *fake {
		b := many(1000)
		b.snapshot.Connections, b.snapshot.Messages = 5000, 812
		b.snapshot.Upstream = api.UpstreamGauges{Warm: 1200, Busy: 800, Limit: 3000}
		return b
	}},
	{name: "errors", backend: with(func(b *fake) {
		a := b.snapshot.Accounts
		a[0].State, a[0].Detail = "attention", "SMTP AUTH is switched off for this mailbox; an administrator must enable it (535 5.7.139)"
		a[1].State = "needs_consent"
		a[2].State = "unknown"
	})},
	{name: "breaker open", backend: with(func(b *fake) {
		b.snapshot.Breakers[1] = breaker.Status{Name: "smtp.office365.com:587", State: breaker.Open, RetryIn: 23 * time.Second, Cause: "dial tcp: i/o timeout", Failures: 5}
	}), image: true},
	{name: "breaker half-open", backend: with(func(b *fake) {
		b.snapshot.Breakers[1] = breaker.Status{Name: "smtp.office365.com:587", State: breaker.HalfOpen, Cause: "dial tcp: i/o timeout"}
	})},
	{name: "paused", backend: with(func(b *fake) { b.snapshot.State = "paused" })},
	{name: "keystore locked", backend: with(func(b *fake) {
		b.snapshot.Keystore = api.KeystoreStatus{Kind: "system", Error: "the keychain is locked", Cure: "unlock it: log in to the desktop, or open the system's password manager"}
		for i := range b.snapshot.Accounts {
			b.snapshot.Accounts[i].State = "keystore"
		}
	})},
	{name: "long names", backend: with(func(b *fake) {
		b.snapshot.Accounts[0] = account("a.very.long.address.that.somebody.really.has.because.the.company.says.so@department.of.long.names.corp.example", "A provider with a name that does not end when it should")
		b.snapshot.Breakers = healthy("a-very-long-host-name-of-a-provider.department-of-long-names.corp.example:587")
	})},
	{name: "right to left", foreign: true, backend: with(func(b *fake) {
		b.snapshot.Accounts[0] = account("דואר\u202e@דוגמה.example", "Google")
	})},
	{name: "no tray", backend: busyOffice, options: Options{TrayMissing: true}},
	{name: "engine gone", backend: busyOffice, act: func(s *stage) {
		s.w.draw(view{snapshot: s.b.snapshot, arrived: noon, known: true, gone: true})
	}},
	{name: "connecting", backend: base, act: func(s *stage) { s.w.draw(view{}) }},

	{name: "add", page: Page{Name: "add"}, backend: base, image: true},
	{name: "add recognised", page: Page{Name: "add"}, backend: base, shot: "add", act: func(s *stage) { typeAddress(s, "ada@corp.example") }},
	{name: "add unknown", page: Page{Name: "add"}, backend: base, act: func(s *stage) { typeAddress(s, "ada@home.example") }},
	{name: "add without oauth", page: Page{Name: "add"}, backend: base, act: func(s *stage) { typeAddress(s, "ada@icloud.com") }},
	{name: "add register", page: Page{Name: "add"}, backend: with(func(b *fake) { b.prospects[0].NoClientID = true }),
		act: func(s *stage) { typeAddress(s, "ada@gmail.com") }},
	{name: "add register nowhere", page: Page{Name: "add"}, backend: with(func(b *fake) {
		b.prospects[0] = prospect{domains: []string{"yahoo.com"}, Preflight: api.Preflight{Provider: "yahoo", Name: "Yahoo", NoClientID: true, Registration: registrationAt("yahoo")}}
	}), act: func(s *stage) { typeAddress(s, "ada@yahoo.com") }},
	{name: "add there", page: Page{Name: "add"}, backend: with(func(b *fake) { b.prospects[1].There = true }),
		act: func(s *stage) { typeAddress(s, "ada@corp.example") }},
	{name: "add waiting", page: Page{Name: "add"}, backend: with(func(b *fake) {
		b.prompts = []api.Prompt{{URL: "https://login.example/authorize?x"}}
	}), act: func(s *stage) {
		typeAddress(s, "grace@corp.example").submit()
		waitFor(s, "the link is there", func(a *addWait) bool { return a.link.Visible() })
	}},
	{name: "add checking", page: Page{Name: "add"}, backend: with(func(b *fake) {
		b.prompts = []api.Prompt{{URL: "https://login.example/"}, {Check: &api.Check{Name: "consent", OK: true, Result: "given", Took: 9400 * time.Millisecond}}}
	}), act: func(s *stage) {
		typeAddress(s, "grace@corp.example").submit()
		waitFor(s, "there is a check", func(a *addWait) bool { return len(a.checks.all) == 1 })
	}},
	{name: "add device code", page: Page{Name: "add"}, image: true, backend: with(func(b *fake) {
		b.prompts = []api.Prompt{{Device: &oauth.DeviceCode{UserCode: "WDJB-MJHT", VerificationURL: "https://login.example/device"}}}
	}), act: func(s *stage) {
		typeAddress(s, "grace@corp.example").proceed(true)
		waitFor(s, "the code is there", func(a *addWait) bool { return a.device.root.Visible() })
	}},
	{name: "add failed", page: Page{Name: "add"}, backend: with(func(b *fake) {
		b.prompts = []api.Prompt{{Check: &api.Check{Name: "consent", OK: true, Result: "given", Took: 9400 * time.Millisecond}},
			{Check: &api.Check{Name: "login", Result: "the provider said: 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox", Cure: "an administrator must switch on SMTP AUTH for this mailbox", Took: 810 * time.Millisecond}}}
		b.consent = func(context.Context) (bool, error) {
			return true, errors.New("the consent is stored, but Microsoft 365 does not let grace@corp.example send yet")
		}
	}), act: func(s *stage) {
		typeAddress(s, "grace@corp.example").submit()
		waitFor(s, "it failed", func(a *addWait) bool { return a.notice.Visible() })
	}},

	{name: "setup", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: busyOffice, image: true, shot: "setup"},
	{name: "setup script", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: busyOffice, act: func(s *stage) {
		p := s.w.pages["setup"].(*setup)
		p.ways.choose(1)
		p.steps.choice.choose(script)
		p.values["password"].reveal(true)
	}},
	{name: "setup needs consent", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: with(func(b *fake) {
		b.snapshot.Accounts[0].State = "needs_consent"
	})},
	{name: "test running", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: with(func(b *fake) {
		b.checks = []api.Check{{Name: "token", OK: true, Result: "good until 2026-03-12T13:00:00Z", Took: 2 * time.Millisecond}, {Name: "login", OK: true, Result: "smtp.office365.com:587 accepts the token", Took: 640 * time.Millisecond}}
	}), act: func(s *stage) { runTest(s, 2, false) }},
	{name: "test failed", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: with(func(b *fake) {
		b.checks = []api.Check{{Name: "token", OK: true, Result: "good until 2026-03-12T13:00:00Z", Took: 2 * time.Millisecond},
			{Name: "login", Result: "no connection", Cure: "check the network, and that a firewall lets smtp.office365.com:587 through", Took: 5 * time.Second}}
		b.test = func(context.Context) error { return errors.New(`the test message was not sent: it failed at "login"`) }
	}), act: func(s *stage) { runTest(s, 2, true) }},

	{name: "activity", page: Page{Name: "activity"}, backend: busyOffice, image: true, shot: "activity", act: func(s *stage) { listed(s) }},
	{name: "activity details", page: Page{Name: "activity"}, backend: busyOffice, act: func(s *stage) { listed(s).choose(3) }},
	{name: "activity empty", page: Page{Name: "activity"}, backend: base},

	{name: "settings", page: Page{Name: "settings"}, backend: busyOffice, image: true, shot: "settings", act: func(s *stage) { configured(s) }},
	{name: "settings taken port", page: Page{Name: "settings"}, backend: with(func(b *fake) {
		b.configure = func(api.Settings) ([]string, error) {
			return nil, &api.PortTakenError{Address: "127.0.0.1:2525", Owner: "postfix (process 812)", Free: "127.0.0.1:2526"}
		}
	}), act: func(s *stage) {
		p := configured(s)
		p.listen.entry.SetText("127.0.0.1:2525")
		p.listen.apply()
		s.until("the free one is offered", func() bool { return p.listen.free.Visible() })
	}},
	{name: "settings wrong", page: Page{Name: "settings"}, backend: busyOffice, act: func(s *stage) {
		configured(s).listen.entry.SetText("127.0.0.1:99999")
	}},
	{name: "settings move", page: Page{Name: "settings"}, backend: busyOffice, act: func(s *stage) { test.Tap(configured(s).keystore.move) }},
	{name: "settings moving", page: Page{Name: "settings"}, backend: with(func(b *fake) {
		b.move = func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
	}), act: func(s *stage) {
		configured(s).keystore.begin("file")
		s.w.pages["settings"].(*settings).scroll.bar.ScrollToBottom()
	}},
	{name: "settings moved not", page: Page{Name: "settings"}, backend: with(func(b *fake) {
		b.move = func(context.Context) (int, error) {
			return 0, errors.New("the keystore file needs a passphrase, and none is given")
		}
	}), options: Options{Cure: func(error) string {
		return "set WAXSEAL_KEYSTORE_PASSPHRASE_FILE to a file that holds it, or WAXSEAL_KEYSTORE_PASSPHRASE to the passphrase itself"
	}}, act: func(s *stage) {
		k := configured(s).keystore
		k.begin("file")
		s.until("it says why", func() bool { return k.notice.Visible() })
		s.w.pages["settings"].(*settings).scroll.bar.ScrollToBottom()
	}},
	{name: "check", page: Page{Name: "check"}, backend: busyOffice},
	{name: "check done", page: Page{Name: "check"}, image: true, backend: with(func(b *fake) {
		b.checks = []api.Check{{Name: "keystore", OK: true, Result: "system: stores and reads", Took: 3 * time.Millisecond}, {Name: "ports", OK: true, Result: "listening on 127.0.0.1:1587"},
			{Name: "reach smtp.gmail.com:465", Result: "no connection", Cure: "check the network, and that a firewall lets smtp.gmail.com:465 through", Took: 20 * time.Second}}
	}), act: func(s *stage) {
		p := s.w.pages["check"].(*checkPage)
		p.begin()
		s.until("all is checked", func() bool { return p.verdict.Visible() })
	}},
	{name: "check password", page: Page{Name: "check"}, backend: with(func(b *fake) {
		b.checks = []api.Check{{Name: "local password of ada@corp.example", Result: "there is none", Cure: "`waxseal account password ada@corp.example --new` makes one"},
			{Name: "token of ada.lovelace@gmail.com", Result: "sign in again with `waxseal account reauthorize ada.lovelace@gmail.com`: invalid_grant"}}
	}), act: func(s *stage) {
		p := s.w.pages["check"].(*checkPage)
		p.begin()
		s.until("all is checked", func() bool { return p.verdict.Visible() })
	}},
	{name: "setup without password", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: with(func(b *fake) {
		b.err = errors.New("ada@corp.example has no local password; `waxseal account password ada@corp.example --new` makes one")
	})},
	{name: "about", page: Page{Name: "about"}, backend: busyOffice, image: true},
	{name: "question", backend: busyOffice, act: func(s *stage) { s.w.askRemove("ada@corp.example") }},
}

func runTest(s *stage, checks int, ended bool) {
	t := s.w.pages["setup"].(*setup).test
	t.run()
	s.until("the stages are there", func() bool { return len(t.checks.all) == checks && t.verdict.Visible() == ended })
	s.w.pages["setup"].(*setup).scroll.bar.ScrollToBottom()
}

func listed(s *stage) *activity {
	a := s.w.pages["activity"].(*activity)
	s.until("the messages are there", func() bool { return len(a.seen) == len(s.b.activity) })
	return a
}

func configured(s *stage) *settings {
	p := s.w.pages["settings"].(*settings)
	s.until("the settings are there", func() bool { return p.all.Visible() && p.certificate.info.Fingerprint != "" && p.autostart.Checked })
	return p
}
