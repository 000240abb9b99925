package imapd

import (
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

func TestCapabilities(t *testing.T) {
	const gmail = "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID SASL-IR AUTH=XOAUTH2 LITERAL+ COMPRESS=DEFLATE"
	type offers map[string][2]string // before and after the login
	tests := []struct {
		accounts string
		learned  offers
		want     string
	}{
		{"", nil, "IDLE"},
		{"a b", nil, "IDLE"},
		{"a", offers{"a": {gmail, ""}}, "COMPRESS=DEFLATE IDLE NAMESPACE QUOTA UNSELECT"},
		{"a b", offers{"a": {gmail, ""}}, "IDLE"}, // b is not known
		{"a b", offers{"a": {gmail, ""}, "b": {"imap4rev1 quota idle move", ""}}, "IDLE QUOTA"},
		{"a", offers{"a": {"IMAP4rev1", ""}}, ""},
		{"a", offers{"a": {"IMAP4rev1", "IMAP4rev1 IDLE MOVE"}}, "IDLE"}, // listed after the login only
		{"a", offers{"a": {"IMAP4rev1 IDLE", "IMAP4rev1"}}, ""},
		{"a", offers{"a": {"IMAP4rev1 X(Y {3} STARTTLS LOGINDISABLED LITERAL- LOGIN-REFERRALS UTF8=ACCEPT", ""}}, "UTF8=ACCEPT"},
		{"a", offers{"a": {gmail, ""}, "gone": {"IMAP4rev1", ""}}, "COMPRESS=DEFLATE IDLE NAMESPACE QUOTA UNSELECT"},
	}
	for _, test := range tests {
		var c Capabilities
		for address, o := range test.learned {
			c.learn(address, capabilityList(o[0]), nil)
			if o[1] != "" {
				c.learn(address, nil, capabilityList(o[1]))
			}
		}
		c.Accounts(strings.Fields(test.accounts))
		got := strings.Join(c.common(), " ")
		if got != test.want {
			t.Errorf("%v: offered %q, want %q", test.learned, got, test.want)
		}
	}
	var c Capabilities
	c.learn("a", []string{}, nil)
	if c.known("a") == nil || c.known("b") != nil {
		t.Error("an empty list is a known one")
	}
	if c.forget("a"); c.known("a") != nil {
		t.Error("did not forget")
	}
}

// Words of others stay in their line.
func TestAnswerIsOneLine(t *testing.T) {
	problem := &api.Problem{What: api.Say("x\r\n* BYE \x00\u00e9" + strings.Repeat("y", 5000))}
	a := refused(&mailbox.Refusal{Kind: mailbox.Passing, Problem: problem})
	if strings.Contains(a.line, "\n") || len(a.line) > maxWords+50 || !strings.HasPrefix(a.line, "NO [UNAVAILABLE] x  * BYE ??y") {
		t.Errorf("got %q", a.line)
	}
}

// Who ended a session, and what the mail program hears.
func TestEndings(t *testing.T) {
	tests := []struct {
		by        api.EndedBy
		bye, out  bool
		want      api.EndedBy
		lastWords string
	}{
		{api.ByProgram, false, true, api.ByProgram, ""},
		{api.ByProvider, true, true, api.ByProgram, ""}, // after LOGOUT the provider closes
		{api.ByProvider, true, false, api.ByProvider, ""},
		{api.ByProvider, false, false, api.ByProvider, "* BYE The provider closed the connection; log in again\r\n"},
		{api.ByNetwork, true, false, api.ByProvider, ""},
		{api.ByNetwork, false, false, api.ByNetwork, "* BYE The connection to the provider was lost; log in again\r\n"},
		{api.ByWaxseal, false, false, api.ByWaxseal, "* BYE Waxseal is stopping; try again later\r\n"},
	}
	for _, test := range tests {
		s := &session{box: &mailbox.Mailbox{}}
		s.watch.saidBye = test.bye
		s.watch.loggedOut.Store(test.out)
		if got, words := s.endedBy(test.by), string(s.farewell(test.by)); got != test.want || words != test.lastWords {
			t.Errorf("%+v: ended by %q, heard %q", test, got, words)
		}
	}
}
