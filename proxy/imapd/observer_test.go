package imapd

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// parse is a full reading of a provider's stream, byte by byte: quoted strings, literals, codes and text. It gives the
// places behind responses. It is slow and plain, to compare the observer with.
func parse(s string) (boundaries []int, bye []string) {
	for start := 0; start < len(s); {
		i, first := start, true
		for {
			end := strings.IndexByte(s[i:], '\n')
			if end < 0 {
				return boundaries, bye
			}
			line := s[i : i+end+1]
			i += end + 1
			n, literal := literalOf(line)
			if literal && first && textual(line) {
				literal = false
			}
			if !literal {
				break
			}
			if first = false; n > len(s)-i {
				return boundaries, bye
			}
			i += n
		}
		boundaries = append(boundaries, i)
		line, _, _ := strings.Cut(s[start:i], "\n")
		words := strings.SplitN(strings.TrimRight(line, "\r\n"), " ", 3)
		if words = append(words, "", ""); words[0] == "*" && strings.ToUpper(words[1]) == "BYE" {
			bye = append(bye, words[2])
		}
		start = i
	}
	return boundaries, bye
}

// literalOf reads an announcement from the left: every brace is tried.
func literalOf(line string) (n int, ok bool) {
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	for i := range len(line) {
		var size int64
		if line[i] != '{' || len(line)-i > maxDigits {
			continue
		}
		for j, c := range []byte(line[i+1:]) {
			left := line[i+1+j:]
			if c >= '0' && c <= '9' && size <= (1<<63-1-int64(c-'0'))/10 {
				size = size*10 + int64(c-'0')
				continue
			}
			if j > 0 && (left == "}" || left == "+}") {
				return int(size), true
			}
			break
		}
	}
	return 0, false
}

// textual reports whether a line ends in text for people.
func textual(line string) bool {
	line = line[:min(len(line), headSize)]
	if strings.HasPrefix(line, "+") {
		return true
	}
	words := strings.SplitN(line, " ", 3)
	if len(words) < 2 {
		return false
	}
	for _, status := range []string{"OK", "NO", "BAD", "BYE", "PREAUTH"} {
		if strings.ToUpper(words[1]) == status {
			return len(words) < 3 || !strings.HasPrefix(words[2], "[") || strings.Contains(words[2], "]")
		}
	}
	return false
}

// watch shows s to an observer, cut at the given places.
func watch(s string, cuts ...int) (boundaries []int, bye []string) {
	o := &observer{bye: func(words string) { bye = append(bye, words) }, notConnected: func() {}}
	from := 0
	for _, cut := range append(cuts, len(s)) {
		if b := o.said([]byte(s[from:cut])); b >= 0 {
			boundaries = append(boundaries, from+b)
		}
		from = cut
	}
	return boundaries, bye
}

func TestObserver(t *testing.T) {
	tests := []struct {
		said string
		want string // "|" stands for boundaries
	}{
		{"* 1 EXISTS\r\na OK done\r\n", "* 1 EXISTS\r\n|a OK done\r\n|"},
		{"* 1 FETCH (BODY[] {5}\r\n\r\n* \n)\r\nhalf", "* 1 FETCH (BODY[] {5}\r\n\r\n* \n)\r\n|half"},
		{"* 1 FETCH (BODY[] {0}\r\n X {3}\r\nabc)\r\n", "* 1 FETCH (BODY[] {0}\r\n X {3}\r\nabc)\r\n|"},
		{"* 1 FETCH (BINARY[1] ~{2}\r\n\x00\n)\r\n", "* 1 FETCH (BINARY[1] ~{2}\r\n\x00\n)\r\n|"},
		{"* LIST () \"/\" \"{5}\"\r\n* OK\r\n", "* LIST () \"/\" \"{5}\"\r\n|* OK\r\n|"},
		{"* OK words {5}\r\na NO [X] {3}\r\n+ go {9}\r\n", "* OK words {5}\r\n|a NO [X] {3}\r\n|+ go {9}\r\n|"},
		{"* OK [BADCHARSET ({2}\r\nab)] words {5}\r\n", "* OK [BADCHARSET ({2}\r\nab)] words {5}\r\nab"},
		{"* X {99999999999999999999}\r\n", "* X {99999999999999999999}\r\n|"},
		{"* X {-1}\r\n* X {+1}\r\n* X {}\r\n", "* X {-1}\r\n|* X {+1}\r\n|* X {}\r\n|"},
		{"* BYE bye\r\n\n", "* BYE bye\r\n|\n|"},
	}
	for _, test := range tests[:6] {
		want := []int{}
		for i, part := 0, 0; ; part++ {
			j := strings.IndexByte(test.want[i+part:], '|')
			if j < 0 {
				break
			}
			i += j
			want = append(want, i)
		}
		var cuts []int
		for i := range len(test.said) {
			cuts = append(cuts, i+1)
		}
		if got, _ := watch(test.said, cuts[:len(cuts)-1]...); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: boundaries %v, want %v", test.said, got, want)
		}
	}
	for _, test := range tests {
		compare(t, test.said, rand.Uint64())
	}
}

