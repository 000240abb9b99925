package upstream

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// stuff encodes a body in pieces of n bytes.
func stuff(body []byte, n int) ([]byte, error) {
	var s stuffer
	var out []byte
	for {
		p := body[:min(n, len(body))]
		body = body[len(p):]
		var err error
		if out, err = s.encode(out, p, len(body) == 0); err != nil || len(body) == 0 {
			return out, err
		}
	}
}

// unstuff is a strict server: only CRLF ends a line, only CRLF "." CRLF the body.
func unstuff(wire []byte) (body, rest []byte, ended bool) {
	atStart := true
	for len(wire) > 0 {
		if atStart && bytes.HasPrefix(wire, []byte(".\r\n")) {
			return body, wire[3:], true
		}
		if atStart && wire[0] == '.' {
			wire = wire[1:]
		}
		i := bytes.Index(wire, []byte("\r\n"))
		if i < 0 {
			return append(body, wire...), nil, false
		}
		body, wire, atStart = append(body, wire[:i+2]...), wire[i+2:], true
	}
	return body, nil, false
}

// laxEnds are how lax servers end a body, besides the one true way.
var laxEnds = []string{"\n.\n", "\n.\r\n", "\n.\r", "\r.\r", "\r.\n", "\r.\r\n", "\r\n.\n", "\r\n.\r"}

// checkStuffed checks an encoded body: a strict server gets it unchanged, a lax one sees no end before
// the true one.
func checkStuffed(t *testing.T, body, wire []byte) {
	t.Helper()
	got, rest, ended := unstuff(wire)
	want := body
	if len(body) > 0 && !bytes.HasSuffix(body, []byte("\r\n")) {
		want = append(bytes.Clone(body), '\r', '\n')
	}
	if !ended || len(rest) != 0 || !bytes.Equal(got, want) {
		t.Fatalf("%q went out as %q and arrived as %q, ended %v", body, wire, got, ended)
	}
	// The server sees the body after the CRLF of DATA; zero bytes may be dropped.
	seen := bytes.ReplaceAll(append([]byte("\r\n"), wire...), []byte{0}, nil)
	for _, end := range laxEnds {
		if bytes.Contains(seen[:len(seen)-len("\r\n")], []byte(end)) { // not at the true one
			t.Fatalf("%q went out as %q: %q ends it early", body, wire, end)
		}
	}
}

func TestStuff(t *testing.T) {
	for in, want := range map[string]string{
		"":                     ".\r\n",
		"\r\n":                 "\r\n.\r\n",
		"a":                    "a\r\n.\r\n",
		"a\r\n":                "a\r\n.\r\n",
		".":                    "..\r\n.\r\n",
		".\r\n":                "..\r\n.\r\n",
		"..\r\n.":              "...\r\n..\r\n.\r\n",
		"a\r\n.b\r\n":          "a\r\n..b\r\n.\r\n",
		"a\r\n.\r\nMAIL":       "a\r\n..\r\nMAIL\r\n.\r\n",
		"a\r\n.\nMAIL":         "a\r\n..\nMAIL\r\n.\r\n", // doubled, so no longer alone
		"a\n.b\r\n":            "a\n.b\r\n.\r\n",
		"a\rb\nc":              "a\rb\nc\r\n.\r\n",
		"a\r\r\n.b":            "a\r\r\n..b\r\n.\r\n",
		"a\r":                  "a\r\r\n.\r\n",
		"a\n":                  "a\n\r\n.\r\n",
		"x.\r\n":               "x.\r\n.\r\n",
		"a\n..\r\nb\r\n":       "a\n..\r\nb\r\n.\r\n",
		"\x00\x00a\r\n\x00b.c": "\x00\x00a\r\n\x00b.c\r\n.\r\n",
	} {
		for n := 1; n <= len(in)+1; n++ {
			got, err := stuff([]byte(in), n)
			if err != nil || string(got) != want {
				t.Errorf("%q by %d: %q, %v; want %q", in, n, got, err, want)
			}
			checkStuffed(t, []byte(in), got)
		}
	}
}

