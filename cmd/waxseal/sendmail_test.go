package main

import (
	"io"
	"reflect"
	"strings"
	"testing"
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
		"-FCronDaemon -i -B8BITMIME -oem root": {to: []string{"root"}}, // cron
		"-i -f <> -F Name a@x b@x":             {null: true, to: []string{"a@x", "b@x"}},
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
		{name: "no header", in: "Hello, world\n.\n", out: "Hello, world\n", dotEnds: true},
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

// FuzzSendmailMessage: whatever the bytes, what has no Bcc and no dot to end it goes out as it came in.
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
		low := strings.ToLower(text)
		if !strings.Contains(low, "bcc") && !strings.HasPrefix(text, "From ") && out.String() != text {
			t.Errorf("%q became %q", text, out.String())
		}
		if dotted, err := readMessage(strings.NewReader(text), true); err == nil {
			if _, err := io.Copy(io.Discard, dotted.body); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
