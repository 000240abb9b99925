package ui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	secrets "github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
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
	g.options.SaveReport = func(context.Context, string) (string, error) { return "/home/me/Downloads/waxseal-report.txt", nil }
	g.options.Autostart = func() (bool, error) { return true, nil }
	g.options.SetAutostart = func(bool) error { return nil }
	g.options.Version = "1.0.0"
	s := newStage(t, y.backend(), g)
	s.shows()
	s.w.show(y.page)
	if y.page.Name == "setup" {
		s.until("the settings are there", func() bool { p := s.w.pages["setup"].(*setup); return !p.loading.Visible() && p.doing.asked })
	}
	if y.act != nil {
		y.act(s)
	}
	s.w.win.Canvas().Unfocus()
	s.w.settle()
	return s
}

func google() prospect {
	return prospect{domains: []string{"gmail.com"}, Preflight: api.Preflight{Provider: "google", Name: "Google", Protocols: api.Protocols, ClientID: clientIDs["Google"], Registration: registrationAt("google"), PageErrors: pageErrorsAt("google")}}
}

func microsoft() prospect {
	return prospect{domains: []string{"corp.example"}, Preflight: api.Preflight{Provider: "microsoft", Name: "Microsoft 365", Protocols: api.Protocols, ReadingScopes: true, ClientID: clientIDs["Microsoft 365"], Device: true, Registration: registrationAt("microsoft"), PageErrors: pageErrorsAt("microsoft")}}
}

// registrationAt is how the real engine has a provider registered, and pageErrorsAt what its page may
// say.
func registrationAt(id string) api.Registration { return providerAt(id).Registration() }
func pageErrorsAt(id string) []api.PageError {
	list, _ := providerAt(id).PageErrors()
	return list
}

func providerAt(id string) config.Provider {
	p, ok := (config.Config{}).Provider(id)
	if !ok {
		panic("no provider " + id)
	}
	p.ClientID = "2f1c6d0e-7a55-4b07-9d0c-3c1f7f1b9a42"
	return p
}

// base is a backend with nothing wrong and no account.
func base() *fake {
	return &fake{
		snapshot: api.Snapshot{Version: "1.0.0", State: api.Serving, Started: noon.Add(-time.Hour),
			Keystore: api.KeystoreStatus{Kind: "system"}, Totals: map[api.Result]int64{}, PerMinute: make([]int64, 60)},
		prospects: []prospect{google(), microsoft(),
			{domains: []string{"icloud.com"}, err: &api.Problem{
				What: api.Say("Mail programs sign in to {{.Provider}} without OAuth, so they do not need Waxseal.", "Provider", "iCloud Mail"),
				Cure: api.Say("Create an app-specific password at account.apple.com and enter it in your mail program, with the server smtp.mail.me.com and port 587.")}},
		},
		settings: api.Settings{Listen: []string{"127.0.0.1:1587", "[::1]:1587"}, ListenTLS: []string{"127.0.0.1:1465", "[::1]:1465"},
			ListenIMAP: []string{"127.0.0.1:1143", "[::1]:1143"}, ListenIMAPTLS: []string{"127.0.0.1:1993", "[::1]:1993"},
			ListenPOP: []string{"127.0.0.1:1110", "[::1]:1110"}, ListenPOPTLS: []string{"127.0.0.1:1995", "[::1]:1995"},
			Metrics: "127.0.0.1:9587", Keystore: "system", LogLevel: "info", LogFolder: "/home/me/.local/state/waxseal", Notifications: true, History: true, Theme: "system", Language: "system"},
		mail: api.MailSettings{Password: "k7mq-x2vd-9hfw-tj4c", Servers: []api.MailServer{
			{Protocol: "smtp", Host: "127.0.0.1", Port: 1587}, {Protocol: "smtp", Host: "127.0.0.1", Port: 1465, TLS: true}}},
		cert: api.Certificate{PEM: "-----BEGIN CERTIFICATE-----\n", File: "/home/me/.config/waxseal/localhost.crt",
			Fingerprint: "3A:7F:09:C2:5E:B1:44:D8:90:0A:6C:F3:1B:E7:82:5D:3A:7F:09:C2:5E:B1:44:D8:90:0A:6C:F3:1B:E7:82:5D", NotAfter: "2036-03-09T00:00:00Z"},
	}
}

// clientIDs are those of the accounts' registrations, by the provider's name.
var clientIDs = map[string]string{
	"Microsoft 365": "2f1c6d0e-7a55-4b07-9d0c-3c1f7f1b9a42",
	"Google":        "1049482710395-5s0qkt8d.apps.googleusercontent.com",
}

func account(address, name string) api.AccountStatus {
	return api.AccountStatus{Address: address, Provider: strings.ToLower(name), Name: name, ClientID: clientIDs[name], State: api.Ready,
		LastMessage: noon.Add(-7 * time.Minute), LastResult: api.Sent, SentToday: 12, Recipients: 31, Limits: []api.LimitUse{{Kind: api.MessagesPerMinute, Used: 2, Limit: 30}, {Kind: api.RecipientsPerDay, Used: 31, Limit: 10_000}},
		ConsentUsed: noon.Add(-26 * time.Hour), ConsentEnds: noon.Add(89 * 24 * time.Hour)}
}

