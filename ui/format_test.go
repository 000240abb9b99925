package ui

import (
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/ui/speech"
)

// formatted is asked for in one language, then in another.
type formatted struct {
	want string
	is   func() string
}

func TestFormats(t *testing.T) {
	ms := time.Millisecond
	for language, rows := range map[string][]formatted{
		"en": {
			{"0", func() string { return number(0) }},
			{"999", func() string { return number(999) }},
			{"5,000", func() string { return number(5000) }},
			{"1,234,567", func() string { return number(1234567) }},
			{"−1,000", func() string { return number(-1000) }},
			{"1 byte", func() string { return size(1) }},
			{"999 bytes", func() string { return size(999) }},
			{"1 KB", func() string { return size(1000) }},
			{"999 KB", func() string { return size(999_499) }},
			{"1.0 MB", func() string { return size(999_500) }},
			{"31.2 MB", func() string { return size(31_200_000) }},
			{"2.5 GB", func() string { return size(2_500_000_000) }},
			{"0 ms", func() string { return took(0) }},
			{"460 ms", func() string { return took(460 * ms) }},
			{"2.3 s", func() string { return took(2300 * ms) }},
			{"41 s", func() string { return took(41 * time.Second) }},
			{"3 minutes", func() string { return took(200 * time.Second) }},
			{"never", func() string { return ago(time.Time{}, noon) }},
			{"just now", func() string { return ago(noon, noon) }},
			{"1 minute ago", func() string { return ago(noon.Add(-61*time.Second), noon) }},
			{"23 hours ago", func() string { return ago(noon.Add(-23*time.Hour), noon) }},
			{"2 days ago", func() string { return ago(noon.Add(-50*time.Hour), noon) }},
			{"11:59:30", func() string { return clock(noon.Add(-30*time.Second), noon) }},
			{"10 Mar 12:00", func() string { return clock(noon.Add(-48*time.Hour), noon) }},
			{"“a b”", func() string { return quoted("a\nb") }},
		},
		"de": {
			{"5.000", func() string { return number(5000) }},
			{"31,2 MB", func() string { return size(31_200_000) }},
			{"1 Byte", func() string { return size(1) }},
			{"2,3 s", func() string { return took(2300 * ms) }},
			{"vor 1 Minute", func() string { return ago(noon.Add(-61*time.Second), noon) }},
			{"vor 2 Tagen", func() string { return ago(noon.Add(-50*time.Hour), noon) }},
			{"10. März 12:00", func() string { return clock(noon.Add(-48*time.Hour), noon) }},
			{"„a“", func() string { return quoted("a") }},
		},
	} {
		if err := speech.Use(language); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if got := r.is(); r.want != got {
				t.Errorf("%s: got %q, want %q", language, got, r.want)
			}
		}
	}
}

