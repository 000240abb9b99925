package popd

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

var sessions = map[string]struct {
	up, down string
	want     int // the last boundary in down; -1: none, or blind
	quit     bool
	said     string
}{
	"nothing":                     {"", "", -1, false, ""},
	"STAT":                        {"STAT\r\n", "+OK 2 320\r\n", 11, false, ""},
	"half a status line":          {"STAT\r\n", "+OK 2 3", -1, false, ""},
	"RETR":                        {"RETR 1\r\n", "+OK\r\nA: b\r\n\r\n..text\r\n.\r\n", 24, false, ""},
	"RETR in the middle":          {"RETR 1\r\n", "+OK\r\nA: b\r\n\r\ntext\r\n", -1, false, ""},
	"RETR without a message":      {"RETR 9\r\n", "-ERR no such message\r\n", 22, false, ""},
	"an empty list":               {"LIST\r\n", "+OK\r\n.\r\n", 8, false, ""},
	"one of a list":               {"list 1\r\n", "+OK 1 120\r\n", 11, false, ""},
	"LIST with blanks":            {"LIST  \r\n", "+OK\r\n1 1\r\n.\r\n", 13, false, ""},
	"UIDL, TOP and CAPA":          {"UIDL\r\nTOP 1 0\r\nCAPA\r\n", "+OK\r\n1 a\r\n.\r\n+OK\r\nA: b\r\n.\r\n+OK\r\nTOP\r\n.\r\n", 40, false, ""},
	"pipelined, half answered":    {"NOOP\r\nRETR 1\r\nRETR 2\r\n", "+OK\r\n+OK\r\nx\r\n.\r\n+OK\r\ny", 16, false, ""},
	"dots that are not the end":   {"RETR 1\r\n", "+OK\r\n.a\r\n..\r\nb.\r\n \r\n.\r.\n\r\r\n.\r\n", 30, false, ""},
	"bare line ends":              {"RETR 1\r\n", "+OK\r\na\n.\nb\n.\r\n\r\n", -1, false, ""},
	"QUIT":                        {"DELE 1\r\nQUIT\r\n", "+OK\r\n+OK bye\r\n", 14, true, ""},
	"the end is announced":        {"STAT\r\n", "+OK\r\n-ERR [SYS/TEMP] Session expired\r\n", 38, false, "-ERR [SYS/TEMP] Session expired"},
	"an answer to nothing":        {"", "+OK\r\n", -1, false, ""},
	"no status line":              {"STAT\r\n", "2 320\r\n", -1, false, ""},
	"an unknown command refused":  {"XYZZY\r\nNOOP\r\n", "-ERR what\r\n+OK\r\n", 16, false, ""},
	"an unknown command accepted": {"XTND XLST\r\n", "+OK\r\n.\r\n", -1, false, ""},
	"LANG":                        {"LANG\r\n", "+OK\r\nen\r\n.\r\n", -1, false, ""},
	"a command that goes on":      {"RETRX 1\r\n", "+OK\r\n", -1, false, ""},
	"SASL":                        {"AUTH PLAIN\r\n", "+ \r\n", -1, false, ""},
	"bare LF commands":            {"RETR 1\nSTAT\n", "+OK\r\n.\r\n+OK\r\n", 13, false, ""},
}

// However the bytes are cut, the observer comes to the same end.
func TestObserver(t *testing.T) {
	for name, tt := range sessions {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(50) {
				got, o := observe(tt.up, tt.down, rand.New(rand.NewPCG(seed, 1)))
				if quit, said := o.Ended(); got != tt.want || quit != tt.quit || said != tt.said {
					t.Fatalf("seed %d: boundary %d, quit %v, said %q", seed, got, quit, said)
				}
			}
		})
	}
}

// observe gives both directions to an observer in pieces, and returns the last boundary.
func observe(up, down string, r *rand.Rand) (boundary int, o *observer) {
	o = &observer{}
	cut := func(s string, give func(from int, p []byte)) {
		for from := 0; from < len(s); {
			n := 1 + r.IntN(min(7, len(s)-from))
			give(from, []byte(s[from:from+n]))
			from += n
		}
	}
	cut(up, func(_ int, p []byte) { o.Up(p) })
	boundary = -1
	cut(down, func(from int, p []byte) {
		if n := o.Down(p); n >= 0 {
			boundary = from + n
		}
	})
	if o.blind {
		boundary = -1
	}
	return boundary, o
}

func TestObserverCountsNoEndlessPipeline(t *testing.T) {
	o := &observer{}
	o.Up(bytes.Repeat([]byte("NOOP\r\n"), maxAhead+1))
	if got := o.Down([]byte("+O")); !o.blind || got != 2 { // any place will do
		t.Errorf("it still counts: %d", got)
	}
}

// reference finds the last boundary as one would who has the whole session, with no state between pieces;
// -1 where the session is not POP.
func reference(up, down string) int {
	commands := strings.SplitAfter(up, "\n")
	commands = commands[:len(commands)-1]
	at, boundary := 0, -1
	for at < len(down) {
		i := strings.IndexByte(down[at:], '\n')
		if i < 0 {
			return boundary
		}
		status := down[at : at+i+1]
		at += i + 1
		ok := strings.HasPrefix(status, "+OK")
		if !ok && !strings.HasPrefix(status, "-ERR") {
			return -1
		}
		if len(commands) == 0 {
			if ok {
				return -1
			}
			boundary = at
			continue
		}
		words := strings.FieldsFunc(commands[0], func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) })
		commands = commands[1:]
		verb := ""
		if len(words) > 0 {
			verb = upper(words[0])
		}
		switch {
		case !ok:
		case verb == "RETR", verb == "TOP", verb == "CAPA", (verb == "LIST" || verb == "UIDL") && len(words) == 1:
			end := strings.Index("\r\n"+down[at:], "\r\n.\r\n")
			if end < 0 {
				return boundary
			}
			at += end + len(".\r\n")
		case verb == "LIST", verb == "UIDL", verb == "STAT", verb == "DELE", verb == "NOOP", verb == "RSET", verb == "QUIT":
		default:
			return -1
		}
		boundary = at
	}
	return boundary
}

// upper makes ASCII letters upper case.
func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 0x20
		}
		return r
	}, s)
}

func FuzzObserver(f *testing.F) {
	for _, s := range sessions {
		f.Add(s.up, s.down, uint64(1))
	}
	f.Fuzz(func(t *testing.T, up, down string, seed uint64) {
		got, o := observe(up, down, rand.New(rand.NewPCG(seed, 2)))
		if want := reference(up, down); got != want {
			t.Errorf("boundary %d, want %d", got, want)
		}
		if len(o.line) > maxSaid {
			t.Errorf("it keeps %d bytes", len(o.line))
		}
	})
}