// healthy are the breakers of a mail server and a sign-in server that answer.
func healthy(provider, smtp, token string) []api.Breaker {
	return []api.Breaker{
		{Name: "token " + token, Provider: provider, State: api.Closed},
		{Name: "smtp " + smtp, Provider: provider, Mail: true, State: api.Closed},
	}
}

// mailDown is a breaker that is open since the mail server does not answer.
func mailDown() api.Breaker {
	return api.Breaker{Name: "smtp smtp.office365.com:587", Provider: "Microsoft 365", Mail: true, State: api.Open, RetryIn: 23, Cause: "dial tcp: i/o timeout", Failures: 5}
}

// problem is one as the engine makes it; places are names and values of its texts.
func problem(state api.State, account, code, what, said, cure string, places ...string) *api.Problem {
	values := append([]string{"Account", account, "Provider", "Microsoft 365"}, places...)
	say := func(key string) api.Text {
		var used []string
		for i := 0; i < len(values); i += 2 {
			if strings.Contains(key, "{{."+values[i]+"}}") {
				used = append(used, values[i], values[i+1])
			}
		}
		return api.Say(key, used...)
	}
	return &api.Problem{State: state, Account: account, Lasting: state.Severity() == api.NeedsSomebody, Code: code,
		What: say(what), Said: said, Cure: say(cure), Do: state.Action()}
}

// engines is a reason or its cure as the engine makes a sentence of it.
func engines(phrase string) string {
	return strings.ToUpper(phrase[:1]) + strings.TrimSuffix(phrase[1:], ".") + "."
}

func smtpDisabled(account string) *api.Problem {
	return problem(api.SMTPDisabled, account, "5.7.139", "Sending by SMTP is switched off for {{.Account}} or its organisation.",
		"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information.",
		"Ask an administrator to switch on SMTP AUTH for this mailbox.")
}

func wrongIdentity(account string) *api.Problem {
	return problem(api.WrongIdentity, account, "5.7.3", "The user who signed in may not use the mailbox {{.Account}}.",
		"535 5.7.3 Authentication unsuccessful",
		"For a shared mailbox or an alias, sign in as the user it belongs to and set that user as login. Otherwise sign in again and allow sending mail.")
}

func secretExpired(account string) *api.Problem {
	return problem(api.RegistrationRefused, account, "5.7.8", engines(oauth.SecretExpired.What()),
		"invalid_client: AADSTS7000222: The provided client secret keys for app are expired.", engines(oauth.SecretExpired.Cure()))
}

func consentExpired(account string) *api.Problem {
	return problem(api.NeedsConsent, account, "5.7.8", engines(oauth.ConsentExpired.What()), "invalid_grant", engines(oauth.ConsentExpired.Cure()))
}

func mailServerDown(account string) *api.Problem {
	return problem(api.MailServerDown, account, "4.7.0", "{{.Provider}}’s mail server isn’t responding.", "dial tcp: i/o timeout",
		"Waxseal tries again in {{.Seconds}} seconds.", "Seconds", "23")
}

func offline(account string) *api.Problem {
	return problem(api.Offline, account, "4.4.1", "This computer has no network connection.", "", "Waxseal goes on by itself once it is back.")
}

func limitReached(account string) *api.Problem {
	p := problem(api.LimitReached, account, "4.4.5", "{{.Provider}} allows {{.Account}} {{.Limit}} recipients within 24 hours, and they are used up.", "", "",
		"Limit", "10000")
	p.Cure = api.Say("It can send again from {{.Time}} on.", "Time", "2026-03-05 07:00")
	return p
}

func keychainLocked() *api.Problem {
	return problem(api.KeystoreLocked, "", "4.7.0", "The keychain is locked.", "",
		secrets.Cure(secrets.ErrLocked))
}

// ail gives an account a problem.
func ail(b *fake, i int, p *api.Problem) {
	b.snapshot.Accounts[i].State, b.snapshot.Accounts[i].Problem = p.State, p
}

// busyOffice is a normal day: three accounts, mail on its way.
func busyOffice() *fake {
	b := base()
	s := &b.snapshot
	s.Accounts = []api.AccountStatus{
		account("ada@corp.example", "Microsoft 365"), account("ada.lovelace@gmail.com", "Google"), account("scanner@corp.example", "Microsoft 365")}
	s.Accounts[0].Messages = 1
	s.Accounts[1].LastMessage, s.Accounts[1].SentToday = time.Time{}, 0
	s.Accounts[1].Limits = []api.LimitUse{{Kind: api.MessagesPerDay, Used: s.Accounts[1].SentToday, Limit: 500}}
	s.Accounts[2].Limits, s.Accounts[2].SentToday = nil, 1204
	s.Connections, s.Messages = 4, 1
	s.Upstream = api.UpstreamGauges{Warm: 2, Busy: 1, Limit: 9}
	s.Totals = map[api.Result]int64{api.Sent: 1216, api.Refused: 2}
	for i := range s.PerMinute {
		s.PerMinute[i] = int64([]int{0, 3, 5, 2, 8, 13, 7, 4, 0, 1, 6, 9}[i%12])
	}
	s.Breakers = append(healthy("Microsoft 365", "smtp.office365.com:587", "login.microsoftonline.com/common/oauth2/v2.0/token"),
		healthy("Google", "smtp.gmail.com:465", "oauth2.googleapis.com/token")...)
	s.LastActivity = 9
	b.activity = recent()
	return b
}