// compare shows s to the observer at cuts that seed gives, and to the full parser.
func compare(t *testing.T, s string, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var cuts []int
	for at := 0; at < len(s); {
		if at += 1 + r.IntN(1+r.IntN(40)); at < len(s) {
			cuts = append(cuts, at)
		}
	}
	got, bye := watch(s, cuts...)
	all, said := parse(s)
	var want []int // of each piece, the last
	from := 0
	for _, cut := range append(cuts, len(s)) {
		last := -1
		for _, b := range all {
			if b > from && b <= cut {
				last = b
			}
		}
		if last >= 0 {
			want = append(want, last)
		}
		from = cut
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q cut at %v: boundaries %v, want %v", s, cuts, got, want)
	}
	if len(said) > 0 && (len(bye) != 1 || len(said[0]) < 200 && bye[0] != said[0]) || len(said) == 0 && len(bye) > 0 {
		t.Errorf("%q: BYE %q, want the first of %q", s, bye, said)
	}
}

func FuzzObserver(f *testing.F) {
	for i, seed := range []string{
		"* 1 FETCH (BODY[] {5}\r\nab\r\n})\r\na OK {4}\r\n", "* BYE x\r\n* BYE y\r\n", "* OK [X {3}\r\n]{5}\r\n", "+ {1}\r\n+{2}\n", "* LIST {0}\r\n{1}\n\n\n",
		"a {9223372036854775807}\r\n", "a {9223372036854775808}\r\n", "a {000000000000000000000001}\r\nx\r\n", strings.Repeat("x", 300) + "{3}\nabc\n",
	} {
		f.Add(seed, uint64(i))
	}
	f.Fuzz(compare)
}

// After the provider has agreed to compress, nothing is a line any more, and each piece may be the last.
func TestObserverGoesBlind(t *testing.T) {
	said, connected := "", true
	o := &observer{bye: func(words string) { said = words }, notConnected: func() { connected = false }}
	for _, p := range []string{"a NOOP\r\nb2 comp", "ress DEFLATE\r\n"} {
		o.asked([]byte(p))
	}
	for _, step := range []struct {
		say  string
		want int
	}{
		{"a OK done\r\n", 11}, {"b NO\r\n", 6}, {"b2 NO not now\r\n", 15}, {"* 1 EXISTS\r\nx", 12}, {"\r\nb2 OK active\r\n\x01\n", 18}, {"* BYE x\r\n", 9}, {"a O", 3},
	} {
		if got := o.said([]byte(step.say)); got != step.want {
			t.Errorf("%q: boundary %d, want %d", step.say, got, step.want)
		}
	}
	if said != "" || !connected {
		t.Errorf("heard BYE %q, connected %v", said, connected)
	}
}

func TestObserverNotices(t *testing.T) {
	said, connected := "", true
	o := &observer{bye: func(words string) { said = words }, notConnected: func() { connected = false }}
	o.asked([]byte("1 APPEND x {30}\r\n" + strings.Repeat("long ", 99) + "LOGOUT\r\nlogout\r\nplease LOGOUT now\r\n"))
	if o.loggedOut.Load() {
		t.Error("took the text of a message for LOGOUT")
	}
	o.asked([]byte("2 LOG"))
	o.asked([]byte("OUT\r\n"))
	if !o.loggedOut.Load() {
		t.Error("did not see LOGOUT")
	}
	o.said([]byte("1 BAD User is authenticated but not con"))
	o.said([]byte("nected.\r\n* bye [UNAVAILABLE] Session "))
	o.said([]byte("expired\r\n"))
	if said != "[UNAVAILABLE] Session expired" || connected {
		t.Errorf("heard %q, connected %v", said, connected)
	}
}

func BenchmarkObserver(b *testing.B) {
	text := []byte(strings.Repeat("* 1 FETCH (UID 5 BODY[] {60000}\r\n"+strings.Repeat("line of a message\r\n", 60000/19+1)[:60000]+")\r\n", 16))
	o := &observer{bye: func(string) {}, notConnected: func() {}}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		for p := text; len(p) > 0; {
			n := min(len(p), 16<<10)
			o.said(p[:n])
			p = p[n:]
		}
	}
}
