package proxy

import (
	"encoding/base64"
	"strings"
	"testing"
)

// turn is what a mail program says, "" for nothing more, and how the answer begins;
// "" is the connection's end. Its line end is CRLF where it has none.
type turn struct{ say, want string }

func (t turn) refused(want string) turn { return turn{t.say, want} }

// TestOldPrograms plays what old mail programs, scanners and scripts say that the
// grammar of RFC 5321 and 4954 allows and few others do, or does not allow and
// servers bear. The envelope is what the provider then has, "" where nothing may arrive.
func TestOldPrograms(t *testing.T) {
	r := newRig(t, rigOptions{})
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	in := turn{"AUTH PLAIN " + plainResponse(me, password), "235 2.0.0"}
	from, to := turn{"MAIL FROM:<" + me + ">", "250 2.1.0"}, turn{"RCPT TO:<you@there.test>", "250 2.1.5"}
	data, body := turn{"DATA", "354"}, turn{"hello\r\n.", "250 2.0.0 OK"}
	const envelope = "me@corp.test>you@there.test"
	for name, tc := range map[string]struct {
		turns    []turn
		envelope string
	}{
		"PLAIN with the command":         {[]turn{in, from, to, data, body}, envelope},
		"PLAIN behind 334":               {[]turn{{"AUTH PLAIN", "334 "}, {plainResponse(me, password), "235"}, from, to, data, body}, envelope},
		"PLAIN with itself as authzid":   {[]turn{{"AUTH PLAIN " + b64(me+"\x00"+me+"\x00"+password), "235"}}, ""},
		"PLAIN with authzid in capitals": {[]turn{{"AUTH PLAIN " + b64("ME@corp.test\x00"+me+"\x00"+password), "235"}}, ""},
		"PLAIN for another":              {[]turn{{"AUTH PLAIN " + b64("you@corp.test\x00"+me+"\x00"+password), "535 5.7.8"}, in}, ""},
		"PLAIN, empty response":          {[]turn{{"AUTH PLAIN =", "501 5.5.2"}, in}, ""},
		"PLAIN, not base64":              {[]turn{{"AUTH PLAIN", "334 "}, {"not base64!", "501 5.5.2"}, in}, ""},
		"LOGIN":                          {[]turn{{"AUTH LOGIN", "334 VXNlcm5hbWU6"}, {b64(me), "334 UGFzc3dvcmQ6"}, {b64(password), "235"}, from, to, data, body}, envelope},
		"LOGIN, user with the command":   {[]turn{{"AUTH LOGIN " + b64(me), "334 UGFzc3dvcmQ6"}, {b64(password), "235"}, from, to, data, body}, envelope},
		"LOGIN, no user":                 {[]turn{{"AUTH LOGIN", "334"}, {"\r\n", "501 5.5.2"}, in}, ""},
		"LOGIN, no password":             {[]turn{{"AUTH LOGIN " + b64(me), "334"}, {"\r\n", "535 5.7.8"}, in}, ""},
		"LOGIN, all at once":             {[]turn{{"AUTH LOGIN\r\n" + b64(me) + "\r\n" + b64(password), "334"}, {"", "334"}, {"", "235"}, {"NOOP", "250"}}, ""},
		"cancelled":                      {[]turn{{"AUTH PLAIN", "334 "}, {"*", "501 5.7.0"}, {"AUTH LOGIN " + b64(me), "334"}, {"*", "501 5.7.0"}, in}, ""},
		"mechanism in small letters":     {[]turn{{"auth plain " + plainResponse(me, password), "235"}}, ""},
		"LOGIN in small letters":         {[]turn{{"auth login " + b64(me), "334"}, {b64(password), "235"}}, ""},
		"a mechanism that is not there":  {[]turn{{"AUTH CRAM-MD5", "504 5.7.4"}, {"AUTH XOAUTH2 " + b64("user=x"), "504 5.7.4"}, in}, ""},
		"AUTH in a transaction":          {[]turn{in, from, {"AUTH PLAIN " + plainResponse(me, password), "503 5.5.1"}, to, data, body}, envelope},

		"small letters": {[]turn{in, {"mail from:<" + me + "> size=5 body=8bitmime", "250"}, {"rcpt to:<you@there.test>", "250"}, {"data", "354"}, body},
			"me@corp.test SIZE=5 BODY=8BITMIME>you@there.test"},
		"blanks behind the colon":   {[]turn{in, {"MAIL FROM: <" + me + ">", "250"}, {"RCPT TO: \t <you@there.test>", "250"}, data, body}, envelope},
		"blanks behind the verb":    {[]turn{in, {"MAIL   FROM:<" + me + ">", "250"}, {"RCPT  TO:<you@there.test>", "250"}, data, body}, envelope},
		"no angle brackets":         {[]turn{in, {"MAIL FROM:" + me, "250"}, {"RCPT TO: you@there.test", "250"}, data, body}, envelope},
		"no brackets, a parameter":  {[]turn{in, {"MAIL FROM:" + me + " SIZE=5", "250"}, to, data, body}, "me@corp.test SIZE=5>you@there.test"},
		"half a bracket":            {[]turn{in, {"MAIL FROM:<" + me, "501 5.1.7"}, {"MAIL FROM:" + me + ">", "501 5.1.7"}, from, {"RCPT TO:<you@there.test", "501 5.1.3"}, to, data, body}, envelope},
		"two in one RCPT":           {[]turn{in, from, {"RCPT TO:<a@there.test>,<b@there.test>", "501 5.1.3 The recipient's address is followed by another"}, {"RCPT TO:<a@there.test>;b@there.test", "501 5.1.3"}, to, data, body}, envelope},
		"a name before the address": {[]turn{in, {"MAIL FROM:Me <" + me + ">", "501 5.1.7"}, {"MAIL FROM:\"Me\" <" + me + ">", "501 5.1.7"}, from}, ""},
		"no domain":                 {[]turn{in, {"MAIL FROM:<scanner>", "501 5.1.7"}, from, {"RCPT TO:<you>", "501 5.1.3"}}, ""},
		"no address":                {[]turn{in, {"MAIL FROM:", "501 5.1.7"}, {"MAIL", "501 5.5.2"}, {"MAIL FROM " + me, "501 5.5.2"}, from, {"RCPT TO:<>", "501 5.1.3"}}, ""},
		"the null sender":           {[]turn{in, {"MAIL FROM:<>", "250"}, to, data, body}, ">you@there.test"},
		"a source route":            {[]turn{in, {"MAIL FROM:<@old.test,@older.test:" + me + ">", "250"}, to, data, body}, envelope},
		"a quoted name":             {[]turn{in, from, {`RCPT TO:<"you"@there.test>`, "250"}, data, body}, `me@corp.test>"you"@there.test`},

		"parameters of MAIL": {[]turn{in, {"MAIL FROM:<" + me + "> BODY=8BITMIME SIZE=1000 SMTPUTF8 AUTH=<>", "250"}, to, data, body},
			"me@corp.test SIZE=1000 BODY=8BITMIME SMTPUTF8 AUTH=<>>you@there.test"},
		"AUTH= an address":           {[]turn{in, {"MAIL FROM:<" + me + "> AUTH=" + me, "250"}, to, data, body}, "me@corp.test AUTH=me@corp.test>you@there.test"},
		"UTF-8 without SMTPUTF8":     {[]turn{in, from, {"RCPT TO:<jürgen@there.test>", "553 5.6.7 The address is not ASCII"}, to, data, body}, envelope},
		"a parameter nobody knows":   {[]turn{in, {"MAIL FROM:<" + me + "> X-SCAN=1", "555 5.5.4"}, from, {"RCPT TO:<you@there.test> X-SCAN=1", "555 5.5.4"}, to, data, body}, envelope},
		"a parameter with bad value": {[]turn{in, {"MAIL FROM:<" + me + "> SIZE=big", "501 5.5.4"}, {"MAIL FROM:<" + me + "> AUTH=", "501 5.5.4"}, {"MAIL FROM:<" + me + "> AUTH=+", "501 5.5.4"}, from, to, data, body}, envelope},
		"parameters of RCPT":         {[]turn{in, from, {"RCPT TO:<you@there.test> NOTIFY=success,failure", "250"}, data, body}, envelope},

		"HELO, then AUTH":           {[]turn{{"HELO scanner", "250"}, in, from, to, data, body}, envelope},
		"EHLO again":                {[]turn{in, from, {"EHLO again", "250-Hello again"}, {"RCPT TO:<you@there.test>", "503 5.5.1"}, from, to, data, body}, envelope},
		"HELO when EHLO was given":  {[]turn{in, {"HELO scanner", "250"}, from, to, data, body}, envelope},
		"HELO without a name":       {[]turn{{"HELO", "250 2.0.0 Hello [127.0.0.1]"}, {"EHLO ", "250-Hello [127.0.0.1]"}, in, from, to, data, body}, envelope},
		"an address for a name":     {[]turn{{"EHLO [192.0.2.7]", "250-Hello [192.0.2.7]"}, {"EHLO my_scanner", "250"}, {"EHLO two words", "250"}, in}, ""},
		"RSET in between":           {[]turn{{"RSET", "250"}, in, {"RSET", "250"}, from, {"RSET", "250"}, to.refused("503"), from, to, {"RSET", "250"}, data.refused("503"), from, to, data, body}, envelope},
		"NOOP, VRFY, HELP, EXPN":    {[]turn{{"NOOP", "250"}, {"VRFY you", "252"}, in, {"NOOP still here?", "250"}, {"HELP", "214 2.0.0"}, {"HELP MAIL", "214 2.0.0"}, {"EXPN all", "502"}, from, {"NOOP", "250"}, to, {"VRFY <you@there.test>", "252"}, data, body}, envelope},
		"a second sender":           {[]turn{in, from, from.refused("503 5.5.1"), to, data, body}, envelope},
		"DATA with a word":          {[]turn{in, from, to, {"DATA now", "501 5.5.4"}, data, body}, envelope},
		"an unknown command":        {[]turn{{"XCLIENT NAME=x", "500 5.5.2"}, {"ETRN x", "500 5.5.2"}, {"X", "500 5.5.2"}, in, from, to, data, body}, envelope},
		"too many unknown commands": {[]turn{{"A", "500"}, {"B", "500"}, {"Subject: x", "500"}, {"X", "500"}, {"", "421 4.7.0"}, {"", ""}}, ""},
		"an empty line":             {[]turn{in, from, to, data, body, {"\r\nNOOP", "500 5.5.2"}, {"", "250"}}, envelope},

		"blanks at the end": {[]turn{{"EHLO x ", "250-Hello x"}, {"NOOP ", "250"}, {"RSET\t", "250"}, {"AUTH PLAIN ", "334 "}, {plainResponse(me, password) + " ", "235"},
			{"MAIL FROM:<" + me + "> ", "250"}, {"RCPT TO:<you@there.test>\t ", "250"}, {"DATA ", "354"}, body, {"QUIT ", "221"}, {"", ""}}, envelope},
		"blanks behind a mechanism and a star": {[]turn{{"AUTH LOGIN ", "334"}, {"* ", "501 5.7.0"}, {"AUTH LOGIN " + b64(me) + " ", "334"}, {b64(password) + " ", "235"}}, ""},
		"LF for a line's end": {[]turn{{"NOOP\nNOOP\n", "250"}, {"", "250"}, {"AUTH LOGIN\n" + b64(me) + "\n" + b64(password) + "\n", "334"}, {"", "334"}, {"", "235"},
			{"MAIL FROM:<" + me + ">\nRCPT TO:<you@there.test>\nDATA\n", "250"}, {"", "250"}, {"", "354"}, body}, envelope},
	} {
		t.Run(name, func(t *testing.T) {
			p := r.dial()
			p.t = t
			p.do("EHLO old.example", "250")
			before := len(r.provider.Messages())
			for _, turn := range tc.turns {
				switch {
				case turn.say == "": // what was said before is answered once more
				case strings.HasSuffix(turn.say, "\n"):
					p.send(turn.say)
				default:
					p.send(turn.say + "\r\n")
				}
				if got := p.reply(); !strings.HasPrefix(got, turn.want) || turn.want == "" && got != "" {
					t.Fatalf("%q: got %q, want %q", turn.say, got, turn.want)
				}
			}
			got := ""
			for _, m := range r.provider.Messages()[before:] {
				got += m.From + strings.TrimRight(" "+m.MailParams, " ") + ">" + m.Rcpts[0].To
			}
			if got != tc.envelope {
				t.Errorf("the provider has %q, want %q", got, tc.envelope)
			}
		})
	}
}
