package providertest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// taken runs a taker over data that arrives in pieces of the given size, as fill would deliver it.
func taken(take func([]byte, *bool, func([]byte)) (int, bool), data string, size int) (body, rest string, end bool) {
	var got, buf []byte
	atLine := true
	for !end && len(data) > 0 {
		n := min(size, len(data))
		buf, data = append(buf, data[:n]...), data[n:]
		var used int
		used, end = take(buf, &atLine, func(b []byte) { got = append(got, b...) })
		buf = buf[used:]
	}
	return string(got), string(buf) + data, end
}

// TestEndOfData lists where a body ends, and where only a careless server thinks that it does.
func TestEndOfData(t *testing.T) {
	tests := []struct{ sent, strict, lax string }{ // "-" means no end
		{".\r\n", "", ""},
		{"a\r\n.\r\n", "a\r\n", "a\r\n"},
		{"..\r\n.\r\n", ".\r\n", ".\r\n"},
		{"...a\r\n..b\r\n.\r\n", "..a\r\n.b\r\n", "..a\r\n.b\r\n"},
		{"\r\n\r\n.\r\n", "\r\n\r\n", "\r\n\r\n"},
		{"a\n.\n", "-", "a\n"},
		{"a\n.\r\n", "-", "a\n"},
		{"a\r\n.\n", "-", "a\r\n"},
		{"a\r.\r", "-", "-"}, // what follows the last CR is not known yet
		{"a\r.\rb", "-", "a\r"},
		{"a\r\n.\rb", "-", "a\r\n"},
		{"a\r.\n", "-", "a\r"},
		{"a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", "a\n"},
		{"a\n..\r\n.\r\n", "a\n..\r\n", "a\n.\r\n"},
		{"a\r\r\n.\r\n", "a\r\r\n", "a\r\r\n"},
		{"a\r\n.b\r\n.\r\n", "a\r\nb\r\n", "a\r\nb\r\n"},
		{".\r.\r\n.\r\n", "\r.\r\n", ""},
	}
	for _, tt := range tests {
		for size := 1; size <= len(tt.sent); size++ {
			for name, want := range map[string]string{"strict": tt.strict, "lax": tt.lax} {
				take := takeData
				if name == "lax" {
					take = takeLax
				}
				got, _, end := taken(take, tt.sent, size)
				if !end {
					got = "-"
				}
				if got != want {
					t.Errorf("%s %q in pieces of %d: %q, want %q", name, tt.sent, size, got, want)
				}
			}
		}
	}
}

// FuzzEndOfData compares the scanner with what the RFC says, and shows that it does not matter how
// a body is cut into pieces.
func FuzzEndOfData(f *testing.F) {
	f.Add("a\r\n..b\r\n.\r\nQUIT\r\n", 3)
	f.Add("a\n.\n\r.\r\r\n.\r\n", 1)
	f.Fuzz(func(t *testing.T, sent string, size int) {
		if size < 1 {
			size = 1
		}
		got, rest, end := taken(takeData, sent, size)
		content, after, found := strings.Cut("\r\n"+sent, "\r\n.\r\n")
		if end != found {
			t.Fatalf("%q: end %v, want %v", sent, end, found)
		}
		if !found {
			return
		}
		want := strings.TrimPrefix(strings.ReplaceAll(content+"\r\n", "\r\n.", "\r\n"), "\r\n")
		if got != want || rest != after {
			t.Fatalf("%q: body %q and %q, want %q and %q", sent, got, rest, want, after)
		}
		if got, _, end := taken(takeLax, sent, size); !end || len(got) > len(sent) {
			t.Fatalf("%q: a lax server must find an end too", sent)
		}
	})
}

// TestBodies sends bodies of all sizes around those of the buffers, by DATA and BDAT, cut anywhere,
// and finds them unchanged.
func TestBodies(t *testing.T) {
	p := start(t, Options{})
	c := login(t, p)
	for _, n := range []int{0, 1, firstPiece, smallBuffer - 1, smallBuffer, smallBuffer + 1, largeBuffer - 2, largeBuffer, largeBuffer + 1, 3 << 20} {
		body := bytes.Repeat([]byte(".\r\n\x00\xff\r\n..\n"), n/10+1)[:n]
		c.send("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT %d\r\n%sBDAT %d LAST\r\n%sNOOP\r\n", n/3, body[:n/3], n-n/3, body[n/3:])
		for _, want := range []string{"250 2.1.0", "250 2.1.5", "250 2.0.0 ", "250 2.0.0 OK wx", "250 2.0.0 OK - "} {
			c.expect(want)
		}
		arrived(t, p, body)

		body = append(body, "\r\n"...)
		c.send("MAIL FROM:<a@x.test> SIZE=%d\r\nRCPT TO:<b@x.test>\r\nDATA\r\n", len(body))
		for _, want := range []string{"250 2.1.0", "250 2.1.5", "354 "} {
			c.expect(want)
		}
		stuffed := bytes.ReplaceAll(append([]byte("\r\n"), body...), []byte("\r\n."), []byte("\r\n.."))[2:]
		c.send("%s.\r\nNOOP\r\n", stuffed)
		c.expect("250 2.0.0 OK wx")
		c.expect("250 2.0.0 OK - ")
		arrived(t, p, body)
	}
}

// TestSmuggling shows the two kinds of server that a proxy may send to: the strict one accepts one
// message, the lax one two.
func TestSmuggling(t *testing.T) {
	const inner = "MAIL FROM:<evil@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r", "\r.\n"} {
		for _, lax := range []bool{false, true} {
			t.Run(fmt.Sprintf("%q lax=%v", end, lax), func(t *testing.T) {
				p := start(t, Options{Lax: lax})
				c := login(t, p)
				c.do("MAIL FROM:<a@x.test>", "250")
				c.do("RCPT TO:<b@x.test>", "250")
				c.do("DATA", "354")
				first := "a" + end + inner
				c.send(first)
				if lax {
					c.expect("250 2.0.0 OK")
					c.expect("250 2.1.0")
					c.expect("250 2.1.5")
					c.expect("354")
				}
				c.send("b\r\n.\r\n")
				c.expect("250 2.0.0 OK")
				all := p.Messages()
				if lax && (len(all) != 2 || all[1].From != "evil@x.test") || !lax && len(all) != 1 {
					t.Errorf("%d messages: %+v", len(all), all)
				}
			})
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add("FROM:<a@x.test> SIZE=1")
	f.Add("from:<\"a >b\\\"\"@[IPv6:::1]>")
	f.Fuzz(func(t *testing.T, arg string) {
		path, params, ok := parsePath("FROM:", arg)
		if !ok {
			return
		}
		back := arg[:len("FROM:")] + "<" + path + ">"
		if params != "" {
			back += " " + params
		}
		if back != arg {
			t.Errorf("%q split into %q and %q", arg, path, params)
		}
		if validAddress(path) && strings.ContainsAny(path[strings.LastIndex(path, "@"):], " <>\"") {
			t.Errorf("address %q", path)
		}
	})
}
