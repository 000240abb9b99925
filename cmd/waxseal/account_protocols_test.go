package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

func TestProtocolList(t *testing.T) {
	for in, want := range map[string]string{
		"smtp": "smtp", "imap,smtp": "smtp,imap", "SMTP, Imap ,POP3": "smtp,imap,pop", "imap,imap": "imap",
	} {
		var l protocolList
		if err := l.Set(in); err != nil || l.String() != want {
			t.Errorf("%q: %s, %v", in, l.String(), err)
		}
	}
	for _, in := range []string{"", "smtp,", "jmap", "smtp imap"} {
		var l protocolList
		if l.Set(in) == nil {
			t.Errorf("%q is accepted as %s", in, l.String())
		}
	}
}

func TestOfferedNamesTheServer(t *testing.T) {
	p := api.Preflight{Name: "Corp Mail", Protocols: []api.Protocol{api.SMTP, api.IMAP}}
	if err := offered(p, []api.Protocol{api.SMTP, api.IMAP}); err != nil {
		t.Error(err)
	}
	if err := offered(p, []api.Protocol{api.POP}); err == nil || err.Error() != "no POP server of Corp Mail is known" {
		t.Errorf("says %v", err)
	}
}

// Where some account reads, lists say so; where none does, they are as before.
func TestListsShowReading(t *testing.T) {
	sends := api.AccountStatus{Address: "me@x.test", Provider: "x", Name: "X", State: api.Ready, Protocols: []api.Protocol{api.SMTP}}
	reads := sends
	reads.Protocols = api.Protocols
	reads.Reading = []api.ReadStatus{{Protocol: api.IMAP, State: api.Ready, Sessions: 2},
		{Protocol: api.POP, State: api.ReadingDisabled, Problem: &api.Problem{State: api.ReadingDisabled, What: api.Say("POP is off."), Cure: api.Say("Switch it on.")}}}
	if head := accountRows([]api.AccountStatus{sends})[0]; strings.Join(head, " ") != "ACCOUNT PROVIDER STATE CONNECTIONS SENT FAILED DETAIL" {
		t.Errorf("without reading the columns are %q", head)
	}
	rows := accountRows([]api.AccountStatus{sends, reads})
	want := [][]string{
		{"ACCOUNT", "PROVIDER", "STATE", "CONNECTIONS", "SENT", "FAILED", "READING", "DETAIL"},
		{"me@x.test", "x", "ready", "0", "0", "0", "-", ""},
		{"me@x.test", "x", "ready", "0", "0", "0", "imap ready (2), pop reading_disabled", "reading switched off at the provider: POP is off; switch it on"},
	}
	for i := range want {
		if strings.Join(rows[i], "|") != strings.Join(want[i], "|") {
			t.Errorf("got %q\nwant %q", rows[i], want[i])
		}
	}
	var out bytes.Buffer
	printStatus(&out, api.Snapshot{State: api.Serving, Connections: 1, Clients: 4, Accounts: []api.AccountStatus{reads},
		Listeners: []api.Listener{{Protocol: api.SMTP, Address: "127.0.0.1:1587"}, {Protocol: api.IMAP, Address: "127.0.0.1:1993", TLS: true}},
		Reading:   []api.ReadGauges{{Protocol: api.IMAP, Connections: 3, Sessions: 2, Spares: 1, Logins: 12, Down: 12_300_000, Up: 900}}}, time.Now())
	for _, line := range []string{
		"mail programs  SMTP 127.0.0.1:1587 (STARTTLS), IMAP 127.0.0.1:1993 (TLS)",
		"connections    4 (0 refused over a limit, 0 failed logins)",
		"reading: imap  2 sessions, 1 spare, 12 logins; 12.3 MB down, 0.9 kB up",
	} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("no line %q in\n%s", line, &out)
		}
	}
}

func TestMailSettingsNameTheProtocol(t *testing.T) {
	var out bytes.Buffer
	printMailSettings(&out, api.MailSettings{User: "me@x", Password: "pw", Servers: []api.MailServer{
		{Protocol: api.SMTP, Host: "127.0.0.1", Port: 1465, TLS: true}, {Protocol: api.IMAP, Host: "127.0.0.1", Port: 1993, TLS: true}}})
	want := "SMTP server  127.0.0.1 port 1465 (TLS)\nIMAP server  127.0.0.1 port 1993 (TLS)\nuser         me@x\npassword     pw\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

func TestActivityListsSessions(t *testing.T) {
	rows := activityRows([]api.Activity{{Kind: api.Reading, Protocol: api.IMAP, Account: "me@x.test", Ended: api.ByProvider, Took: 55 * time.Minute, Down: 2_000_000, Reply: "* BYE expired"}})
	if got := strings.Join(rows[1][2:], "|"); got != "reading ended (imap)|-|-|ended by the provider after 55 min, 2.0 MB down, 0.0 kB up: * BYE expired" {
		t.Errorf("got %q", got)
	}
}
