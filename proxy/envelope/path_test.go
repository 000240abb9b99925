package envelope

import (
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

// What is not a mailbox was turned into another one, which the provider accepted: of
// <a@there.test,b@else.test> it heard <"a@there.test,b"@else.test>. Now a mailbox stays as it is, byte
// for byte, and everything else is refused.
func TestPath(t *testing.T) {
	long := strings.Repeat("a", 64)
	for in, want := range map[string]string{ // the mailbox, then what follows; "!" and words for an error
		"<you@there.test>":                   "you@there.test|",
		"<you@there.test> SIZE=5 BODY=7BIT":  "you@there.test| SIZE=5 BODY=7BIT",
		"<you@there.test>SIZE=5":             "you@there.test|SIZE=5",
		" \t <you@there.test>":               "you@there.test|",
		"you@there.test":                     "you@there.test|",
		"you@there.test SIZE=5":              "you@there.test| SIZE=5",
		"<>":                                 "|",
		"<> SIZE=5":                          "| SIZE=5",
		"<a.b+c=d!#$%&'*/?^_`{|}~-@x.test>":  "a.b+c=d!#$%&'*/?^_`{|}~-@x.test|",
		"<grün@bücher.test>":                 "grün@bücher.test|",
		"<ilo.@corp.test>":                   "ilo.@corp.test|",
		"<user..name@docomo.test>":           "user..name@docomo.test|",
		"<.x@corp.test>":                     ".x@corp.test|",
		"<Postmaster>":                       "Postmaster|",
		"postmaster NOTIFY=NEVER":            "postmaster| NOTIFY=NEVER",
		"<you@host>":                         "you@host|",
		"<you@my_host.local>":                "you@my_host.local|",
		"<you@a--b.test>":                    "you@a--b.test|",
		"<you@192.0.2.1>":                    "you@192.0.2.1|",
		"<you@[192.0.2.1]>":                  "you@[192.0.2.1]|",
		"<you@[IPv6:2001:db8::1]>":           "you@[IPv6:2001:db8::1]|",
		"<you@[ipv6:::ffff:192.0.2.1]>":      "you@[ipv6:::ffff:192.0.2.1]|",
		"<you@[x-tag:y.z]>":                  "you@[x-tag:y.z]|",
		`<""@there.test>`:                    `""@there.test|`,
		`<"you"@there.test>`:                 `"you"@there.test|`,
		`<"a b"@there.test>`:                 `"a b"@there.test|`,
		`<"a@b,c;d>e"@there.test>`:           `"a@b,c;d>e"@there.test|`,
		`<"a\"b\\c\d"@there.test>`:           `"a\"b\\c\d"@there.test|`,
		`"a b"@there.test SIZE=1`:            `"a b"@there.test| SIZE=1`,
		"<@old.test:you@there.test>":         "you@there.test|",
		"<@old.test,@[192.0.2.1]:you@there>": "you@there|",
		"<reply+" + long + long + "@x.test>": "reply+" + long + long + "@x.test|", // longer than the grammar wants, and in use

		"<a@there.test,b@else.test>":              "!followed by another",
		"<a@there.test, b@else.test>":             "!followed by another",
		"<a@there.test;b@else.test>":              "!followed by another",
		"a@there.test,b@else.test":                "!followed by another",
		"a@there.test;b@else.test":                "!followed by another",
		"<a@there.test>,<b@else.test>":            "!followed by another",
		"<a@there.test><b@else.test>":             "!followed by another",
		"<a@there.test b@else.test>":              "!blank",
		"<a,b@there.test>":                        "!followed by another",
		"<user@@there.test>":                      "!more than one @",
		"user@@there.test":                        "!more than one @",
		"<a@b@there.test>":                        "!more than one @",
		"<@there.test>":                           "!source route",
		"@there.test":                             "!nothing before",
		"<you@>":                                  "!no domain",
		"you@":                                    "!no domain",
		"<you>":                                   "!no domain",
		"you":                                     "!no domain",
		`<"postmaster">`:                          "!no domain",
		"":                                        "!missing",
		"<":                                       "!missing",
		"<you@there.test":                         "!no closing",
		"<you@there.test SIZE=5":                  "!blank",
		"you@there.test>":                         "!no opening",
		"<<you@there.test>>":                      "!followed by another",
		"<you@there.test>>":                       "!no opening",
		"< you@there.test>":                       "!blank",
		"<you@there.test >":                       "!blank",
		"<y ou@there.test>":                       "!blank",
		"Me <me@there.test>":                      "!blank",
		`"Me" <me@there.test>`:                    "!blank",
		"<me(work)@there.test>":                   "!malformed",
		`<me\@x@there.test>`:                      "!malformed",
		`<"me"x@there.test>`:                      "!malformed",
		`<x"me"@there.test>`:                      "!malformed",
		`<"me"."too"@there.test>`:                 "!malformed",
		`<"me@there.test>`:                        "!quoted",
		`<"me\"@there.test>`:                      "!quoted",
		"<\"a\tb\"@there.test>":                   "!control",
		"<\"a\\\x01b\"@there.test>":               "!quoted",
		"<me\r@there.test>":                       "!control",
		"<me@there.test\x00>":                     "!control",
		"<me@there.test>\rDATA":                   "!control",
		"<me\x7f@there.test>":                     "!control",
		"<me@there..test>":                        "!dot too many",
		"<me@.there.test>":                        "!dot too many",
		"<me@there.test.>":                        "!dot too many",
		"<me@the/re.test>":                        "!malformed",
		"<me@-there.test>":                        "!hyphen",
		"<me@there-.test>":                        "!hyphen",
		"<me@there.->":                            "!hyphen",
		"<me@[192.0.2.1>":                         "!literal",
		"<me@[192.0.2.256]>":                      "!literal",
		"<me@[::1]>":                              "!literal",
		"<me@[IPv6:192.0.2.1]>":                   "!literal",
		"<me@[IPv6:fe80::1%eth0]>":                "!literal",
		"<me@[x:]>":                               "!literal",
		"<me@[x-:y]>":                             "!literal",
		"<me@[x:<>]>":                             "!literal",
		"<me@[192.0.2.1]x>":                       "!malformed",
		"<@a.test you@there.test>":                "!source route",
		"<@a.test,b.test:you@there.test>":         "!source route",
		"<@a.test@b.test:you@there.test>":         "!source route",
		"<@:you@there.test>":                      "!source route",
		"<@a.test:>":                              "!missing",
		"<me@" + long + ".test>":                  "!too long",
		"<me@" + strings.Repeat("a.", 128) + "x>": "!longer",
		"<" + strings.Repeat("a", 320) + "@x>":    "!longer",
	} {
		mailbox, rest, err := cutPath(in)
		if words, bad := strings.CutPrefix(want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("%q: mailbox %q, %v; want an error with %q", in, mailbox, err, words)
			}
		} else if got := mailbox + "|" + rest; err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

// FuzzPath: a path that is taken is in the line as it is taken, and alone.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"<a@b>", "<@a,@b:c@d> SIZE=1", `"a\"b"@c X`, "<a@b,c@d>", "<>", "postmaster", "<a@[IPv6:::1]>", "<ü@ü>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		mailbox, rest, err := cutPath(s)
		if err != nil {
			return
		}
		if !strings.Contains(s, mailbox) || !strings.HasSuffix(s, rest) {
			t.Fatalf("%q became %q, %q", s, mailbox, rest)
		}
		if n, err := mailboxLen(mailbox); mailbox != "" && (err != nil || n != len(mailbox)) {
			t.Errorf("%q is not taken again: %d, %v", mailbox, n, err)
		}
		if local, _ := localLen(mailbox); strings.ContainsAny(mailbox[local:], "<>,; \r\n\x00") {
			t.Errorf("%q became %q", s, mailbox)
		}
	})
}

