package upstream

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

func TestQuotePath(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"me@corp.example":           "me@corp.example",
		"postmaster":                "postmaster",
		"a..b@docomo.example":       "a..b@docomo.example", // in use, and without quotes
		".a@x.example":              ".a@x.example",
		"a+b=c/d@x.example":         "a+b=c/d@x.example",
		"a b@x.example":             `"a b"@x.example`,
		`a"b\c@x.example`:           `"a\"b\\c"@x.example`,
		"a@b@x.example":             `"a@b"@x.example`,
		"a>b@x.example":             `"a>b"@x.example`,
		"@x.example":                `""@x.example`,
		"me@[192.0.2.1]":            "me@[192.0.2.1]",
		"me@[IPv6:2001:db8::1]":     "me@[IPv6:2001:db8::1]",
		"grün@x.example":            "!",
		"me@x.example>":             "!",
		"me@x.example SIZE=1":       "!",
		"me@x.example\r\nDATA":      "!",
		"me\r\n@x.example":          "!",
		"me\x00@x.example":          "!",
		"me\t@x.example":            "!",
		"me@x.exa\x7fmple":          "!",
		`me@"x.example`:             "!",
		"me@x.example,you":          "!",
		"me@x.example,you@y.exampl": `"me@x.example,you"@y.exampl`, // the only way to read it
	} {
		got, err := quotePath(in, false)
		if want == "!" {
			if !errors.Is(err, ErrEnvelope) {
				t.Errorf("%q: %q, %v", in, got, err)
			}
		} else if got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	if got, err := quotePath("grün@x.example", true); got != "grün@x.example" || err != nil {
		t.Errorf("with SMTPUTF8: %q, %v", got, err)
	}
	if _, err := quotePath("gr\xfcn@x.example", true); !errors.Is(err, ErrEnvelope) {
		t.Errorf("Latin-1 with SMTPUTF8: %v", err)
	}
}