// smuggled are bodies that some servers would end in the middle: every line end that is not CRLF before a
// lone dot, and every one after it.
func smuggled() (bodies []string) {
	for _, before := range []string{"a\n", "a\r", "a\r\n\n", "a\r\n\r", "\n", "\r", "a\n\r", "a\r\n\x00", "a\n\x00", "\x00", "a\r\x00\x00"} {
		for _, after := range []string{"\n", "\r", "\r\n", "\x00\r\n", "\x00\n", "\r\x00\n", ""} {
			bodies = append(bodies, before+"."+after)
			if after != "" {
				bodies = append(bodies, before+"."+after+"MAIL FROM:<evil@x.example>\r\n")
			}
		}
	}
	return bodies
}

func TestSmugglingRefused(t *testing.T) {
	for _, body := range smuggled() {
		for n := 1; n <= len(body); n++ {
			if out, err := stuff([]byte(body), n); !errors.Is(err, ErrBareLineEnd) {
				t.Errorf("%q by %d: %q, %v", body, n, out, err)
			}
		}
	}
}

// By DATA such a body never reaches its end; the same bytes pass by BDAT, which counts and does not look.
func TestSmugglingUpstream(t *testing.T) {
	late := strings.Repeat("0123456789abcde\n", 5000) // the dot comes when much has been sent
	for _, body := range append(smuggled(), late+".\r\nMAIL FROM:<evil@x.example>\r\n") {
		f := start(t, &fake{ext: without("CHUNKING")})
		p := newPool(t, f)
		if r, err := send(p, strings.NewReader(body), "you@there.example"); !errors.Is(err, ErrBareLineEnd) {
			t.Errorf("%.60q: %v, %v", body, r, err)
		}
		mustSend(t, p, "next\r\n")
		if m := f.delivered(); len(m) != 1 || string(m[0].body) != "next\r\n" {
			t.Errorf("%.60q: delivered %d", body, len(m))
		}
	}
	f := start(t, &fake{})
	p := newPool(t, f)
	for i, body := range smuggled() {
		mustSend(t, p, body)
		if m := f.delivered(); len(m) != i+1 || string(m[i].body) != body {
			t.Errorf("%q changed by BDAT", body)
		}
	}
}

// TestStuffAnything takes random bodies, made mostly of what matters, through the encoder and a strict
// server.
func TestStuffAnything(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	words := []string{"\r\n", "\r", "\n", ".", "..", "\x00", "a", "word ", "\r\n.", "\xff"}
	refused := 0
	for range 20000 {
		var b strings.Builder
		for range rng.IntN(12) {
			b.WriteString(words[rng.IntN(len(words))])
		}
		body := []byte(b.String())
		wire, err := stuff(body, 1+rng.IntN(5))
		if err != nil {
			refused++
			continue
		}
		checkStuffed(t, body, wire)
	}
	if refused == 0 || refused > 15000 {
		t.Errorf("%d of 20000 refused (seed %d)", refused, seed)
	}
}

// FuzzStuff: a body that is not refused arrives unchanged, however it is cut.
func FuzzStuff(f *testing.F) {
	for _, s := range append(smuggled(), "", ".", "a\r\n.b", "\r\n.\r\n", "..\r\n") {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		n = 1 + max(0, n)%100
		wire, err := stuff(body, n)
		whole, err2 := stuff(body, len(body)+1)
		if (err == nil) != (err2 == nil) || err == nil && !bytes.Equal(wire, whole) {
			t.Fatalf("%q: cut by %d %q %v, whole %q %v", body, n, wire, err, whole, err2)
		}
		if err == nil {
			checkStuffed(t, body, wire)
		}
	})
}

func BenchmarkStuff(b *testing.B) {
	body := []byte(strings.Repeat(strings.Repeat("x", 74)+"\r\n", 400))
	out := make([]byte, 0, 2*len(body))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var s stuffer
		if _, err := s.encode(out, body, false); err != nil {
			b.Fatal(err)
		}
	}
}
