package upstream

import (
	"bufio"
	"errors"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/emersion/go-smtp"
)

func TestReadReply(t *testing.T) {
	malformed := errors.New("malformed")
	for _, c := range []struct {
		in   string
		want Reply
		err  error
	}{
		{"250 OK\r\n", Reply{250, []string{"OK"}}, nil},
		{"250\r\n", Reply{250, []string{""}}, nil},
		{"250 \n", Reply{250, []string{""}}, nil},
		{"250-a\r\n250-\r\n250  b \r\n", Reply{250, []string{"a", "", " b "}}, nil},
		{"550 5.1.1 grün \t!\r\n", Reply{550, []string{"5.1.1 grün \t!"}}, nil},
		{"550 a\rb\x00c\x1b[2J\r\n", Reply{550, []string{"a?b?c?[2J"}}, nil},
		{"220 " + strings.Repeat("x", 10000) + "\r\n", Reply{220, []string{strings.Repeat("x", 10000)}}, nil},

		// The grammar is broken, but there is no doubt about the code.
		{"250-a\n250 b\n", Reply{250, []string{"a", "b"}}, nil},
		{"250 OK\r\r\n", Reply{250, []string{"OK"}}, nil},
		{"\r\n\n250 OK\r\n", Reply{250, []string{"OK"}}, nil},
		{"250\tOK\r\n", Reply{250, []string{"OK"}}, nil},
		{"250OK\r\n", Reply{250, []string{"OK"}}, nil},
		{"550: no\r\n", Reply{550, []string{": no"}}, nil},
		{"250-\r\n250 \r\n", Reply{250, []string{"", ""}}, nil},
		{"250-a\r\n251 b\r\n", Reply{251, []string{"a", "b"}}, nil},
		{"220-host ESMTP\r\n521 5.7.1 blocked\r\n", Reply{521, []string{"host ESMTP", "5.7.1 blocked"}}, nil},
		{"550-5.7.1 blocked\r\nsee https://x.example/\r\n\r\n550 5.7.1 bye\r\n", Reply{550, []string{"5.7.1 blocked", "see https://x.example/", "", "5.7.1 bye"}}, nil},
		{"550-no\r\n5501 of them\r\n550OK\r\n999 x\r\n550 bye\r\n", Reply{550, []string{"no", "5501 of them", "550OK", "999 x", "bye"}}, nil},
		{"250-a\r\n250b\r\n", Reply{250, []string{"a", "b"}}, nil},
		{"550-a\r\n550:b\r\n", Reply{550, []string{"a", ":b"}}, nil},
		{"250-a\r\n250_b\r\n250 c\r\n", Reply{250, []string{"a", "250_b", "c"}}, nil},
		{"334-\r\n", Reply{334, []string{""}}, nil},
		{"334-eyJ9\r\n334 \r\n", Reply{334, []string{"eyJ9", ""}}, nil},
		{"250 cut", Reply{250, []string{"cut"}}, nil},
		{"250-a\r\n250 cut", Reply{250, []string{"a", "cut"}}, nil},

		// The error comes with what was read before it: a refusal is one all the same.
		{"250-a\r\n", Reply{250, []string{"a"}}, io.EOF},
		{"550-a\r\nb", Reply{550, []string{"a", "b"}}, io.ErrUnexpectedEOF},
		{"550", Reply{550, []string{""}}, io.ErrUnexpectedEOF},
		{"550-", Reply{550, []string{""}}, io.ErrUnexpectedEOF},
		{"55", Reply{}, io.ErrUnexpectedEOF},
		{"", Reply{}, io.EOF},

		// Text that a terminal or a mail program would obey, or that is not UTF-8.
		{"550 a\u0085b\u009bc\u2028d\u202ee\u2066f\u200fg\r\n", Reply{550, []string{"a?b?c?d?e?f?g"}}, nil},
		{"535 Error: \xc7\xeb\xca\xb9 http://x.example\r\n", Reply{535, []string{"Error: \ufffd\ufffd\u02b9 http://x.example"}}, nil},

		{"150 no\r\n", Reply{}, malformed},
		{"650 no\r\n", Reply{}, malformed},
		{"25\r\n", Reply{}, malformed},
		{"2500 x\r\n", Reply{}, malformed},
		{" 250 OK\r\n", Reply{}, malformed},
		{"HTTP/1.1 400 Bad Request\r\n", Reply{}, malformed},
		{"250 " + strings.Repeat("x", maxReply) + "\r\n", Reply{}, errReplyTooLong},
		{strings.Repeat("\r\n", maxReply), Reply{}, errReplyTooLong},
	} {
		got, err := readReply(bufio.NewReader(strings.NewReader(c.in)), nil)
		if _, odd := err.(*NotSMTPError); c.err == malformed && odd {
			err = malformed
		}
		if !reflect.DeepEqual(got, c.want) || !errors.Is(err, c.err) {
			t.Errorf("%.40q: %+.80v, %v; want %+.80v, %v", c.in, got, err, c.want, c.err)
		}
	}
}