// FuzzQuotePath: whatever the address, what is written is one path.
func FuzzQuotePath(f *testing.F) {
	for _, s := range []string{"me@x.example", `a"b@x`, "a b@x", "a@b@c", "x>\r\n@y", "grün@x", `\@\`, "@", "\"\"@"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, in string, utf8 bool) {
		out, err := quotePath(in, utf8)
		if err != nil {
			return
		}
		rest, quoted := out, false
		for len(rest) > 0 { // RFC 5321: outside a quoted string no ">" and no space
			switch c := rest[0]; {
			case c < ' ' || c == 0x7f || c >= 0x80 && !utf8:
				t.Fatalf("%q became %q", in, out)
			case quoted && c == '\\':
				if rest = rest[1:]; rest == "" {
					t.Fatalf("%q became %q", in, out)
				}
			case c == '"':
				quoted = !quoted
			case !quoted && strings.IndexByte("<> ", c) >= 0:
				t.Fatalf("%q became %q", in, out)
			}
			rest = rest[1:]
		}
		if quoted {
			t.Fatalf("%q became %q", in, out)
		}
	})
}

func TestTextEncodings(t *testing.T) {
	for in, want := range map[string]string{
		"abc": "abc", "a+b=c d": "a+2Bb+3Dc+20d", "a\r\nb": "a+0D+0Ab", "<>": "<>", "ü": "+C3+BC", "": "",
	} {
		if got := xtext(in); got != want {
			t.Errorf("xtext(%q) = %q, want %q", in, got, want)
		}
	}
	for _, c := range []struct {
		in, wide, narrow string
	}{
		{"me@x.example", "me@x.example", "me@x.example"},
		{"grün@x", "grün@x", `gr\x{FC}n@x`},
		{"字@x", "字@x", `\x{5B57}@x`},
		{`a\b+c=d e`, `a\x{5C}b\x{2B}c\x{3D}d\x{20}e`, `a\x{5C}b\x{2B}c\x{3D}d\x{20}e`},
		{"a\r\n", `a\x{0D}\x{0A}`, `a\x{0D}\x{0A}`},
	} {
		if got := unitext(c.in, true); got != c.wide {
			t.Errorf("unitext(%q) = %q, want %q", c.in, got, c.wide)
		}
		if got := unitext(c.in, false); got != c.narrow {
			t.Errorf("unitext(%q) in ASCII = %q, want %q", c.in, got, c.narrow)
		}
	}
}

func TestMailLine(t *testing.T) {
	nobody, who := "", "a b@x.example"
	everything := parseExtensions(Reply{250, append([]string{"hi"}, allExtensions...)})
	for _, c := range []struct {
		from string
		opts *smtp.MailOptions
		x    extensions
		want string
	}{
		{"", nil, extensions{}, "MAIL FROM:<>"},
		{"me@x.example", &smtp.MailOptions{Body: smtp.Body8BitMIME, Size: 9, Return: smtp.DSNReturnFull, EnvelopeID: "e", Auth: &nobody}, extensions{}, "MAIL FROM:<me@x.example>"},
		{"me@x.example", &smtp.MailOptions{Body: smtp.Body7Bit, Size: 9, Return: smtp.DSNReturnFull, EnvelopeID: "e e", Auth: &nobody}, everything,
			"MAIL FROM:<me@x.example> SIZE=9 BODY=7BIT RET=FULL ENVID=e+20e AUTH=<>"},
		{"me@x.example", &smtp.MailOptions{Auth: &who}, everything, `MAIL FROM:<me@x.example> AUTH="a+20b"@x.example`},
		{"me@x.example", &smtp.MailOptions{Body: smtp.BodyBinaryMIME}, everything, "MAIL FROM:<me@x.example>"},
		{"me@x.example", &smtp.MailOptions{Body: "8BITMIME\r\nX", Return: "FULL X"}, everything, "MAIL FROM:<me@x.example>"},
		{"ü@x.example", &smtp.MailOptions{UTF8: true}, everything, "MAIL FROM:<ü@x.example> SMTPUTF8"},
		{"me@x.example", &smtp.MailOptions{UTF8: true}, extensions{}, "MAIL FROM:<me@x.example>"},
	} {
		if got, err := mailLine(c.from, c.opts, c.x); got != c.want || err != nil {
			t.Errorf("%q %+v: %q, %v; want %q", c.from, c.opts, got, err, c.want)
		}
	}
	if _, err := mailLine("ü@x.example", &smtp.MailOptions{UTF8: true}, extensions{}); !errors.Is(err, ErrUTF8) {
		t.Errorf("UTF8 not offered: %v", err)
	}
	evil := "a\r\n@x"
	if _, err := mailLine("me@x.example", &smtp.MailOptions{Auth: &evil}, everything); !errors.Is(err, ErrEnvelope) {
		t.Errorf("AUTH with a line end: %v", err)
	}
}

func TestRcptLine(t *testing.T) {
	dsn, both := extensions{dsn: true}, extensions{dsn: true, utf8: true}
	opts := func(notify string, kind smtp.DSNAddressType, who string) *smtp.RcptOptions {
		o := &smtp.RcptOptions{OriginalRecipientType: kind, OriginalRecipient: who}
		for _, n := range strings.Fields(notify) {
			o.Notify = append(o.Notify, smtp.DSNNotify(n))
		}
		return o
	}
	for _, c := range []struct {
		opts *smtp.RcptOptions
		utf8 bool
		x    extensions
		want string
	}{
		{nil, false, dsn, ""},
		{opts("NEVER", smtp.DSNAddressTypeRFC822, "o@x"), false, extensions{}, ""},
		{opts("NEVER", "", ""), false, dsn, " NOTIFY=NEVER"},
		{opts("SUCCESS FAILURE DELAY", smtp.DSNAddressTypeRFC822, "o+o@x"), false, dsn, " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;o+2Bo@x"},
		{opts("", smtp.DSNAddressTypeUTF8, "ü@x"), false, dsn, ` ORCPT=utf-8;\x{FC}@x`},
		{opts("", smtp.DSNAddressTypeUTF8, "ü@x"), true, both, " ORCPT=utf-8;ü@x"},
		{opts("", smtp.DSNAddressTypeUTF8, "ü@x"), true, dsn, ` ORCPT=utf-8;\x{FC}@x`},
		{opts("", "x\r\nDATA", "o@x"), false, dsn, ""},
	} {
		if got, err := rcptLine(Recipient{"you@x.example", c.opts}, c.utf8, c.x); got != "RCPT TO:<you@x.example>"+c.want || err != nil {
			t.Errorf("%+v: %q, %v", c.opts, got, err)
		}
	}
	for _, r := range []Recipient{{To: ""}, {To: "a\n@x"}, {"you@x.example", opts("NEVER\r\nDATA", "", "")}} {
		if got, err := rcptLine(r, false, dsn); !errors.Is(err, ErrEnvelope) {
			t.Errorf("%+v: %q, %v", r, got, err)
		}
	}
}

// Go's net/smtp asks for SMTPUTF8 with every message, and each was refused where the provider does not
// offer it. Only what is not ASCII needs it.
func TestUTF8AskedForWithoutNeed(t *testing.T) {
	f := start(t, &fake{ext: without("SMTPUTF8")})
	p := newPool(t, f)
	for _, c := range []struct {
		to, body string
		err      error
	}{
		{"you@there.example", "Subject: hello\r\n\r\nGrüße\r\n", nil},
		{"you@there.example", "Grüße, without a header", ErrUTF8},
		{"you@there.example", "Subject: Grüße\r\n\r\nhello\r\n", ErrUTF8},
		{"jürgen@there.example", "", ErrUTF8},
	} {
		tx, err := p.Begin(t.Context(), "me@corp.example", &smtp.MailOptions{UTF8: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = tx.Rcpt(t.Context(), []Recipient{{To: c.to}}); err == nil {
			_, err = tx.Data(t.Context(), strings.NewReader(c.body))
		} else if r, err := tx.Rcpt(t.Context(), recipients(1)); err != nil || !r[0].ok() {
			t.Errorf("%s took another recipient along: %v, %v", c.to, r, err)
		}
		if !errors.Is(err, c.err) {
			t.Errorf("to %s, %q: %v", c.to, c.body, err)
		}
		tx.Close()
	}
	if m := f.delivered(); len(m) != 1 || m[0].from != "FROM:<me@corp.example>" || f.connections() != 1 {
		t.Errorf("delivered %+v over %d connections", m, f.connections())
	}
}

func TestParseExtensions(t *testing.T) {
	for _, c := range []struct {
		lines []string // after the first
		want  extensions
	}{
		{nil, extensions{}},
		{allExtensions, extensions{size: true, eightBit: true, pipelining: true, chunking: true, utf8: true, dsn: true, auth: []string{"PLAIN", "XOAUTH2", "OAUTHBEARER"}}},
		{[]string{"size 35882577", "8bitmime", "auth login xoauth2", "Chunking", "", "STARTTLS", "BINARYMIME"},
			extensions{size: true, eightBit: true, chunking: true, startTLS: true, auth: []string{"LOGIN", "XOAUTH2"}}},
		{[]string{"SIZE", "SIZE=1", " PIPELINING ", "\tDSN\t"}, extensions{size: true, pipelining: true, dsn: true}},
		// AUTH in several lines and forms: what any of them has is offered.
		{[]string{"AUTH LOGIN", "X-EXPS GSSAPI NTLM", "AUTH=LOGIN PLAIN", "AUTH  XOAUTH2\tPLAIN "}, extensions{auth: []string{"LOGIN", "LOGIN", "PLAIN", "XOAUTH2", "PLAIN"}}},
		{[]string{"AUTH=XOAUTH2"}, extensions{auth: []string{"XOAUTH2"}}},
		{[]string{"Auth = Plain,XOAuth2"}, extensions{auth: []string{"PLAIN", "XOAUTH2"}}},
		{[]string{"AUTH"}, extensions{}},
		{[]string{"250_PIPELINING", "250:AUTH: XOAUTH2", "250SIZE 5", "250 LESS"}, extensions{pipelining: true, size: true, auth: []string{"XOAUTH2"}}},
		{[]string{"X-AUTH XOAUTH2", "AUTHENTICATE XOAUTH2", "8 BITMIME", "XXXXXXXA"}, extensions{}},
	} {
		got := parseExtensions(Reply{250, append([]string{"smtp.example PIPELINING is my name"}, c.lines...)})
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v", c.lines, got)
		}
	}
	if got := parseExtensions(Reply{250, nil}); !reflect.DeepEqual(got, extensions{}) {
		t.Errorf("no lines: %+v", got)
	}
}