func recent() []api.Activity {
	at := func(min int) time.Time { return noon.Add(-time.Duration(min) * time.Minute) }
	return []api.Activity{
		{ID: 1, Seq: 1, Kind: api.Message, Time: at(3000), Session: "a1", Account: "scanner@corp.example", Recipients: 1, Bytes: 2_400_000, Took: 2300 * time.Millisecond, Result: api.Sent, Reply: "250 2.0.0 OK <b1@corp.example> [Hostname=PR3P1.EURPRD01.PROD.OUTLOOK.COM]"},
		{ID: 2, Seq: 2, Kind: api.Message, Time: at(95), Session: "a4", Account: "ada@corp.example", Recipients: 1, Bytes: 8_200, Took: 340 * time.Millisecond, Result: api.Deferred, Reply: "432 4.3.2 Concurrent send operations exceeded its limit", Problem: meant("Too many messages are being sent from {{.Account}} at once.", "Send fewer at a time, or lower max_connections.")},
		{ID: 3, Seq: 3, Kind: api.Message, Time: at(61), Session: "b2", Account: "ada@corp.example", Recipients: 0, Bytes: 0, Took: 120 * time.Millisecond, Result: api.Refused, Reply: "550 5.1.1 The email account that you tried to reach does not exist", Problem: meant("There is no such recipient.", "Check the address.")},
		{ID: 4, Seq: 4, Kind: api.Message, Time: at(12), Session: "c9", Account: "ada.lovelace@gmail.com", Recipients: 3, Bytes: 45_100, Took: 810 * time.Millisecond, Result: api.Sent, Reply: "250 2.0.0 OK 1773316800 a640c23a62f3a-gsmtp"},
		{ID: 5, Seq: 5, Kind: api.Message, Time: at(9), Session: "d0", Account: "scanner@corp.example", Recipients: 1, Bytes: 31_200_000, Took: 41 * time.Second, Result: api.Unclear, Reply: "451 4.4.2 The connection to Microsoft 365 broke after the whole message was sent and before the answer came: it may have been delivered."},
		{ID: 6, Seq: 6, Kind: api.Message, Time: at(7), Session: "d4", Account: "ada@corp.example", Recipients: 2, Bytes: 12_800, Took: 460 * time.Millisecond, Result: api.Sent, Reply: "250 2.0.0 OK <c8@corp.example>"},
		{ID: 7, Seq: 7, Kind: api.Test, Time: at(5), Session: "d5", Account: "ada@corp.example", Recipients: 1, Bytes: 412, Took: 380 * time.Millisecond, Result: api.Sent, Reply: "250 2.0.0 OK <d1@corp.example>"},
		{ID: 8, Seq: 8, Kind: api.Login, Time: at(4), Session: "d6", Account: "ada.lovelace@gmail.com", Client: "192.168.178.24", Result: api.Refused, Own: true,
			Reply: "535 5.7.8 The password is correct. The consent has expired. Sign in again.", Problem: consentExpired("ada.lovelace@gmail.com")},
		{ID: 9, Seq: 9, Kind: api.Login, Time: at(2), Since: at(9), Times: 14, Session: "d7", Account: "scanner@corp.example", Client: "192.168.178.31", Result: api.Refused, Own: true,
			Reply: "535 5.7.8 Wrong user name or local password", Problem: wrongPassword("scanner@corp.example")},
	}
}

