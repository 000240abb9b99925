package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/control"
)

// newMain is the program with its own environment and outputs.
func newMain(env map[string]string) (m *Main, out, errs *bytes.Buffer) {
	out, errs = &bytes.Buffer{}, &bytes.Buffer{}
	return &Main{
		In: strings.NewReader(""), Out: out, Err: errs,
		Getenv:   func(name string) string { return env[name] },
		Unsetenv: func(name string) error { delete(env, name); return nil },
	}, out, errs
}

func TestExitCodes(t *testing.T) {
	for args, want := range map[string]int{
		"version":                exitDone,
		"help account":           exitDone,
		"status":                 exitFailed,
		"stats":                  exitUsage,
		"status --jsn":           exitUsage,
		"version now":            exitUsage,
		"account":                exitUsage,
		"--log-level x status":   exitUsage, // although it logs nothing
		"help stats":             exitUsage,
		"--log-level x serve":    exitUsage,
		"account import /none/x": exitFailed,

		// A mistyped address is wrong usage; an unknown one is not.
		"account add me":                                             exitUsage,
		"account add me@":                                            exitUsage,
		"account add <me@x.test>":                                    exitUsage,
		"account reauthorize @x.test":                                exitUsage,
		"account remove me@x..test":                                  exitUsage,
		"account password me,you@x.test":                             exitUsage,
		"send-test me":                                               exitUsage,
		"send-test me@x.test --to nobody":                            exitUsage,
		"read-test me":                                               exitUsage,
		"account protocols":                                          exitUsage,
		"account protocols me@x.test jmap":                           exitUsage,
		"account protocols me@x.test smtp x":                         exitUsage,
		"account protocols me@x.test":                                exitFailed,
		"account add me@x.test --protocols carrier":                  exitUsage,
		"account reauthorize me@x.test --client-secret-file /none/x": exitFailed,
	} {
		m, _, errs := newMain(map[string]string{configEnv: t.TempDir() + "/config.toml"})
		if got := m.Run(t.Context(), strings.Fields(args)); got != want {
			t.Errorf("waxseal %s: exit code %d, want %d", args, got, want)
		}
		if (want == exitDone) != (errs.Len() == 0) {
			t.Errorf("waxseal %s says %q", args, errs)
		}
	}
}

// No child process may find the passphrase in its environment.
func TestPassphraseLeavesTheEnvironment(t *testing.T) {
	env := map[string]string{passphraseEnv: "secret", passphraseFileEnv: "kept"}
	m, _, _ := newMain(env)
	m.Run(t.Context(), []string{"version"})
	if want := map[string]string{passphraseFileEnv: "kept"}; !reflect.DeepEqual(env, want) {
		t.Errorf("the environment is %v, want %v", env, want)
	}
	if m.passphrase != "secret" {
		t.Errorf("the passphrase is %q", m.passphrase)
	}
}

func TestErrorsAreSaidWithTheirCure(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{errors.New("plain"), "waxseal: plain\n"},
		{errors.Join(errors.New("one"), errors.New("two")), "waxseal: one\nwaxseal: two\n"},
		{fmt.Errorf("wait: %w", context.Canceled), "waxseal: interrupted\n"}, // was "context canceled"
		{errors.Join(context.Canceled, errors.New("kept")), "waxseal: interrupted\nwaxseal: kept\n"},
		{withCure(errors.New("broken"), "mend it"), "waxseal: broken\nwaxseal: hint: mend it\n"},
		{fmt.Errorf("asking: %w", &control.Error{Text: "no", Cure: "say please"}), "waxseal: asking: no\nwaxseal: hint: say please\n"},
		{control.ErrNotRunning, "waxseal: " + control.ErrNotRunning.Error() + "\nwaxseal: hint: start it with `waxseal serve`\n"},
		{keystore.ErrLocked, "waxseal: " + keystore.ErrLocked.Error() + "\nwaxseal: hint: " + keystore.Cure(keystore.ErrLocked) + "\n"},
		{errors.New("550 \x1b[2Jgone\u202e"), "waxseal: 550  [2Jgone \n"}, // a provider's words do not control the terminal
	} {
		m, _, errs := newMain(nil)
		m.printError(tc.err)
		if errs.String() != tc.want {
			t.Errorf("%v:\n got %q\nwant %q", tc.err, errs, tc.want)
		}
	}
}