func english(t *testing.T) {
	t.Helper()
	if err := speech.Use("en"); err != nil {
		t.Fatal(err)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"250 OK":                         "250 OK",
		"a\r\nb\tc":                      "a b c",
		"  a  b ":                        "a b",
		"red\x1b[31m":                    "red [31m",
		"user\u202egro.live@evil":        "usergro.live@evil",
		"a\u2066b\u2069\u200fc\u061cd":   "abcd",
		"zero\u200bwidth\ufeff":          "zerowidth",
		"bad\xffutf8":                    "badutf8",
		"דואר@דוגמה.example":             "דואר@דוגמה.example",
		strings.Repeat("ü", longest+1):   strings.Repeat("ü", longest-1) + "…",
		strings.Repeat("ü", longest):     strings.Repeat("ü", longest),
		"line\u2028separator\u2029thing": "line separator thing",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSentence(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"no connection":        "No connection.",
		"is it on?":            "Is it on?",
		"me@x.example is gone": "me@x.example is gone.",
		"`waxseal x` helps":    "`waxseal x` helps.",
		"log_level changes":    "log_level changes.",
		"iCloud cannot":        "iCloud cannot.",
		"ünder":                "Ünder.",
	} {
		if got := sentence(in); got != want {
			t.Errorf("sentence(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHeadline(t *testing.T) {
	english(t)
	change := func(f func(*view)) view {
		v := view{snapshot: busyOffice().snapshot, known: true}
		v.snapshot.Messages = 0
		f(&v)
		return v
	}
	for want, v := range map[string]view{
		"Connecting…":                    {},
		"Not running":                    change(func(v *view) { v.gone = true }),
		"Starting…":                      change(func(v *view) { v.snapshot.State = api.Starting }),
		"Stopping…":                      change(func(v *view) { v.snapshot.State = api.Stopping }),
		"Paused":                         change(func(v *view) { v.snapshot.State = api.Paused }),
		"The keychain is locked":         change(func(v *view) { v.snapshot.Keystore.Problem = keychainLocked() }),
		"1 account needs attention":      change(func(v *view) { v.snapshot.Accounts[0].State = api.SMTPDisabled }),
		"Microsoft 365 isn’t responding": change(func(v *view) { v.snapshot.Breakers[0].State = api.Open }),
		"Google is refusing connections": change(func(v *view) { v.snapshot.Accounts[1].State = api.TurnedAway }),
		"No network connection":          change(func(v *view) { v.snapshot.Accounts[1].State = api.Offline }),
		"Ready for your first account":   change(func(v *view) { v.snapshot.Accounts = nil }),
		"Sending":                        change(func(v *view) { v.snapshot.Messages = 2 }),
		"Ready to send":                  change(func(*view) {}),
	} {
		if got, _ := headline(v); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := counts(api.Snapshot{Connections: 5000, Messages: 1}); got != "0 accounts · 5,000 connections · 1 message" {
		t.Errorf("counts: %q", got)
	}
}

func TestBreakerCountsDown(t *testing.T) {
	english(t)
	b := api.Breaker{State: api.Open, RetryIn: 23}
	for passed, want := range map[time.Duration]string{
		0:                        "Not responding. Retrying in 23 seconds.",
		21500 * time.Millisecond: "Not responding. Retrying in 2 seconds.",
		22001 * time.Millisecond: "Not responding. Retrying in 1 second.",
		23 * time.Second:         "Not responding. Retrying with the next message.",
		time.Hour:                "Not responding. Retrying with the next message.",
	} {
		if _, got, _ := breakerState(b, passed); got != want {
			t.Errorf("after %v: %q, want %q", passed, got, want)
		}
	}
}

func TestConsent(t *testing.T) {
	english(t)
	day := 24 * time.Hour
	for want, a := range map[string]api.AccountStatus{
		"":                  {},
		"access used today": {ConsentUsed: noon.Add(-time.Hour)},
		"access last used 1 day ago, ends in 89 days":   {ConsentUsed: noon.Add(-day), ConsentEnds: noon.Add(89 * day)},
		"access last used 6 days ago, ends in 20 hours": {ConsentUsed: noon.Add(-6 * day), ConsentEnds: noon.Add(20 * time.Hour)},
		"access last used 95 days ago, ended on 11 Mar": {ConsentUsed: noon.Add(-95 * day), ConsentEnds: noon.Add(-day)},
	} {
		if got := consent(a, noon); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestChart(t *testing.T) {
	if got := barHeights([]int64{9, 0, 5, 10}, 3, 20); got[0] != idleBar || got[1] != 10 || got[2] != 20 {
		t.Errorf("heights %v", got)
	}
	if got := barHeights([]int64{1}, 3, 20); len(got) != 3 || got[2] != 20 {
		t.Errorf("heights %v", got)
	}
	if got := moved([]int64{1, 2, 3}, 1); len(got) != 3 || got[0] != 2 || got[2] != 0 {
		t.Errorf("after a minute %v", got)
	}
	if got := moved([]int64{1, 2}, 99); len(got) != 2 || got[0] != 0 {
		t.Errorf("after long %v", got)
	}
}

func TestFieldsRefuse(t *testing.T) {
	english(t)
	for in, wrong := range map[string]bool{
		"": false, "127.0.0.1:1587": false, "127.0.0.1:1587, [::1]:1587": false, "localhost:25": false, ":1587": false,
		"127.0.0.1": true, "127.0.0.1:0": true, "127.0.0.1:65536": true, "127.0.0.1:smtp": true, "::1:1587": true, "[::1:1587": true, "[x:y]:25": true,
	} {
		if got := checkAddresses(in); (got != "") != wrong {
			t.Errorf("checkAddresses(%q) = %q", in, got)
		}
	}
	for in, wrong := range map[string]bool{"": false, "http://p:3128": false, "https://p.example": false, "p:3128": true, "ftp://p": true, "http://": true} {
		if got := checkProxy(in); (got != "") != wrong {
			t.Errorf("checkProxy(%q) = %q", in, got)
		}
	}
	for in, want := range map[string]bool{"a@b.example": true, "a@b": false, "@b.example": false, "a b@c.example": false, "a@b.e": false, "a@.example": false, "ü@ö.example": true} {
		if got := complete(in); got != want {
			t.Errorf("complete(%q) = %t", in, got)
		}
	}
}

// Nothing that an address holds becomes a command of the shell, or a line of the file,
// that it is copied to; and the password is in none of them.
func TestSnippetsAreQuoted(t *testing.T) {
	m := api.MailSettings{User: "o'brien$(reboot);#@x.example", Password: "secret", Servers: []api.MailServer{{Protocol: api.SMTP, Host: "::1", Port: 1587}, {Protocol: api.SMTP, Host: "localhost", Port: 1465, TLS: true}}}
	got := map[string]string{}
	for _, program := range []int{thunderbird, script, website} {
		for _, s := range snippetsFor(program, access{MailSettings: m}, true) {
			got[s.program] = s.lines
			if strings.Contains(s.lines, "secret") {
				t.Errorf("%s has the password", s.program)
			}
		}
	}
	for program, want := range map[string][]string{
		"swaks":  {`--server localhost:1465 --tls-on-connect`, `--auth-user 'o'\''brien$(reboot);#@x.example' --auth-password "$WAXSEAL_PASSWORD"`},
		"Python": {`smtplib.SMTP_SSL("localhost", 1465, context=context)`, `s.login("o'brien$(reboot);#@x.example", os`},
		"WordPress (WP Mail SMTP): wp-config.php": {`define( 'WPMS_SMTP_HOST', '::1' );`, `define( 'WPMS_SMTP_PORT', 1587 );`, `define( 'WPMS_SMTP_USER', 'o\'brien$(reboot);#@x.example' );`, `define( 'WPMS_SSL', '' );`},
		"Nextcloud: config/config.php":            {`'mail_from_address' => 'o\'brien$(reboot);#',`, `'mail_domain' => 'x.example',`, `'mail_smtpauth' => true,`},
		"Gitea: app.ini":                          {"USER = `o'brien$(reboot);#@x.example`", "PROTOCOL = smtp\n"},
		"Grafana: grafana.ini":                    {"host = [::1]:1587", "startTLS_policy = NoStartTLS"},
	} {
		for _, w := range want {
			if !strings.Contains(got[program], w) {
				t.Errorf("%s: %q is not in\n%s", program, w, got[program])
			}
		}
	}
	only := access{MailSettings: api.MailSettings{User: "a@b.example", Servers: []api.MailServer{{Protocol: api.SMTP, Host: "mail.b.example", Port: 1465, TLS: true}}}}
	if list := snippetsFor(website, only, false); len(list) != 3 || !strings.Contains(list[2].lines, "PROTOCOL = smtps") {
		t.Errorf("with TLS alone: %+v", list)
	}
}