// meant is what a reply of the provider's to ada@corp.example means.
func meant(what, cure string) *api.Problem {
	return problem("", "ada@corp.example", "", what, "", cure)
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
			p := consentExpired(a.Address)
			a.State, a.Problem = p.State, p
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
	{name: "reading", backend: readingOffice, image: true},
	{name: "reading with POP too", backend: readingEverything},
	{name: "reading fails", backend: changed(readingOffice, func(b *fake) { ailReading(b, 0, 0, readingNotGranted("ada@corp.example")) })},
	{name: "forty", backend: func() *fake { return many(40) }},
	{name: "five thousand", backend: func() *fake {
		b := many(1000)
		b.snapshot.Connections, b.snapshot.Messages = 5000, 812
		b.snapshot.Upstream = api.UpstreamGauges{Warm: 1200, Busy: 800, Limit: 3000}
		return b
	}},
	{name: "errors", backend: with(func(b *fake) {
		ail(b, 0, smtpDisabled("ada@corp.example"))
		ail(b, 1, consentExpired("ada.lovelace@gmail.com"))
		b.snapshot.Accounts[2].State = api.Unused
	})},
	{name: "every state", backend: with(func(b *fake) {
		b.snapshot.Accounts = nil
		for _, state := range api.States {
			a := account("ada@corp.example", "Microsoft 365")
			a.State, a.Problem = state, troubles(a.Address)[state]
			b.snapshot.Accounts = append(b.snapshot.Accounts, a)
		}
	})},
	{name: "smtp switched off", backend: with(func(b *fake) { ail(b, 0, smtpDisabled("ada@corp.example")) }), image: true},
	{name: "wrong identity", backend: with(func(b *fake) { ail(b, 2, wrongIdentity("scanner@corp.example")) })},
	{name: "secret expired", backend: with(func(b *fake) { ail(b, 0, secretExpired("ada@corp.example")) })},
	{name: "not sent", backend: with(func(b *fake) {
		p := problem(api.LastUnsent, "ada@corp.example", "", "The mailbox has reached its sending limit for today.", "550 5.4.5 Daily user sending limit exceeded", "Try again tomorrow.")
		ail(b, 0, p)
		b.snapshot.Accounts[0].Recipients, b.snapshot.Accounts[0].LastResult = 10_000, api.Refused
		b.snapshot.Accounts[1].LastMessage, b.snapshot.Accounts[1].LastResult = noon.Add(-2*time.Hour), api.Refused
	})},
	{name: "daily limit", backend: with(func(b *fake) {
		ail(b, 0, limitReached("ada@corp.example"))
		b.snapshot.Accounts[0].Limits = []api.LimitUse{{Kind: api.MessagesPerMinute, Used: 30, Limit: 30}, {Kind: api.RecipientsPerDay, Used: 10_000, Limit: 10_000, Until: noon.Add(19 * time.Hour)}}
		b.snapshot.Accounts[0].Upstream.Waiting = 4
	}), image: true},
	{name: "offline", backend: with(func(b *fake) {
		for i, a := range b.snapshot.Accounts {
			ail(b, i, offline(a.Address))
		}
	})},
	{name: "breaker open", backend: with(func(b *fake) {
		b.snapshot.Breakers[1] = mailDown()
		ail(b, 0, mailServerDown("ada@corp.example"))
		ail(b, 2, mailServerDown("scanner@corp.example"))
	}), image: true},
	{name: "breaker half-open", backend: with(func(b *fake) {
		b.snapshot.Breakers[1] = mailDown()
		b.snapshot.Breakers[1].State, b.snapshot.Breakers[1].RetryIn = api.HalfOpen, 0
	})},
	{name: "paused", backend: with(func(b *fake) { b.snapshot.State = api.Paused })},
	{name: "keystore locked", backend: with(func(b *fake) {
		b.snapshot.Keystore.Problem = keychainLocked()
		for i := range b.snapshot.Accounts {
			ail(b, i, keychainLocked())
		}
	}), image: true},
	{name: "long names", backend: with(func(b *fake) {
		b.snapshot.Accounts[0] = account("a.very.long.address.that.somebody.really.has.because.the.company.says.so@department.of.long.names.corp.example", "A provider with a name that does not end when it should")
		b.snapshot.Breakers = healthy("A provider with a name that does not end when it should", "smtp.long.example:587", "login.long.example/token")
	})},
	{name: "right to left", foreign: true, backend: with(func(b *fake) {
		b.snapshot.Accounts[0] = account("דואר\u202e@דוגמה.example", "Google")
	})},
	{name: "no tray", backend: busyOffice, options: Options{TrayMissing: true}},
	{name: "engine gone", backend: busyOffice, act: func(s *stage) {
		s.w.draw(view{snapshot: s.b.snapshot, arrived: noon, known: true, gone: true})
	}},
	{name: "engine frozen", backend: busyOffice, act: func(s *stage) {
		s.w.draw(view{snapshot: s.b.snapshot, arrived: noon, known: true, frozen: true})
	}},
	{name: "connecting", backend: base, act: func(s *stage) { s.w.draw(view{}) }},

	{name: "add", page: Page{Name: "add"}, backend: base, image: true},
	{name: "add recognised", page: Page{Name: "add"}, backend: base, shot: "add", act: func(s *stage) { typeAddress(s, "ada@corp.example") }},
	{name: "add to read", page: Page{Name: "add"}, backend: base, image: true, act: func(s *stage) {
		typeAddress(s, "ada@corp.example").does.checks[1].SetChecked(true)
	}},
	{name: "add to read at google", page: Page{Name: "add"}, backend: base, act: func(s *stage) {
		typeAddress(s, "ada@gmail.com").does.checks[1].SetChecked(true)
	}},
	{name: "add to do nothing", page: Page{Name: "add"}, backend: base, act: func(s *stage) {
		typeAddress(s, "ada@corp.example").does.checks[0].SetChecked(false)
	}},
	{name: "add shared mailbox", page: Page{Name: "add"}, backend: base, act: func(s *stage) {
		typeAddress(s, "office@corp.example")
		test.Tap(s.w.pages["add"].(*add).who.shared)
		s.w.pages["add"].(*add).who.login.SetText("ada@corp.example")
	}},
	{name: "provider", page: Page{Name: "provider"}, backend: base},
	{name: "provider wrong", page: Page{Name: "provider"}, backend: base, act: func(s *stage) {
		p := s.w.pages["provider"].(*providerPage)
		p.name.entry.SetText("Corp Mail")
		p.signIn.entry.SetText("login.corp.example")
		p.submit()
	}},
	{name: "import", page: Page{Name: "import"}, backend: base, act: func(s *stage) {
		s.w.pages["import"].(*importPage).chosen("emailproxy.config", []byte("x"))
	}},
	{name: "import done", page: Page{Name: "import"}, backend: with(func(b *fake) { b.imported = someImported() }), act: func(s *stage) {
		p := s.w.pages["import"].(*importPage)
		p.chosen("emailproxy.config", []byte("x"))
		p.take()
		s.until("it is imported", func() bool { return p.outcome.Visible() })
	}},
	{name: "add unknown", page: Page{Name: "add"}, backend: base, act: func(s *stage) { typeAddress(s, "ada@home.example") }},
	{name: "add without oauth", page: Page{Name: "add"}, backend: base, act: func(s *stage) { typeAddress(s, "ada@icloud.com") }},
	{name: "add register", page: Page{Name: "add"}, backend: with(func(b *fake) { b.prospects[0].NoClientID = true }),
		act: func(s *stage) { typeAddress(s, "ada@gmail.com") }},
	{name: "add register microsoft", page: Page{Name: "add"}, backend: with(func(b *fake) { b.prospects[1].NoClientID = true }),
		act: func(s *stage) { typeAddress(s, "ada@corp.example") }},
	{name: "add register nowhere", page: Page{Name: "add"}, backend: with(func(b *fake) {
		b.prospects[0] = prospect{domains: []string{"yahoo.com"}, Preflight: api.Preflight{Provider: "yahoo", Name: "Yahoo", NoClientID: true, Registration: registrationAt("yahoo")}}
	}), act: func(s *stage) { typeAddress(s, "ada@yahoo.com") }},
	{name: "add there", page: Page{Name: "add"}, backend: with(func(b *fake) { b.prospects[1].There = true }),
		act: func(s *stage) { typeAddress(s, "ada@corp.example") }},
	{name: "add waiting", page: Page{Name: "add"}, backend: with(func(b *fake) {
		b.prompts = []api.Prompt{{URL: "https://login.example/authorize?x", Ends: noon.Add(10 * time.Minute)}}
	}), act: func(s *stage) {
		typeAddress(s, "grace@corp.example").submit()
		waitFor(s, "the link is there", func(a *addWait) bool { return a.link.Visible() })
	}},
	{name: "add browser says", page: Page{Name: "add"}, backend: with(func(b *fake) {
		b.prompts = []api.Prompt{{URL: "https://login.example/authorize?x", Ends: noon.Add(10 * time.Minute)}}
	}), act: func(s *stage) {
		typeAddress(s, "grace@corp.example").submit()
		waitFor(s, "the link is there", func(a *addWait) bool { return a.link.Visible() })
		test.Tap(s.w.pages["add"].(*add).wait.errors.open)
		waitFor(s, "the list is there", func(a *addWait) bool { return a.errors.list.Visible() })
	}},
	{name: "add google says", page: Page{Name: "add"}, backend: with(func(b *fake) {
		b.prompts = []api.Prompt{{URL: "https://login.example/authorize?x", Ends: noon.Add(10 * time.Minute)}}
	}), act: func(s *stage) {
		typeAddress(s, "grace@gmail.com").submit()
		waitFor(s, "the link is there", func(a *addWait) bool { return a.link.Visible() })
		test.Tap(s.w.pages["add"].(*add).wait.errors.open)
		waitFor(s, "the list is there", func(a *addWait) bool { return a.errors.list.Visible() })
	}},
	{name: "add checking", page: Page{Name: "add"}, backend: with(func(b *fake) {
		b.prompts = []api.Prompt{{URL: "https://login.example/"}, {Check: &api.Check{Name: api.CheckConsent, OK: true, Result: api.Say("Approved."), Took: 9400 * time.Millisecond}}}
	}), act: func(s *stage) {
		typeAddress(s, "grace@corp.example").submit()
		waitFor(s, "there is a check", func(a *addWait) bool { return len(a.checks.all) == 1 })
	}},
	{name: "add device code", page: Page{Name: "add"}, image: true, backend: with(func(b *fake) {
		b.prompts = []api.Prompt{{Device: &api.DeviceCode{UserCode: "WDJB-MJHT", VerificationURL: "https://login.example/device"}, Ends: noon.Add(15 * time.Minute)}}
	}), act: func(s *stage) {
		typeAddress(s, "grace@corp.example").proceed(true)
		waitFor(s, "the code is there", func(a *addWait) bool { return a.device.root.Visible() })
	}},
	{name: "add failed", page: Page{Name: "add"}, backend: with(func(b *fake) {
		b.prompts = []api.Prompt{{Check: &api.Check{Name: api.CheckConsent, OK: true, Result: api.Say("Approved."), Took: 9400 * time.Millisecond}},
			failed(api.CheckLogin, "", smtpDisabled("grace@corp.example"), 810*time.Millisecond)}
		b.consent = func(context.Context) (bool, error) {
			return true, &api.Problem{Account: "grace@corp.example", What: api.Say("You are signed in, but {{.Provider}} does not let {{.Account}} send yet.", "Provider", "Microsoft 365", "Account", "grace@corp.example")}
		}
	}), act: func(s *stage) {
		typeAddress(s, "grace@corp.example").submit()
		waitFor(s, "it failed", func(a *addWait) bool { return a.notice.Visible() })
	}},
	{name: "add wrong secret", page: Page{Name: "add"}, backend: with(func(b *fake) {
		b.prospects[0].NoClientID = true
		wrong := problem(api.RegistrationRefused, "ada@gmail.com", "5.7.8", engines(oauth.WrongSecret.What()), "invalid_client (Unauthorized)", engines(oauth.WrongSecret.Cure()))
		wrong.Do = ""
		b.prompts = []api.Prompt{failed(api.CheckRegistration, "", wrong, 180*time.Millisecond)}
		b.consent = func(context.Context) (bool, error) { return false, wrong }
	}), act: func(s *stage) {
		who := typeAddress(s, "ada@gmail.com")
		who.register.id.SetText("1234-abcd.apps.googleusercontent.com")
		who.register.secret.SetText("GOCSPX-mistyped")
		who.submit()
		waitFor(s, "it failed", func(a *addWait) bool { return a.notice.Visible() })
	}},

	{name: "setup", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: busyOffice, image: true, shot: "setup"},
	{name: "setup reading", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: readingOffice, image: true},
	{name: "setup reading IMAP", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: readingOffice, act: func(s *stage) {
		p := s.w.pages["setup"].(*setup)
		p.speak.choose(1)
		p.scroll.bar.ScrollToOffset(fyne.NewPos(0, 240))
	}},
	{name: "setup reading with POP too", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: readingEverything},
	{name: "setup reading fails", page: Page{Name: "setup", Account: "ada@corp.example"},
		backend: changed(readingOffice, func(b *fake) { ailReading(b, 0, 0, readingNotGranted("ada@corp.example")) })},
	{name: "setup reading switched off", page: Page{Name: "setup", Account: "ada@corp.example"},
		backend: changed(readingOffice, func(b *fake) { ailReading(b, 0, 0, readingDisabled("ada@corp.example")) })},
	{name: "setup reading only", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: changed(readingOffice, func(b *fake) {
		b.snapshot.Accounts[0].Protocols, b.mail.Servers = []api.Protocol{api.IMAP}, b.mail.Servers[2:4]
	})},
	{name: "setup reading outlook", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: readingOffice, act: stepsOf(outlook)},
	{name: "setup reading apple mail", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: readingOffice, act: stepsOf(appleMail)},
	{name: "setup reading terminal", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: readingEverything, act: stepsOf(terminal)},
	{name: "setup reading script", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: readingEverything, act: stepsOf(script)},
	{name: "setup read mail too", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: busyOffice, act: func(s *stage) {
		test.Tap(s.w.pages["setup"].(*setup).doing.ask)
	}},
	{name: "setup change", page: Page{Name: "setup", Account: "ada.lovelace@gmail.com"}, backend: readingEverything, act: func(s *stage) {
		test.Tap(s.w.pages["setup"].(*setup).doing.change)
	}},
	{name: "read test", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: changed(readingOffice, func(b *fake) {
		b.checks = []api.Check{tokenCheck(), {Name: api.CheckLogin, Protocol: api.IMAP, OK: true, Result: api.Say("{{.Server}} accepts the access token.", "Server", "outlook.office365.com:993"), Took: 320 * time.Millisecond}}
		b.test = func(context.Context) error { return nil }
	}), act: func(s *stage) {
		p := s.w.pages["setup"].(*setup)
		test.Tap(p.read.imap)
		s.until("it is checked", func() bool { return p.read.verdict.Visible() })
		p.scroll.bar.ScrollToBottom()
	}},
	{name: "setup first", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: alone, act: func(s *stage) {
		s.w.options.Autostart = func() (bool, error) { return false, nil }
		s.w.pages["setup"].(*setup).welcome(false)
		s.until("it asks", func() bool { return s.w.win.Canvas().Overlays().Top() != nil })
	}},
	{name: "setup script", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: busyOffice, act: func(s *stage) {
		p := s.w.pages["setup"].(*setup)
		p.ways.choose(1)
		p.steps.choice.choose(script)
		p.values["password"].reveal(true)
	}},
	{name: "setup website", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: busyOffice, act: func(s *stage) {
		p := s.w.pages["setup"].(*setup)
		p.ways.choose(1)
		p.steps.choice.choose(website)
		p.values["password"].reveal(true)
	}},
	{name: "setup apple mail", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: busyOffice, act: func(s *stage) {
		p := s.w.pages["setup"].(*setup)
		p.ways.choose(1)
		p.steps.choice.choose(appleMail)
		p.values["password"].reveal(true)
	}},
	{name: "setup needs consent", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: with(func(b *fake) {
		ail(b, 0, consentExpired("ada@corp.example"))
	})},
	{name: "setup secret expired", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: with(func(b *fake) {
		ail(b, 0, secretExpired("ada@corp.example"))
	})},
	{name: "setup smtp switched off", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: with(func(b *fake) {
		ail(b, 0, smtpDisabled("ada@corp.example"))
	})},
	{name: "setup wrong identity", page: Page{Name: "setup", Account: "scanner@corp.example"}, backend: with(func(b *fake) {
		ail(b, 2, wrongIdentity("scanner@corp.example"))
	})},
	{name: "register", page: Page{Name: "register", Account: "ada.lovelace@gmail.com"}, backend: renewing, image: true, act: func(s *stage) {
		s.until("the steps are there", func() bool { return s.w.pages["register"].(*renewal).all.Visible() })
	}},
	{name: "register without secret", page: Page{Name: "register", Account: "ada@corp.example"}, backend: with(func(b *fake) {
		ail(b, 0, problem(api.RegistrationRefused, "ada@corp.example", "5.7.8", "The program's registration is disabled.", "", "Ask whoever registered the program to enable it."))
	}), act: func(s *stage) {
		s.until("the steps are there", func() bool { return s.w.pages["register"].(*renewal).all.Visible() })
	}},
	{name: "test running", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: with(func(b *fake) {
		b.checks = []api.Check{tokenCheck(), {Name: api.CheckLogin, OK: true, Result: api.Say("{{.Server}} accepts the access token.", "Server", "smtp.office365.com:587"), Took: 640 * time.Millisecond}}
	}), act: func(s *stage) { runTest(s, 2, false) }},
	{name: "test failed", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: with(func(b *fake) {
		b.checks = []api.Check{tokenCheck(), *failed(api.CheckLogin, "", unreachable(), 5*time.Second).Check}
		b.test = func(context.Context) error {
			return &api.Problem{Account: "ada@corp.example", What: api.Say("The test message was not sent.")}
		}
	}), act: func(s *stage) { runTest(s, 2, true) }},

	{name: "activity", page: Page{Name: "activity"}, backend: busyOffice, image: true, shot: "activity", act: func(s *stage) { listed(s) }},
	{name: "activity details", page: Page{Name: "activity"}, backend: busyOffice, act: func(s *stage) { listed(s).choose(3) }},
	{name: "activity login", page: Page{Name: "activity"}, backend: busyOffice, act: func(s *stage) { listed(s).choose(9) }},
	{name: "activity test", page: Page{Name: "activity"}, backend: busyOffice, act: func(s *stage) { listed(s).choose(7) }},
	{name: "activity reading", page: Page{Name: "activity"}, backend: readingOffice, image: true, act: func(s *stage) { listed(s) }},
	{name: "activity reading details", page: Page{Name: "activity"}, backend: readingOffice, act: func(s *stage) { listed(s).choose(11) }},
	{name: "activity empty", page: Page{Name: "activity"}, backend: base},

	{name: "settings", page: Page{Name: "settings"}, backend: busyOffice, image: true, shot: "settings", act: func(s *stage) { configured(s) }},
	{name: "settings reading", page: Page{Name: "settings"}, backend: readingEverything, act: func(s *stage) {
		p := configured(s)
		reveal(p.scroll.bar, p.reading[1].root)
	}},
	{name: "settings taken port", page: Page{Name: "settings"}, backend: with(func(b *fake) {
		b.configure = func(api.Settings) ([]string, error) {
			return nil, &api.PortTakenError{Address: "127.0.0.1:2525", Owner: "postfix", Process: 812, Free: "127.0.0.1:2526"}
		}
	}), act: func(s *stage) {
		p := configured(s)
		p.listen.entry.SetText("127.0.0.1:2525")
		p.listen.apply()
		s.until("the free one is offered", func() bool { return p.listen.free.Visible() })
	}},
	{name: "settings devices", page: Page{Name: "settings"}, backend: with(func(b *fake) {
		b.settings = withDevices(b.settings)
		b.settings.Firewall = "sudo ufw allow proto tcp from 192.168.1.0/24 to any port 2465,2587"
	}), act: func(s *stage) {
		p := configured(s)
		reveal(p.scroll.bar, p.devices.root)
	}},
	{name: "setup scanner", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: busyOffice, act: func(s *stage) {
		s.w.pages["setup"].(*setup).steps.choice.choose(scanner)
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
			return 0, problem(api.KeystoreFailed, "", "4.7.0", "The passphrase of the keystore is missing.", "",
				"Set WAXSEAL_KEYSTORE_PASSPHRASE_FILE to a file that holds the passphrase, or WAXSEAL_KEYSTORE_PASSPHRASE to the passphrase itself.")
		}
	}), act: func(s *stage) {
		k := configured(s).keystore
		k.begin("file")
		s.until("it says why", func() bool { return k.notice.Visible() })
		s.w.pages["settings"].(*settings).scroll.bar.ScrollToBottom()
	}},
	{name: "check", page: Page{Name: "check"}, backend: busyOffice},
	{name: "check done", page: Page{Name: "check"}, image: true, backend: with(func(b *fake) {
		b.checks = []api.Check{{Name: api.CheckKeystore, OK: true, Result: api.Say("Stores and reads secrets ({{.Kind}}).", "Kind", "system"), Took: 3 * time.Millisecond},
			{Name: api.CheckPorts, OK: true, Result: api.Say("Listening on {{.Addresses}}", "Addresses", "127.0.0.1:1587")},
			*failed(api.CheckReach, "smtp.gmail.com:465", notReached("smtp.gmail.com:465"), 20*time.Second).Check}
	}), act: func(s *stage) {
		p := s.w.pages["check"].(*checkPage)
		p.begin()
		s.until("all is checked", func() bool { return p.verdict.Visible() })
	}},
	{name: "check reading", page: Page{Name: "check"}, backend: changed(readingOffice, func(b *fake) {
		b.checks = []api.Check{{Name: api.CheckLogin, Subject: "ada@corp.example", Protocol: api.SMTP, OK: true, Result: api.Say("{{.Server}} accepts the access token.", "Server", "smtp.office365.com:587"), Took: 640 * time.Millisecond},
			*failed(api.CheckLogin, "ada@corp.example", readingNotGranted("ada@corp.example"), 810*time.Millisecond).Check}
		b.checks[1].Protocol = api.IMAP
	}), act: func(s *stage) {
		p := s.w.pages["check"].(*checkPage)
		p.begin()
		s.until("all is checked", func() bool { return p.verdict.Visible() })
	}},
	{name: "check password", page: Page{Name: "check"}, backend: with(func(b *fake) {
		b.checks = []api.Check{*failed(api.CheckPassword, "ada@corp.example", noPassword("ada@corp.example"), 0).Check,
			*failed(api.CheckToken, "ada.lovelace@gmail.com", consentExpired("ada.lovelace@gmail.com"), 0).Check}
	}), act: func(s *stage) {
		p := s.w.pages["check"].(*checkPage)
		p.begin()
		s.until("all is checked", func() bool { return p.verdict.Visible() })
	}},
	{name: "check keychain", page: Page{Name: "check"}, backend: with(func(b *fake) {
		b.checks = []api.Check{*failed(api.CheckKeystore, "", keychainLocked(), 0).Check}
	}), act: func(s *stage) {
		p := s.w.pages["check"].(*checkPage)
		p.begin()
		s.until("all is checked", func() bool { return p.verdict.Visible() })
	}},
	{name: "setup without password", page: Page{Name: "setup", Account: "ada@corp.example"}, backend: with(func(b *fake) {
		b.err = noPassword("ada@corp.example")
		ail(b, 0, noPassword("ada@corp.example"))
	})},
	{name: "about", page: Page{Name: "about"}, backend: busyOffice, image: true},
	{name: "about update", page: Page{Name: "about"}, backend: with(func(b *fake) {
		b.snapshot.Update = &api.Release{Version: "1.2.0", Page: "https://github.com/waxseal/waxseal/releases/tag/v1.2.0"}
	})},
	{name: "updated", options: Options{Restart: func() error { return nil }}, backend: with(func(b *fake) { b.snapshot.Version = "0.9.0" })},
	{name: "question", backend: busyOffice, act: func(s *stage) { s.w.askRemove("ada@corp.example") }},
}

