package smtpd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/waxseal/waxseal/proxy/mailbox"
)

// wireConn is a connection on which a mail program has sent what r reads.
func wireConn(r io.Reader) *conn {
	w := wire{Reader: r}
	hall := mailbox.NewHall()
	hall.IdleTimeout = time.Hour
	return &conn{srv: &Server{hall: hall}, client: new(mailbox.Client), tcp: w, Conn: w, authed: true, heard: true}
}

type wire struct {
	io.Reader
	net.Conn
}

func (w wire) Read(p []byte) (int, error)      { return w.Reader.Read(p) }
func (w wire) SetReadDeadline(time.Time) error { return nil }

// bodyOf decodes what a client sends after 354.
func bodyOf(wire io.Reader) (body []byte, rest string, err error) {
	c := wireConn(wire)
	d := newDotReader(c)
	body, err = io.ReadAll(d)
	if d.buf == nil {
		left, _ := io.ReadAll(io.MultiReader(bytes.NewReader(c.left), c.Conn))
		rest = string(left)
	}
	return body, rest, err
}

func TestDotReader(t *testing.T) {
	tests := []struct {
		name, wire, body, rest string
		err                    error
	}{
		{"empty", ".\r\n", "", "", nil},
		{"plain", "a\r\nb\r\n.\r\nQUIT\r\n", "a\r\nb\r\n", "QUIT\r\n", nil},
		{"stuffed", "..\r\n...a\r\n.b\r\n.\r\n", ".\r\n..a\r\nb\r\n", "", nil},
		{"only a dot line", "..\r\n.\r\n", ".\r\n", "", nil},
		{"CR CRLF is a line end too", "a\r\r\n.\r\n", "a\r\r\n", "", nil}, // go-smtp waits for ever here
		{"stuffed behind CR CRLF", "a\r\r\n..b\r\n.\r\n", "a\r\r\n.b\r\n", "", nil},
		{"bare LF", "a\nb\n.\r\n", "a\nb\n.\r\n", "", io.ErrUnexpectedEOF},
		{"bare LF around a dot", "a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", "", nil},
		{"bare CR around a dot", "a\r.\rb\r\n.\r\n", "a\r.\rb\r\n", "", nil},
		{"bare LF, dot, CRLF", "a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", "", nil},
		{"bare CR, dot, CRLF", "a\r.\r\nb\r\n.\r\n", "a\r.\r\nb\r\n", "", nil},
		{"CRLF, dot, bare LF", "a\r\n.\nMAIL\r\n.\r\n", "a\r\n", "", errLoneDot},
		{"CRLF, dot, bare CR", "a\r\n.\rMAIL\r\n.\r\n", "a\r\n", "", errLoneDot},
		{"CRLF, dot, CR CRLF", "a\r\n.\r\r\nMAIL\r\n.\r\n", "a\r\n", "", errLoneDot},
		{"NUL", "a\x00\r\n.\x00\r\n.\r\n", "a\x00\r\n\x00\r\n", "", nil},
		{"8 bit", "\xff\xfe\r\n.\r\n", "\xff\xfe\r\n", "", nil},
		{"cut off", "a\r\n", "a\r\n", "", io.ErrUnexpectedEOF},
		{"cut off behind a dot", "a\r\n.", "a\r\n", "", io.ErrUnexpectedEOF},
		{"cut off behind dot CR", "a\r\n.\r", "a\r\n", "", io.ErrUnexpectedEOF},
		{"cut off at once", "", "", "", io.ErrUnexpectedEOF},
		{"64 KiB line", strings.Repeat("x", 65536) + "\r\n.\r\n", strings.Repeat("x", 65536) + "\r\n", "", nil},
	}
	for _, tt := range tests {
		for how, wire := range map[string]io.Reader{
			"at once": strings.NewReader(tt.wire), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.wire)),
			"halves": iotest.HalfReader(strings.NewReader(tt.wire)),
		} {
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				body, rest, err := bodyOf(wire)
				if string(body) != tt.body || rest != tt.rest || !errors.Is(err, tt.err) || (tt.err == nil && err != nil) {
					t.Errorf("got %.80q, rest %q, %v\nwant %.80q, rest %q, %v", body, rest, err, tt.body, tt.rest, tt.err)
				}
			})
		}
	}
}

// TestDotReaderDrains: after any refusal, the next command follows the true end of the body.
func TestDotReaderDrains(t *testing.T) {
	c := wireConn(iotest.OneByteReader(strings.NewReader("a\r\n.\nMAIL FROM:<x>\r\n.\rx\r\n..\r\n.\r\nNOOP\r\n")))
	d := newDotReader(c)
	if _, err := io.ReadAll(d); !errors.Is(err, errLoneDot) {
		t.Fatalf("got %v", err)
	}
	if err := d.drain(); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(io.MultiReader(bytes.NewReader(c.left), c.Conn))
	if string(rest) != "NOOP\r\n" {
		t.Errorf("rest %q", rest)
	}
}

// stuff is RFC 5321 section 4.5.2 by the book, for bodies that end in CRLF.
func stuff(body []byte) []byte {
	out := bytes.ReplaceAll(body, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(out, []byte(".")) {
		out = append([]byte("."), out...)
	}
	return append(out, ".\r\n"...)
}

func FuzzDotReader(f *testing.F) {
	for _, s := range []string{"", "a\r\n", ".\r\n", "..\r\n", "a\r\r\n.b\r\n", "a\n.\n\r\n", "\r\n\r\n.\r.\n\r\n", "\x00\xff\r\n"} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, body []byte, chunk uint8) {
		if len(body) > 0 {
			body = append(body, "\r\n"...)
		}
		wire := append(stuff(body), "QUIT\r\n"...)
		got, rest, err := bodyOf(&choppy{wire, int(chunk)%7 + 1})
		if err != nil || !bytes.Equal(got, body) || rest != "QUIT\r\n" {
			t.Errorf("body %q came as %q, rest %q, %v", body, got, rest, err)
		}
	})
}

// choppy gives n bytes at a time.
type choppy struct {
	b []byte
	n int
}

func (c *choppy) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.b[:min(c.n, len(c.b))])
	c.b = c.b[n:]
	return n, nil
}

func BenchmarkDotReader(b *testing.B) {
	line := strings.Repeat("x", 76) + "\r\n"
	wire := strings.Repeat(line, 1<<20/len(line)) + ".\r\n"
	b.SetBytes(int64(len(wire)))
	buf := make([]byte, 32<<10)
	for b.Loop() {
		d := newDotReader(wireConn(strings.NewReader(wire)))
		for {
			if _, err := d.Read(buf); err != nil {
				break
			}
		}
	}
}
