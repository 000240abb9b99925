package main

import (
	"io"
	"net/mail"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestSendmailArgs(t *testing.T) {
	for args, want := range map[string]sendmailCall{
		"":                                     {dotEnds: true},
		"-t -i":                                {fromHeader: true},
		"-ti":                                  {fromHeader: true},
		"-it you@x.test":                       {fromHeader: true, to: []string{"you@x.test"}},
		"-oi -oem -t":                          {fromHeader: true},
		"-oem -oi -f me@x.test -- you@x":       {from: "me@x.test", to: []string{"you@x"}}, // mutt
		"-fme@x.test you@x":                    {from: "me@x.test", to: []string{"you@x"}, dotEnds: true},
		"-FCronDaemon -i -B8BITMIME -oem root": {name: "CronDaemon", to: []string{"root"}}, // cron
		"-i -f <> -F Name a@x b@x":             {null: true, name: "Name", to: []string{"a@x", "b@x"}},
		"-bm -i -r <me@x.test> a@x":            {mode: 'm', from: "me@x.test", to: []string{"a@x"}},
		"-bp":                                  {mode: 'p', dotEnds: true},
		"-N never -R hdrs -V id -v -i a@x":     {to: []string{"a@x"}},
		"-i -- -f@x":                           {to: []string{"-f@x"}},
		"--config c.toml -i a@x":               {config: "c.toml", to: []string{"a@x"}},
		"--config=c.toml -G -i a@x":            {config: "c.toml", to: []string{"a@x"}},
		"-Am -i -O DeliveryMode=b -q30m":       {},
	} {
		got, err := readSendmailArgs(strings.Fields(args))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", args, got, err, want)
		}
	}
	for _, args := range []string{"-f", "--frobnicate", "-oi -N"} {
		if got, err := readSendmailArgs(strings.Fields(args)); err == nil {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

func TestSendmailMessage(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		dotEnds  bool
		out      string // "" is the same as in
		to       []string
		from     string
	}{
		{name: "plain", in: "From: Me <me@x.test>\nTo: a@x.test, B <b@x.test>\n\nHello\n", to: []string{"a@x.test", "b@x.test"}, from: "me@x.test"},
		{name: "bcc is removed", in: "to: a@x.test\nBCC: c@x.test,\n d@x.test\nSubject: x\n\nBcc: stays\n", out: "to: a@x.test\nSubject: x\n\nBcc: stays\n", to: []string{"a@x.test", "c@x.test", "d@x.test"}},
		{name: "only bcc", in: "Bcc: c@x.test\n\n", out: "\n", to: []string{"c@x.test"}},
		{name: "each once", in: "To: a@x.test\nCc: a@x.test\n\n", to: []string{"a@x.test"}},
		{name: "passed on", in: "Resent-To: r@x.test\nResent-Bcc: s@x.test\nTo: a@x.test\n\n", out: "Resent-To: r@x.test\nTo: a@x.test\n\n", to: []string{"r@x.test", "s@x.test"}},
		{name: "cron", in: "From: root (Cron Daemon)\nTo: root\n\nx\n", to: []string{"root"}, from: "root"},
		{name: "a group", in: "To: friends: a@x.test, b@x.test;\n\n", to: []string{"a@x.test", "b@x.test"}},
		{name: "undisclosed", in: "To: undisclosed-recipients:;\nBcc: a@x.test\n\n", out: "To: undisclosed-recipients:;\n\n", to: []string{"a@x.test"}},
		{name: "beyond ASCII", in: "To: =?koi8-r?B?8NXUyc4=?= <a@x.test>, J\xc3\xb6rg <b@x.test>\n\n\xff\xfe\n", to: []string{"a@x.test", "b@x.test"}},
		{name: "mbox", in: "From me Mon Nov 2\nTo: a@x.test\n\nx", out: "To: a@x.test\n\nx", to: []string{"a@x.test"}},
		{name: "CRLF", in: "To: a@x.test\r\nBcc: b@x.test\r\n\r\nx\r\n", out: "To: a@x.test\r\n\r\nx\r\n", to: []string{"a@x.test", "b@x.test"}},
		{name: "no header", in: "Hello, world\n.\n", out: "\r\nHello, world\n", dotEnds: true},
		{name: "a header without an end", in: "To: a@x.test\nHello, world\n", out: "To: a@x.test\n\r\nHello, world\n", to: []string{"a@x.test"}},
		{name: "a dot", in: "To: a@x.test\n\nx\n.\ny\n", dotEnds: true, out: "To: a@x.test\n\nx\n", to: []string{"a@x.test"}},
		{name: "a dot that stays", in: "To: a@x.test\n\nx\n.\n..\ny", to: []string{"a@x.test"}},
		{name: "a header alone", in: "To: a@x.test\n", to: []string{"a@x.test"}},
		{name: "nothing", in: ""},
	} {
		msg, err := readMessage(strings.NewReader(tc.in), tc.dotEnds)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		to, err := msg.recipients()
		var out strings.Builder
		msg.WriteTo(&out)
		if tc.out == "" {
			tc.out = tc.in
		}
		if err != nil || !reflect.DeepEqual(to, tc.to) || out.String() != tc.out || msg.from() != tc.from {
			t.Errorf("%s: to %q, from %q, %v\n%q\nwant %q from %q\n%q", tc.name, to, msg.from(), err, out.String(), tc.to, tc.from, tc.out)
		}
	}
	msg, _ := readMessage(strings.NewReader("To: two words, <a@x.test\n\n"), false)
	if to, err := msg.recipients(); err == nil {
		t.Errorf("not a list of addresses: %q", to)
	}
	if _, err := readMessage(strings.NewReader("To: "+strings.Repeat("a", 70<<10)), false); err == nil {
		t.Error("a line without end is read")
	}
}

// TestSendmailAddsMissingFields: From, Date and Message-ID are added if they are missing, and only then.
func TestSendmailAddsMissingFields(t *testing.T) {
	now := time.Date(2026, 11, 30, 9, 8, 7, 0, time.FixedZone("", 3600))
	const date = "Date: Mon, 30 Nov 2026 09:08:07 +0100\r\n"
	id := regexp.MustCompile(`(?m)^((?:Resent-)?Message-ID): <[a-z2-7]{26}@x\.test>\r\n`)
	for _, tc := range []struct{ name, in, out, sender string }{
		{name: "nothing", in: "", out: "From: <me@x.test>\r\n" + date + "Message-ID: ID\r\n"},
		{name: "a text", in: "Hello\n", out: "From: <me@x.test>\r\n" + date + "Message-ID: ID\r\n\r\nHello\n"},
		{name: "a subject", in: "Subject: x\n\nHello\n", out: "From: <me@x.test>\r\n" + date + "Message-ID: ID\r\nSubject: x\n\nHello\n"},
		{name: "some", in: "from: You <you@x.test>\nMESSAGE-ID: <a@b>\n\n", out: date + "from: You <you@x.test>\nMESSAGE-ID: <a@b>\n\n"},
		{name: "all", in: "From: a@x.test\nDate: today\nMessage-Id: <1>\n\n", out: "From: a@x.test\nDate: today\nMessage-Id: <1>\n\n"},
		{name: "a name", in: "Date: today\nMessage-Id: <1>\n\n", sender: "Jörg \"J\"\r\nBcc: x", out: "From: =?utf-8?b?SsO2cmcgIkoiDQpCY2M6IHg=?= <me@x.test>\r\nDate: today\nMessage-Id: <1>\n\n"},
		{name: "passed on", in: "Resent-To: a@x.test\nSubject: x\n\n", out: "Resent-From: <me@x.test>\r\nResent-" + date + "Resent-Message-ID: ID\r\nResent-To: a@x.test\nSubject: x\n\n"},
		{name: "passed on by somebody", in: "resent-from: a@x.test\nResent-Date: today\nResent-Message-ID: <2>\n\n", out: "resent-from: a@x.test\nResent-Date: today\nResent-Message-ID: <2>\n\n"},
		{name: "only in the body", in: "Subject: x\n\nFrom: a@x.test\nResent-To: b\n", out: "From: <me@x.test>\r\n" + date + "Message-ID: ID\r\nSubject: x\n\nFrom: a@x.test\nResent-To: b\n"},
	} {
		msg, err := readMessage(strings.NewReader(tc.in), false)
		if err != nil {
			t.Fatal(err)
		}
		msg.addMissing(mail.Address{Name: tc.sender, Address: "me@x.test"}, now)
		var out strings.Builder
		msg.WriteTo(&out)
		if got := id.ReplaceAllString(out.String(), "$1: ID\r\n"); got != tc.out {
			t.Errorf("%s:\n%q\nwant\n%q", tc.name, got, tc.out)
		}
	}
}

// FuzzSendmailMessage: whatever the bytes, what has no Bcc and no dot to end it goes out as it came in,
// but for the end of a header that has none.
func FuzzSendmailMessage(f *testing.F) {
	for _, text := range []string{"", "To: a@x.test\n\nx\n.\n", "a:\n b\nc", "x\r\n.\r\ny", ":\n", "From x\nTo: a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		msg, err := readMessage(strings.NewReader(text), false)
		if err != nil {
			return
		}
		msg.recipients()
		var out strings.Builder
		msg.WriteTo(&out)
		changed := strings.Contains(strings.ToLower(text), "bcc") || strings.HasPrefix(text, "From ")
		if msg.noGap {
			header := 0
			for _, f := range msg.fields {
				header += len(f.text)
			}
			text = text[:header] + "\r\n" + text[header:]
		}
		if !changed && out.String() != text {
			t.Errorf("%q became %q", text, out.String())
		}
		if dotted, err := readMessage(strings.NewReader(text), true); err == nil {
			if _, err := io.Copy(io.Discard, dotted.body); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