func TestRough(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min", 90 * time.Minute: "1 h",
		47 * time.Hour: "47 h", 48 * time.Hour: "2 days",
	} {
		if got := rough(d); got != want {
			t.Errorf("rough(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestMailSettingsShowEachSecurityOnce(t *testing.T) {
	var out bytes.Buffer
	printMailSettings(&out, api.MailSettings{User: "me@x", Password: "pw", Servers: []api.MailServer{
		{Host: "127.0.0.1", Port: 1587}, {Host: "127.0.0.1", Port: 1465, TLS: true},
		{Host: "::1", Port: 1587}}})
	want := `server    127.0.0.1 port 1587 (STARTTLS, or none: the connection stays on this computer)
server    127.0.0.1 port 1465 (TLS)
user      me@x
password  pw
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
	out.Reset()
	printMailSettings(&out, api.MailSettings{User: "me@x", Servers: []api.MailServer{
		{Protocol: api.SMTP, Host: "192.0.2.1", Port: 587, TLS: true}, {Protocol: api.IMAP, Host: "192.0.2.1", Port: 993, TLS: true},
		{Protocol: api.POP, Host: "192.0.2.1", Port: 995, TLS: true}}})
	for _, want := range []string{"SMTP server  192.0.2.1 port 587 (TLS)\n", "IMAP server  192.0.2.1 port 993 (TLS)\n", "POP server   192.0.2.1 port 995 (TLS)\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	out.Reset()
	printMailSettings(&out, api.MailSettings{Servers: []api.MailServer{{Host: "192.0.2.1", Port: 587}}})
	if strings.Contains(out.String(), "none") {
		t.Errorf("says that a remote server needs no TLS: %s", &out)
	}
}

func TestPrintStatus(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	var out bytes.Buffer
	printStatus(&out, api.Snapshot{
		Version: "v1", Instance: "mail-1", PID: 7, Started: now.Add(-time.Hour), State: "serving", Metrics: "127.0.0.1:9587",
		Listeners:   []api.Listener{{Address: "127.0.0.1:1587"}, {Address: "127.0.0.1:1465", TLS: true}},
		Connections: 5, Messages: 1, Totals: map[api.Result]int64{"sent": 9, "refused": 2}, Refused: 3, AuthFailures: 4,
		Upstream: api.UpstreamGauges{Dialling: 1, Warm: 2, Busy: 3},
		Keystore: api.KeystoreStatus{Kind: "system", Problem: &api.Problem{What: api.Say("The keychain is locked."), Cure: api.Say("Unlock it.")}},
		Accounts: []api.AccountStatus{{Address: "me@x", Provider: "corp", State: "needs_consent", Problem: &api.Problem{What: api.Say("evil\x1b]0;x\a\nwords")}, Connections: 5, Sent: 9, Failed: 2,
			Upstream: api.PoolStatus{Waiting: 4}, Limits: []api.LimitUse{{Kind: api.MessagesPerMinute, Used: 30, Limit: 30}, {Kind: api.MessagesPerDay, Limit: 500},
				{Kind: api.RecipientsPerDay, Used: 10000, Limit: 10000, Until: time.Date(2026, 3, 5, 7, 0, 0, 0, time.Local)}}}},
		Breakers: []api.Breaker{{Name: "smtp smtp.x:587", State: api.Open, RetryIn: 12, Cause: "refused"}, {Name: "token x"}},
	}, now)
	want := `waxseal        serving, version v1, process 7, for 1 h
mail programs  127.0.0.1:1587 (STARTTLS), 127.0.0.1:1465 (TLS)
instance       mail-1
metrics        http://127.0.0.1:9587/metrics
keystore       system: the keychain is locked; unlock it
connections    5 (3 refused over a limit, 4 failed logins)
messages       1 in progress, 9 sent, 2 refused
to providers   2 idle, 3 in use, 1 connecting

ACCOUNT  PROVIDER  STATE          CONNECTIONS  SENT  FAILED  DETAIL
me@x     corp      needs_consent  5            9     2       sign-in needed: evil ]0;x  words

ACCOUNT  SENDING LIMIT           USED            WAITING  CAN SEND AGAIN
me@x     messages per minute     30 of 30        4        -
me@x     recipients in 24 hours  10000 of 10000  -        2026-03-05 07:00

PROVIDER SERVER  STATE        RETRY IN  LAST ERROR
smtp smtp.x:587  unreachable  12 s      refused
token x          OK           -
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}

// The whole program runs in this process: when it has ended nothing of it is left, neither a
// goroutine nor a file.
func TestDemoLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	m, out, errs := newMain(nil)
	if code := m.Run(t.Context(), []string{"demo", "--once"}); code != exitDone || errs.Len() != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