func TestMailFrom(t *testing.T) {
	at := func(s string) *string { return &s }
	for arg, want := range map[string]struct {
		from string
		opts smtp.MailOptions
		code string
	}{
		"FROM:<>": {"", smtp.MailOptions{}, ""},
		"from: <me@x.test> body=8bitmime size=42":          {"me@x.test", smtp.MailOptions{Body: smtp.Body8BitMIME, Size: 42}, ""},
		"FROM:<me@x.test> SIZE=5000000000":                 {"me@x.test", smtp.MailOptions{Size: 5_000_000_000}, ""},
		"FROM:<me@x.test> SIZE=18446744073709551615":       {"me@x.test", smtp.MailOptions{Size: 1<<63 - 1}, ""},
		"FROM:<me@x.test> SIZE=99999999999999999999":       {"me@x.test", smtp.MailOptions{Size: 1<<63 - 1}, ""},
		"FROM:<me@x.test> SMTPUTF8":                        {"me@x.test", smtp.MailOptions{UTF8: true}, ""},
		"FROM:<me@x.test> ENVID=":                          {"me@x.test", smtp.MailOptions{}, ""},
		"FROM:<me@x.test> RET=hdrs ENVID=a+2Bb+20c":        {"me@x.test", smtp.MailOptions{Return: smtp.DSNReturnHeaders, EnvelopeID: "a+b c"}, ""},
		"FROM:<me@x.test> AUTH=<>":                         {"me@x.test", smtp.MailOptions{Auth: at("")}, ""},
		"FROM:<me@x.test> AUTH=me+2Bx@x.test":              {"me@x.test", smtp.MailOptions{Auth: at("me+x@x.test")}, ""},
		`FROM:<me@x.test> AUTH="a+20b"@x.test`:             {"me@x.test", smtp.MailOptions{Auth: at(`"a b"@x.test`)}, ""},
		"":                                                 {code: "501 5.5.2"},
		"<me@x.test>":                                      {code: "501 5.5.2"},
		"FROM <me@x.test>":                                 {code: "501 5.5.2"},
		"FROM:<me>":                                        {code: "501 5.1.7"},
		"FROM:<Postmaster>":                                {code: "501 5.1.7"},
		"FROM:<me@@x.test>":                                {code: "501 5.1.7"},
		"FROM:<me@x.test> SIZE=":                           {code: "501 5.5.4"},
		"FROM:<me@x.test> SIZE":                            {code: "501 5.5.4"},
		"FROM:<me@x.test> SIZE=-1":                         {code: "501 5.5.4"},
		"FROM:<me@x.test> SIZE=1e3":                        {code: "501 5.5.4"},
		"FROM:<me@x.test> SIZE=" + "100000000000000000000": {code: "501 5.5.4"}, // 21 digits
		"FROM:<me@x.test> SIZE=1 size=2":                   {code: "501 5.5.4"},
		"FROM:<me@x.test> BODY=9BIT":                       {code: "501 5.5.4"},
		"FROM:<me@x.test> BODY=BINARYMIME":                 {code: "504 5.5.4"},
		"FROM:<me@x.test> SMTPUTF8=YES":                    {code: "501 5.5.4"},
		"FROM:<me@x.test> SMTPUTF8=":                       {code: "501 5.5.4"},
		"FROM:<me@x.test> RET=":                            {code: "501 5.5.4"},
		"FROM:<me@x.test> ENVID=a+0Ab":                     {code: "501 5.5.4"},
		"FROM:<me@x.test> ENVID=a+2b":                      {code: "501 5.5.4"},
		"FROM:<me@x.test> ENVID=a=b":                       {code: "501 5.5.4"},
		"FROM:<me@x.test> AUTH=":                           {code: "501 5.5.4"},
		"FROM:<me@x.test> AUTH=+":                          {code: "501 5.5.4"},
		"FROM:<me@x.test> AUTH=me":                         {code: "501 5.5.4"},
		"FROM:<me@x.test> AUTH=a@x.test,b@x.test":          {code: "501 5.5.4"},
		"FROM:<me@x.test> AUTH=<a@x.test>":                 {code: "501 5.5.4"},
		"FROM:<me@x.test> X=1":                             {code: "555 5.5.4"},
		"FROM:<me@x.test> NOTIFY=NEVER":                    {code: "555 5.5.4"},
		"FROM:<me@x.test> SIZE=1\rRCPT":                    {code: "501 5.5.4"},
	} {
		var opts smtp.MailOptions
		from, refusal := Mail(arg, &opts)
		if want.code != "" {
			if refusal == nil || !strings.HasPrefix(fmt.Sprintf("%d %s", refusal.Code, refusal.Message), want.code) {
				t.Errorf("MAIL %s: %v, want %s", arg, refusal, want.code)
			}
			continue
		}
		same := from == want.from && opts.Body == want.opts.Body && opts.Size == want.opts.Size && opts.UTF8 == want.opts.UTF8 &&
			opts.Return == want.opts.Return && opts.EnvelopeID == want.opts.EnvelopeID && (opts.Auth == nil) == (want.opts.Auth == nil) &&
			(opts.Auth == nil || *opts.Auth == *want.opts.Auth)
		if refusal != nil || !same {
			t.Errorf("MAIL %s: %q, %+v, %v", arg, from, opts, refusal)
		}
	}
}