// failed is a check that failed, as a stage of a sign-in.
func failed(name, subject string, p *api.Problem, took time.Duration) api.Prompt {
	return api.Prompt{Check: &api.Check{Name: name, Subject: subject, Result: p.What, Problem: p, Took: took}}
}

func tokenCheck() api.Check {
	return api.Check{Name: api.CheckToken, OK: true, Result: api.Say("Valid until {{.Time}}", "Time", "2026-03-12T13:00:00Z"),
		Until: noon.Add(time.Hour), Took: 2 * time.Millisecond}
}

func noPassword(account string) *api.Problem {
	return problem(api.NoPassword, account, "", "{{.Account}} has no local password.", "", "Create a new one.")
}

func wrongPassword(account string) *api.Problem {
	p := problem("", account, "5.7.8", "Wrong local password.", "", "Copy the password from Waxseal into the mail program.")
	p.Lasting, p.Do = true, api.ShowSetup
	return p
}

func unreachable() *api.Problem {
	return problem(api.MailServerDown, "ada@corp.example", "4.4.1", "{{.Provider}}’s mail server {{.Host}} can’t be reached.", "",
		"Check the network, or try again in a minute.", "Host", "smtp.office365.com")
}

func notReached(server string) *api.Problem {
	return problem("", "", "", "{{.Host}} can’t be reached.", "", "Check the network, and that no firewall blocks the connection.", "Host", server)
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

// withDevices are settings with which devices on the network may send.
func withDevices(s api.Settings) api.Settings {
	s.AllowRemote = true
	s.Listen, s.ListenTLS = append(slices.Clone(s.Listen), deviceAddress), append(slices.Clone(s.ListenTLS), deviceAddressTLS)
	s.Networks = []string{"192.168.1.20/24", "10.8.0.4/16", "fd00::2/64"}
	return s
}

// someImported is an import in which not everything could be taken over.
func someImported() api.ImportReport {
	return api.ImportReport{Imported: 2, Failed: 1, Consent: []string{"scanner@corp.example"},
		Servers:  []api.MailServer{{Protocol: "smtp", Host: "127.0.0.1", Port: 1587}},
		Problems: []api.ImportProblem{{Index: 2, Address: "old@corp.example", Problem: *problem("", "old@corp.example", "", "Another section has the same address, written in another way.", "", "Remove one of the two.")}},
	}
}
