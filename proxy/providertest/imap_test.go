package providertest

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// letters are two messages: one with parts, and one whose only header field is its subject.
var letters = []string{
	"From: =?utf-8?q?J=C3=BCrgen?= <j@corp.test>\r\nTo: me@corp.test,\r\n \"A \\\"b\\\"\" <a@x.test>\r\nSubject: Parts\r\n" +
		"Date: Mon, 2 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@corp.test>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/mixed; boundary=\"b 1\"\r\n\r\npreamble\r\n--b 1\r\nContent-Type: text/html; charset=utf-8\r\n" +
		"Content-Transfer-Encoding: 8bit\r\n\r\n<p>Grüße</p>\r\n\r\n--b 1\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text\r\n" +
		"--b 1\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\nPDF\r\n--b 1--\r\nepilogue\r\n",
	"Subject: plain\r\n\r\n.dots\r\n..\r\nno end",
}

// readLine reads a line of IMAP or POP, without CRLF.
func (c *client) readLine() string {
	c.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.Fatalf("read: %v after %q", err, line)
	}
	if !strings.HasSuffix(line, "\r\n") {
		c.Fatalf("line %q does not end in CRLF", line)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// begins reads a line, which must begin with want.
func (c *client) begins(want string) string {
	c.Helper()
	line := c.readLine()
	if !strings.HasPrefix(line, want) {
		c.Fatalf("got %q, want %q", line, want)
	}
	return line
}

// imap sends a command and returns everything up to its tagged response, without the tag.
func (c *client) imap(command string) string {
	c.Helper()
	c.send("t " + command + "\r\n")
	return c.tagged()
}

func (c *client) tagged() string {
	c.Helper()
	var all []string
	for {
		line := c.readLine()
		if text, ok := strings.CutPrefix(line, "t "); ok {
			return strings.Join(append(all, text), "\n")
		}
		all = append(all, line)
	}
}

// reader returns a client that has logged in to IMAP.
func reader(t testing.TB, p *Provider) *client {
	t.Helper()
	c := dial(t, p.IMAPAddr, trust(p))
	c.begins("* OK ")
	if got := c.imap("AUTHENTICATE XOAUTH2 " + xoauth2(me, p.accessToken(t, me))); !strings.Contains(got, "OK ") {
		t.Fatalf("login: %q", got)
	}
	return c
}

// TestIMAP plays commands and compares whole responses. "→" comes before what must be in a response,
// "=" before all of it.
func TestIMAP(t *testing.T) {
	size := len(letters[0])
	table := []struct{ command, want string }{
		{"CAPABILITY", "* CAPABILITY IMAP4rev1 SASL-IR " + ownAbilities + "\nOK CAPABILITY completed"},
		{"ID NIL", "* ID (\"name\" \"providertest\")\nOK ID completed"},
		{"NAMESPACE", "* NAMESPACE ((\"\" \"/\")) NIL NIL\nOK NAMESPACE completed"},
		{"ENABLE CONDSTORE", "* ENABLED\nOK ENABLE completed"},
		{`LIST "" ""`, "* LIST (\\Noselect) \"/\" \"\"\nOK LIST completed"},
		{`LIST "" *`, "* LIST (\\HasNoChildren) \"/\" \"Elsewhere\"\n* LIST (\\HasNoChildren) \"/\" \"INBOX\"\nOK LIST completed"},
		{`LSUB "" "%"`, "* LSUB (\\HasNoChildren) \"/\" \"INBOX\"\nOK LSUB completed"},
		{"FETCH 1 UID", "BAD No folder is selected"},
		{"SELECT nowhere", "NO [NONEXISTENT] There is no such folder"},
		{"STATUS inbox (MESSAGES UNSEEN UIDNEXT UIDVALIDITY RECENT)", "* STATUS \"INBOX\" (MESSAGES 2 UNSEEN 2 UIDNEXT 3 UIDVALIDITY 1 RECENT 0)\nOK STATUS completed"},
		{"SELECT INBOX", "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\n* 2 EXISTS\n* 0 RECENT\n* OK [UNSEEN 1] First unseen\n" +
			"* OK [UIDVALIDITY 1] UIDs are valid\n* OK [UIDNEXT 3] Predicted next UID\n" +
			"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Limited\nOK [READ-WRITE] SELECT completed"},
		{"FETCH 1:* (UID FLAGS RFC822.SIZE)", fmt.Sprintf("* 1 FETCH (UID 1 FLAGS () RFC822.SIZE %d)\n* 2 FETCH (UID 2 FLAGS () RFC822.SIZE 35)\nOK FETCH completed", size)},
		{"FETCH 1 ENVELOPE", `* 1 FETCH (ENVELOPE ("Mon, 2 Nov 2026 10:00:00 +0100" "Parts" (("=?utf-8?q?J=C3=BCrgen?=" NIL "j" "corp.test")) ` +
			`(("=?utf-8?q?J=C3=BCrgen?=" NIL "j" "corp.test")) (("=?utf-8?q?J=C3=BCrgen?=" NIL "j" "corp.test")) ` +
			`((NIL NIL "me" "corp.test")("A \"b\"" NIL "a" "x.test")) NIL NIL NIL "<1@corp.test>"))` + "\nOK FETCH completed"},
		{"FETCH 1 BODY", `* 1 FETCH (BODY (("text" "html" ("charset" "utf-8") NIL NIL "8bit" 16 1)` +
			`("message" "rfc822" NIL NIL NIL "7BIT" 28 (NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7BIT" 10 0) 2)` +
			`("application" "pdf" ("name" "a.pdf") NIL NIL "7BIT" 3) "mixed"))` + "\nOK FETCH completed"},
		{"FETCH 2 BODYSTRUCTURE", `* 2 FETCH (BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7BIT" 17 2 NIL NIL NIL NIL))` + "\nOK FETCH completed"},
		{"FETCH 1 BODY.PEEK[1]", "* 1 FETCH (BODY[1] {16}\n<p>Grüße</p>\n)\nOK FETCH completed"},
		{"FETCH 1 BODY.PEEK[1.MIME]<0.12>", "* 1 FETCH (BODY[1.MIME]<0> {12}\nContent-Type)\nOK FETCH completed"},
		{"FETCH 1 BODY.PEEK[2.HEADER]", "* 1 FETCH (BODY[2.HEADER] {18}\nSubject: inner\n\n)\nOK FETCH completed"},
		{"FETCH 1 BODY.PEEK[2.1]", "* 1 FETCH (BODY[2.1] {10}\ninner text)\nOK FETCH completed"},
		{"FETCH 1 BODY.PEEK[9]", "* 1 FETCH (BODY[9] {0}\n)\nOK FETCH completed"},
		{"FETCH 1 BODY.PEEK[HEADER.FIELDS (to Subject)]", "* 1 FETCH (BODY[HEADER.FIELDS (to Subject)] {60}\nTo: me@corp.test,\n \"A \\\"b\\\"\" <a@x.test>\nSubject: Parts\n\n)\nOK FETCH completed"},
		{"UID FETCH 2 (BODY.PEEK[TEXT]<2.4>)", "* 2 FETCH (UID 2 BODY[TEXT]<2> {4}\nots\r)\nOK FETCH completed"},
		{"FETCH 2 RFC822", "* 2 FETCH (RFC822 {35}\n" + strings.ReplaceAll(letters[1], "\r\n", "\n") + " FLAGS (\\Seen))\nOK FETCH completed"},
		{"SEARCH UNSEEN", "* SEARCH 1\nOK SEARCH completed"},
		{"UID SEARCH CHARSET UTF-8 OR (SUBJECT plain) (NOT SEEN FROM corp.test) UID 1:*", "* SEARCH 1 2\nOK SEARCH completed"},
		{"SEARCH SENTON 2-Nov-2026 LARGER 40 HEADER Message-ID \"\"", "* SEARCH 1\nOK SEARCH completed"},
		{"SEARCH CHARSET X ALL", "NO [BADCHARSET (UTF-8 US-ASCII)] Unknown charset"},
		{"SEARCH", "BAD Syntax error"},
		{"STORE 1 +FLAGS (\\Flagged $Label)", "* 1 FETCH (UID 1 FLAGS (\\Flagged $Label))\nOK STORE completed"},
		{"CREATE A/b", "OK CREATE completed"},
		{"CREATE A/b", "NO [ALREADYEXISTS] There is such a folder"},
		{"COPY 1 A/b", "OK [COPYUID 3 1 1] COPY completed"},
		{"COPY 1 C", "NO [TRYCREATE] There is no such folder"},
		{"UID MOVE 2 A/b", "* OK [COPYUID 3 2 2] Moved\n* 2 EXPUNGE\nOK MOVE completed"},
		{"RENAME A/b B", "OK RENAME completed"},
		{"EXAMINE B", "→OK [READ-ONLY] EXAMINE completed"},
		{"STORE 1 FLAGS ()", "NO [READ-ONLY] The folder was opened to read"},
		{"FETCH 1:2 (UID FLAGS)", "* 1 FETCH (UID 1 FLAGS (\\Flagged $Label))\n* 2 FETCH (UID 2 FLAGS (\\Seen))\nOK FETCH completed"},
		{"SELECT B", "→OK [READ-WRITE] SELECT completed"},
		{"STORE 1:2 +FLAGS.SILENT \\Deleted", "OK STORE completed"},
		{"UID EXPUNGE 2", "* 2 EXPUNGE\nOK EXPUNGE completed"},
		{"EXPUNGE", "* 1 EXPUNGE\nOK EXPUNGE completed"},
		{"UNSELECT", "OK Completed"},
		{"DELETE B", "OK DELETE completed"},
		{"DELETE INBOX", "NO [CANNOT] INBOX stays"},
		{"APPEND INBOX (\\Draft) \"02-Nov-2026 10:00:00 +0100\" {3+}\r\nabc", "OK [APPENDUID 1 3] APPEND completed"},
		{"SELECT INBOX", "→* 2 EXISTS"},
		{"FETCH * (FLAGS INTERNALDATE BODY[])", "* 2 FETCH (FLAGS (\\Draft \\Seen) INTERNALDATE \" 2-Nov-2026 10:00:00 +0100\" BODY[] {3}\nabc)\nOK FETCH completed"},
		{"CHECK", "OK Completed"},
		{"CLOSE", "OK Completed"},
		{"FROBNICATE", "BAD Unknown command"},
		{"STATUS INBOX", "BAD Syntax error"},
		{"LOGIN a b", "BAD Unknown command"},
		{"LOGOUT", "* BYE Logging out\nOK LOGOUT completed"},
	}
	p := start(t, Options{})
	for _, l := range letters {
		p.Deliver(me, []byte(l))
	}
	c := reader(t, p)
	for _, tt := range table {
		got := c.imap(tt.command)
		if part, ok := strings.CutPrefix(tt.want, "→"); ok && strings.Contains(got, part) || got == tt.want {
			continue
		}
		t.Errorf("%s\ngot  %q\nwant %q", tt.command, got, tt.want)
	}
	c.ended()
}

// TestIMAPExact fetches messages that are hardly messages: their bytes come as they were.
func TestIMAPExact(t *testing.T) {
	p := start(t, Options{})
	c := reader(t, p)
	for i, body := range []string{"", "no header", "\r\nno header\r\n", "a\nb\rc\x00\xff", letters[0], strings.Repeat("long line ", 100000)} {
		p.Deliver(me, []byte(body))
		c.imap("SELECT INBOX")
		c.send("t FETCH %d (BODY.PEEK[] ENVELOPE BODYSTRUCTURE)\r\n", i+1)
		c.begins(fmt.Sprintf("* %d FETCH (BODY[] {%d}", i+1, len(body)))
		got := make([]byte, len(body))
		for n := 0; n < len(got); {
			k, err := c.r.Read(got[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
		if string(got) != body {
			t.Errorf("%.40q came as %.40q", body, got)
		}
		c.tagged()
	}
}

// TestMailSent shows which folders a message goes to, and that IDLE says so.
func TestMailSent(t *testing.T) {
	p := start(t, Options{Accounts: []string{me, "you@corp.test"}})
	c := reader(t, p)
	c.imap("SELECT INBOX")
	c.send("t IDLE\r\n")
	c.begins("+ ")
	sender := login(t, p)
	for _, to := range []string{"ME@corp.test", "you@corp.test", "friend@elsewhere.test"} {
		sender.do("MAIL FROM:<me@corp.test>", "250")
		sender.do("RCPT TO:<"+to+">", "250")
		sender.send("BDAT 3 LAST\r\nabc")
		sender.expect("250")
	}
	c.begins("* 1 EXISTS")
	c.send("DONE\r\n")
	c.begins("t OK")
	if got := c.imap("STATUS Elsewhere (MESSAGES UNSEEN)"); !strings.Contains(got, "(MESSAGES 1 UNSEEN 0)") {
		t.Errorf("Elsewhere: %q", got)
	}
	if got := c.imap("FETCH 1:* BODY[]"); !strings.HasPrefix(got, "* 1 FETCH (BODY[] {3}\nabc FLAGS (\\Seen))\nOK") {
		t.Errorf("INBOX: %q", got)
	}
}

// TestTwoSessions shows that sessions learn of each other's changes, and keep their numbers until then.
func TestTwoSessions(t *testing.T) {
	p := start(t, Options{})
	for range 3 {
		p.Deliver(me, []byte("a: b\r\n\r\n"))
	}
	a, b := reader(t, p), reader(t, p)
	a.imap("SELECT INBOX")
	b.imap("SELECT INBOX")
	a.imap("STORE 2 FLAGS (\\Deleted)")
	a.imap("EXPUNGE")
	if got := b.imap("FETCH 3 UID"); got != "* 3 FETCH (UID 3)\nOK FETCH completed" {
		t.Errorf("FETCH: %q", got)
	}
	if got := b.imap("NOOP"); got != "* 2 EXPUNGE\nOK Completed" {
		t.Errorf("NOOP: %q", got)
	}
	a.imap("STORE 2 FLAGS.SILENT (\\Flagged)")
	if got := b.imap("NOOP"); got != "* 2 FETCH (UID 3 FLAGS (\\Flagged))\nOK Completed" {
		t.Errorf("NOOP: %q", got)
	}
}

// TestIMAPLogin lists ways to log in that are accepted and refused, with the manners of providers. In a
// line, %X stands for the response with a valid token, %Y for that with an unknown one.
func TestIMAPLogin(t *testing.T) {
	quiet := Manners{Before: words("IMAP4rev1 ID"), BarePlus: true}
	tests := []struct {
		name  string
		opts  Options
		lines []string // sent and what the answer begins with; "" sends nothing
	}{
		{"one step", Options{}, []string{"t AUTHENTICATE XOAUTH2 %X|t OK [CAPABILITY IMAP4rev1"}},
		{"two steps", Options{}, []string{"t authenticate xoauth2|+ ", "%X|t OK"}},
		{"oauthbearer", Options{}, []string{"t AUTHENTICATE OAUTHBEARER %B|t OK"}},
		{"long token", Options{TokenSize: 9000}, []string{"t AUTHENTICATE XOAUTH2 %X|t OK"}},
		{"refused", Options{}, []string{"t AUTHENTICATE XOAUTH2 %Y|+ ey", "|t NO [AUTHENTICATIONFAILED]", "t AUTHENTICATE XOAUTH2 %X|t OK"}},
		{"refused, oauthbearer", Options{}, []string{"t AUTHENTICATE OAUTHBEARER %Z|+ ey", "AQ==|t NO [AUTHENTICATIONFAILED]"}},
		{"wrong answer to the report", Options{}, []string{"t AUTHENTICATE XOAUTH2 %Y|+ ey", "AQ==|t BAD"}},
		{"cancelled", Options{}, []string{"t AUTHENTICATE XOAUTH2|+ ", "*|t BAD"}},
		{"not announced, no SASL-IR", Options{IMAP: quiet}, []string{"t CAPABILITY|* CAPABILITY IMAP4rev1 ID", "|t OK", "t AUTHENTICATE XOAUTH2 %X|t BAD", "t AUTHENTICATE XOAUTH2|+", "%X|t OK"}},
		{"mechanism not there", Options{Mechanisms: []string{"OAUTHBEARER"}}, []string{"t AUTHENTICATE XOAUTH2 %X|t NO [CANNOT]"}},
		{"passwords", Options{}, []string{"t LOGIN me secret|t NO [ALERT]"}},
		{"Gmail", Options{IMAP: Gmail}, []string{"t AUTHENTICATE XOAUTH2 %X|* CAPABILITY IMAP4rev1 UNSELECT", "|t OK Success"}},
		{"Exchange", Options{IMAP: Exchange}, []string{"t AUTHENTICATE XOAUTH2 %Y|t NO AUTHENTICATE failed.", "t AUTHENTICATE XOAUTH2 %X|t OK AUTHENTICATE completed."}},
		{"Yahoo", Options{IMAP: Yahoo}, []string{"t AUTHENTICATE XOAUTH2 %X|t OK"}},
		{"Dovecot", Options{IMAP: Dovecot}, []string{"t AUTHENTICATE XOAUTH2 %X|t OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS"}},
		{"before the login", Options{}, []string{"t SELECT INBOX|t BAD Log in first", "t|* BAD", "t NOOP {3}|+ ", "abc|t OK", "t LOGIN {9000}|t NO [TOOBIG]"}},
		{"literals without waiting", Options{IMAP: Gmail}, []string{"t LOGIN {2+}|* BAD"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, tt.opts)
			token := p.accessToken(t, me)
			responses := strings.NewReplacer("%X", xoauth2(me, token), "%B", bearer(me, token), "%Y", xoauth2(me, "bad"), "%Z", bearer(me, "bad"))
			c := dial(t, p.IMAPPlainAddr, nil)
			c.begins("* OK ")
			talk(c, responses, tt.lines)
		})
	}
}

// talk plays lines of the form "sent|received".
func talk(c *client, replace *strings.Replacer, lines []string) {
	c.Helper()
	last := ""
	for _, line := range lines {
		i := strings.LastIndex(line, "|")
		sent, want := line[:i], line[i+1:]
		if sent != "" || strings.HasPrefix(last, "+") {
			c.send(replace.Replace(sent) + "\r\n")
		}
		last = c.begins(want)
	}
}

// TestReadScopes needs a scope for each protocol.
func TestReadScopes(t *testing.T) {
	p := start(t, Options{Scopes: map[Protocol]string{SMTP: "send", IMAP: "read", POP: "pop"}, IMAP: Exchange,
		Shared: map[string][]string{"team@corp.test": {me}}})
	token := func(refresh string) string {
		_, got := p.refresh(t, refresh)
		return got["access_token"].(string)
	}
	for _, tt := range []struct {
		scope, user, want string
	}{
		{"send read pop", me, "t OK"},
		{"send", me, "t NO AUTHENTICATE failed."},
		{"read", me, "t OK"},
		{"read", "team@corp.test", "t OK"},
		{"read", "other@corp.test", "t NO"},
	} {
		c := dial(t, p.IMAPPlainAddr, nil)
		c.begins("* OK ")
		c.send("t AUTHENTICATE XOAUTH2 %s\r\n", xoauth2(tt.user, token(p.GrantScope(me, tt.scope))))
		c.begins(tt.want)
	}
	login(t, p) // Grant has all scopes
	c := dial(t, p.PlainAddr, nil)
	c.expect("220 ")
	c.do("EHLO c.test", "250-")
	challenge := c.do("AUTH XOAUTH2 "+xoauth2(me, token(p.GrantScope(me, "read"))), "334 ")
	text, _ := base64.StdEncoding.DecodeString(challenge[4:])
	if !strings.Contains(string(text), "insufficient_scope") {
		t.Errorf("report %s", text)
	}
}

// TestIMAPFaults lists what can go wrong, and what the client reads then.
func TestIMAPFaults(t *testing.T) {
	in := func(step string, act Action) Faults {
		return Faults{IMAP: func(e Event) Action {
			if e.Step == step && (step != StepCommand || e.Account != "") {
				return act
			}
			return Action{}
		}}
	}
	tests := []struct {
		name   string
		faults Faults
		want   string // everything that is read
	}{
		{"BYE", in(StepGreeting, Action{Text: "BYE Not now"}), "* BYE Not now\r\n"},
		{"PREAUTH", in(StepGreeting, Action{Text: "PREAUTH Welcome", Close: true}), "* PREAUTH Welcome\r\n"},
		{"garbage", in(StepGreeting, Action{Raw: "220 wrong port\r\n", Close: true}), "220 wrong port\r\n"},
		{"unavailable", in(StepAuth, Action{Text: Unavailable, Close: true}), "* OK hello\r\na " + Unavailable + "\r\n"},
		{"alert", in(StepAuth, Action{Untagged: "* OK [ALERT] Read this\r\n", Close: true}), "* OK hello\r\n* OK [ALERT] Read this\r\na OK in\r\n"},
		{"other words", in(StepAuth, Action{Text: "OK [CAPABILITY IMAP4rev1] Hi", Close: true}), "* OK hello\r\na OK [CAPABILITY IMAP4rev1] Hi\r\n"},
		{"not connected", in(StepCommand, Action{Text: NotConnected, Close: true}), "* OK hello\r\na OK in\r\nb " + NotConnected + "\r\n"},
		{"drop", in(StepCommand, Action{Drop: true}), "* OK hello\r\na OK in\r\n"},
		{"cut", in(StepLiteral, Action{Cut: 2}), "* OK hello\r\na OK in\r\n…* 1 FETCH (BODY[] {6}\r\na:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, Options{IMAP: Manners{Greeting: "hello", LoggedIn: "in"}})
			p.Deliver(me, []byte("a: b\r\n"))
			token := p.accessToken(t, me)
			p.SetFaults(tt.faults)
			c := dial(t, p.IMAPPlainAddr, nil)
			c.send("a AUTHENTICATE XOAUTH2 %s\r\nb SELECT INBOX\r\nc FETCH 1 BODY[]\r\n", xoauth2(me, token))
			got := c.rest()
			if tt.name == "drop" && strings.HasPrefix(tt.want, got) {
				return // a lost connection may lose more
			}
			before, after, cut := strings.Cut(tt.want, "…")
			if got != tt.want && !(cut && strings.HasPrefix(got, before) && strings.HasSuffix(got, after)) {
				t.Errorf("read %q, want %q", got, tt.want)
			}
		})
	}
}

// TestReadOdds makes each kind of chance certain.
func TestReadOdds(t *testing.T) {
	for want, o := range map[string]Odds{
		"* BYE Try again later\r\n":                                     {ReadGreeting: 1},
		"* OK hello\r\na " + Unavailable + "\r\nb BAD Log in first\r\n": {ReadLogin: 1},
		"* OK hello\r\n": {ReadDrop: 1},
	} {
		p := start(t, Options{IMAP: Manners{Greeting: "hello", LoggedIn: "in"}})
		p.SetFaults(o.Faults())
		c := dial(t, p.IMAPPlainAddr, nil)
		c.send("a AUTHENTICATE XOAUTH2 %s\r\nb CHECK\r\n", xoauth2(me, "x"))
		c.conn.(*net.TCPConn).CloseWrite()
		if got := c.rest(); got != want && !(o.ReadDrop > 0 && got == "") { // a lost connection may lose more
			t.Errorf("%+v: read %q, want %q", o, got, want)
		}
	}
	p := start(t, Options{})
	p.Deliver(me, []byte("a: b\r\n"))
	p.SetFaults(Odds{ReadCut: 1}.Faults())
	c := popper(t, p)
	c.send("RETR 1\r\n")
	if got := c.rest(); got != "+OK 6 octets\r\na: b" {
		t.Errorf("read %q", got)
	}
}

// rest reads until the connection ends, however it ends.
func (c *client) rest() string {
	var all strings.Builder
	b := make([]byte, 4096)
	for {
		n, err := c.r.Read(b)
		all.Write(b[:n])
		if err != nil {
			return all.String()
		}
	}
}

// TestSessionEnd ends sessions with their token, and on command: between commands, and in IDLE.
func TestSessionEnd(t *testing.T) {
	p := start(t, Options{IMAP: Manners{TokenEnd: &GmailTokenEnd}, TokenTTL: time.Second})
	c := reader(t, p)
	c.begins(GmailTokenEnd.Line)
	c.ended()

	p = start(t, Options{})
	c, idle := reader(t, p), reader(t, p)
	idle.imap("SELECT INBOX")
	idle.send("t IDLE\r\n")
	idle.begins("+")
	if n := p.End(IMAP, me, ExchangeTokenEnd); n != 2 {
		t.Errorf("%d sessions", n)
	}
	for _, c := range []*client{c, idle} {
		c.begins(ExchangeTokenEnd.Line)
		c.send("t NOOP\r\n")
	}
	if n := p.Counts().IMAP; n.Active != 2 || n.Auths != 2 {
		t.Errorf("counts %+v", n)
	}
}

// TestIMAPLimit refuses the third connection of an account.
func TestIMAPLimit(t *testing.T) {
	p := start(t, Options{MaxIMAP: 2})
	first := reader(t, p)
	reader(t, p)
	c := dial(t, p.IMAPAddr, trust(p))
	c.begins("* OK")
	login := "AUTHENTICATE XOAUTH2 " + xoauth2(me, p.accessToken(t, me))
	if got := c.imap(login); got != TooManyConnections {
		t.Errorf("got %q", got)
	}
	first.imap("LOGOUT")
	first.ended()
	if got := c.imap(login); !strings.HasPrefix(got, "OK") {
		t.Errorf("got %q", got)
	}
	if n := p.PeakOf(IMAP, me); n != 2 {
		t.Errorf("peak %d", n)
	}
}

// TestIMAPStartTLS throws away what was sent before TLS.
func TestIMAPStartTLS(t *testing.T) {
	p := start(t, Options{})
	c := dial(t, p.IMAPStartAddr, nil)
	if got := c.begins("* OK"); !strings.Contains(got, "STARTTLS LOGINDISABLED]") {
		t.Errorf("greeting %q", got)
	}
	token := p.accessToken(t, me)
	if got := c.imap("AUTHENTICATE XOAUTH2 " + xoauth2(me, token)); !strings.HasPrefix(got, "NO [PRIVACYREQUIRED]") {
		t.Errorf("got %q", got)
	}
	c.send("t STARTTLS\r\nx LOGOUT\r\n")
	c.begins("t OK")
	c.tls(trust(p))
	if got := c.imap("AUTHENTICATE XOAUTH2 " + xoauth2(me, token)); !strings.HasPrefix(got, "OK") {
		t.Errorf("got %q", got)
	}
}

// TestCompress goes on with compressed bytes (RFC 4978).
func TestCompress(t *testing.T) {
	p := start(t, Options{})
	c := reader(t, p)
	if got := c.imap("COMPRESS DEFLATE"); got != "OK DEFLATE active" {
		t.Fatal(got)
	}
	c.conn = newDeflated(c.conn)
	c.r = bufio.NewReader(c.conn)
	if got := c.imap("COMPRESS DEFLATE"); !strings.HasPrefix(got, "BAD") {
		t.Error(got)
	}
	if got := c.imap("EXAMINE INBOX"); !strings.HasSuffix(got, "EXAMINE completed") {
		t.Error(got)
	}
}

func FuzzScanner(f *testing.F) {
	for _, s := range []string{"1:*,3 (FLAGS BODY.PEEK[HEADER.FIELDS (a b)]<0.5>)", `"a\"b" {3}` + "\r\nabc", "OR (SEEN) NOT UID 1:* BEFORE 1-Jan-2026"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := scanner{s: s}
		c.set()
		c.space()
		c.fetchItems()
		session := imapSession{view: []seen{{letter: &letter{uid: 1, body: []byte(s)}}}}
		if c = (scanner{s: s}); true {
			found := session.criteria(&c, "")
			if c.done() {
				found(1, &session.view[0])
			}
		}
		p := parsePart([]byte(s))
		p.structure(true)
		p.envelope()
		if n := len(p.header) + len(p.body); n != len(s) {
			t.Errorf("%d octets of %d", n, len(s))
		}
	})
}