func TestRcptTo(t *testing.T) {
	for arg, want := range map[string]string{ // recipient, NOTIFY, ORCPT; or a code
		"TO:<you@x.test>":                                    "you@x.test [] ",
		"to: you@x.test notify=success,FAILURE":              "you@x.test [SUCCESS FAILURE] ",
		"TO:<Postmaster> NOTIFY=NEVER":                       "Postmaster [NEVER] ",
		"TO:<you@x.test> ORCPT=rfc822;a+2Bb@x.test":          "you@x.test [] RFC822;a+b@x.test",
		`TO:<you@x.test> ORCPT=utf-8;gr\x{FC}n\x{5C}@x.test`: `you@x.test [] UTF-8;grün\@x.test`,
		"TO:<you@x.test> ORCPT=utf-8;grün@x.test":            "you@x.test [] UTF-8;grün@x.test",
		"":                                   "501 5.5.2",
		"TO <you@x.test>":                    "501 5.5.2",
		"TO:<>":                              "501 5.1.3",
		"TO:<you>":                           "501 5.1.3",
		"TO:<a@x.test,b@x.test>":             "501 5.1.3",
		"TO:<you@x.test> NOTIFY=":            "501 5.5.4",
		"TO:<you@x.test> NOTIFY=NEVER,DELAY": "501 5.5.4",
		"TO:<you@x.test> NOTIFY=DELAY,DELAY": "501 5.5.4",
		"TO:<you@x.test> NOTIFY=SOMETIMES":   "501 5.5.4",
		"TO:<you@x.test> NOTIFY=DELAY NOTIFY=DELAY": "501 5.5.4",
		"TO:<you@x.test> ORCPT=":                    "501 5.5.4",
		"TO:<you@x.test> ORCPT=you@x.test":          "501 5.5.4",
		"TO:<you@x.test> ORCPT=rfc822;":             "501 5.5.4",
		"TO:<you@x.test> ORCPT=rfc822;a+0D+0ADATA":  "501 5.5.4",
		`TO:<you@x.test> ORCPT=utf-8;a\x{0D}`:       "501 5.5.4",
		`TO:<you@x.test> ORCPT=utf-8;a\x{D800}`:     "501 5.5.4",
		`TO:<you@x.test> ORCPT=utf-8;a\x{fc}`:       "501 5.5.4",
		"TO:<you@x.test> ORCPT=utf-8;a\xff":         "501 5.5.4",
		"TO:<you@x.test> SIZE=1":                    "555 5.5.4",
		"TO:<you@x.test> <b@x.test>":                "555 5.5.4",
	} {
		var opts smtp.RcptOptions
		to, refusal := Rcpt(arg, &opts)
		got := ""
		if refusal != nil {
			got = fmt.Sprintf("%d %s", refusal.Code, refusal.Message)[:len("501 5.1.3")]
		} else {
			words := make([]string, len(opts.Notify))
			for i, n := range opts.Notify {
				words[i] = string(n)
			}
			got = to + " [" + strings.Join(words, " ") + "] "
			if opts.OriginalRecipientType != "" {
				got += string(opts.OriginalRecipientType) + ";" + opts.OriginalRecipient
			}
		}
		if got != want {
			t.Errorf("RCPT %s: %s, want %s", arg, got, want)
		}
	}
}
