package upstream

import (
	"bufio"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

func TestReadReply(t *testing.T) {
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
		{"", Reply{}, io.EOF},
		{"250-a\r\n", Reply{}, io.EOF},
		{"250 cut", Reply{}, io.ErrUnexpectedEOF},
		{"250-a\r\n251 b\r\n", Reply{}, errReplyMalformed},
		{"150 no\r\n", Reply{}, errReplyMalformed},
		{"650 no\r\n", Reply{}, errReplyMalformed},
		{"25\r\n", Reply{}, errReplyMalformed},
		{"250OK\r\n", Reply{}, errReplyMalformed},
		{"HTTP/1.1 400 Bad Request\r\n", Reply{}, errReplyMalformed},
		{"250 " + strings.Repeat("x", maxReply) + "\r\n", Reply{}, errReplyTooLong},
		{strings.Repeat("250-"+strings.Repeat("x", 1000)+"\r\n", 100), Reply{}, errReplyTooLong},
	} {
		got, err := readReply(bufio.NewReader(strings.NewReader(c.in)))
		if !reflect.DeepEqual(got, c.want) || !errors.Is(err, c.err) {
			t.Errorf("%.40q: %+.80v, %v; want %+.80v, %v", c.in, got, err, c.want, c.err)
		}
	}
}

// One reply is read and not a byte more.
func TestReadReplyLeavesTheNext(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("250-a\r\n250 b\r\n354 go\r\nrest"))
	for _, want := range []string{"250 a / b", "354 go"} {
		if got, err := readReply(r); err != nil || got.String() != want {
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
		"2.0.0 OK":               {}, // not the class of a 550
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

// FuzzReply: whatever a server sends, a reply that is read is a proper one, and
// it fits the bytes.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"250 OK\r\n", "250-a\r\n250 b\r\n", "550-5.1.1 a\n550 b\n", "334 eyJ9\r\n", "250", "250-\r\n\r\n", "\x00\xff\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(strings.NewReader(string(in)), 16)
		for {
			reply, err := readReply(r)
			if err != nil {
				return
			}
			if reply.Code < 200 || reply.Code > 599 || len(reply.Lines) == 0 {
				t.Fatalf("%+v", reply)
			}
			// What is handed on must be read as the same by the next program.
			var wire strings.Builder
			for i, l := range reply.Lines {
				if strings.ContainsAny(l, "\r\n\x00") {
					t.Fatalf("a control character in %q", l)
				}
				sep := "-"
				if i == len(reply.Lines)-1 {
					sep = " "
				}
				wire.WriteString(strconv.Itoa(reply.Code) + sep + l + "\r\n")
			}
			again, err := readReply(bufio.NewReader(strings.NewReader(wire.String())))
			if err == nil && !reflect.DeepEqual(again, reply) {
				t.Fatalf("%+v came back as %+v", reply, again)
			}
			reply.Enhanced()
			parseExtensions(reply)
			decodeReport(reply)
		}
	})
}