// A line that only looks like the last one is not, if the rest of the reply comes in the next packet;
// it would be taken for the answer to the next command.
func TestRestOfReply(t *testing.T) {
	packets := []string{"250-x\r\n250odd\r\n", "250 end\r\n354 next\r\n"}
	r := bufio.NewReader(io.MultiReader(strings.NewReader(packets[0]), strings.NewReader(packets[1])))
	more := func() bool { _, err := r.Peek(1); return err != nil }
	if got, err := readReply(r, more); err != nil || !slices.Equal(got.Lines, []string{"x", "odd", "end"}) {
		t.Errorf("%q, %v", got.Lines, err)
	}
	if got, err := readReply(r, more); err != nil || got.Code != 354 {
		t.Errorf("then %v, %v", got, err)
	}
}

// All lines of a reply together are bounded.
func TestEndlessReply(t *testing.T) {
	_, err := readReply(bufio.NewReader(strings.NewReader(strings.Repeat("250-"+strings.Repeat("x", 1000)+"\r\n", 100))), nil)
	if !errors.Is(err, errReplyTooLong) {
		t.Error(err)
	}
}

// One reply is read, and not a byte more.
func TestReadReplyLeavesTheNext(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("250-a\r\n250 b\r\n354 go\r\nrest"))
	for _, want := range []string{"250 a / b", "354 go"} {
		if got, err := readReply(r, nil); err != nil || got.String() != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	if rest, _ := io.ReadAll(r); string(rest) != "rest" {
		t.Errorf("left %q", rest)
	}
}

func TestEnhanced(t *testing.T) {
	for in, want := range map[string]smtp.EnhancedCode{
		"5.7.139 Authentication": {5, 7, 139},
		"5.1.1":                  {5, 1, 1},
		"2.0.0 OK":               {}, // its class is not a 550's
		"5.1":                    {},
		"5.1.1.1 x":              {},
		"5.1.1234 x":             {},
		"5.+1.1 x":               {},
		"":                       {},
		"no":                     {},
	} {
		got, ok := Reply{550, []string{in}}.Enhanced()
		if got != want || ok != (want != smtp.EnhancedCode{}) {
			t.Errorf("%q: %v, %v", in, got, ok)
		}
	}
	if _, ok := (Reply{Code: 550}).Enhanced(); ok {
		t.Error("a reply without text has an enhanced code")
	}
}

// FuzzReply: whatever a server sends, a reply that is read is a proper one, and its text is safe to
// show.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"250 OK\r\n", "250-a\r\n250 b\r\n", "550-5.1.1 a\n550 b\n", "334 eyJ9\r\n", "250", "250-\r\n\r\n", "\x00\xff\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(strings.NewReader(string(in)), 16)
		for {
			reply, err := readReply(r, nil)
			if err != nil {
				return
			}
			if reply.Code < 200 || reply.Code > 599 || len(reply.Lines) == 0 {
				t.Fatalf("%+v", reply)
			}
			// The next program must read what is handed on in the same way.
			var wire strings.Builder
			for i, l := range reply.Lines {
				if strings.ContainsAny(l, "\r\n\x00\u0085\u202e") || !utf8.ValidString(l) {
					t.Fatalf("a control character in %q", l)
				}
				sep := "-"
				if i == len(reply.Lines)-1 {
					sep = " "
				}
				wire.WriteString(strconv.Itoa(reply.Code) + sep + l + "\r\n")
			}
			again, err := readReply(bufio.NewReader(strings.NewReader(wire.String())), nil)
			if err == nil && !reflect.DeepEqual(again, reply) || err != nil && !errors.Is(err, errReplyTooLong) {
				t.Fatalf("%+v came back as %+v, %v", reply, again, err)
			}
			reply.Enhanced()
			parseExtensions(reply)
		}
	})
}
