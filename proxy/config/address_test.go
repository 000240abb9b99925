package config

import (
	"strings"
	"testing"
)

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"me@example.com":           "me@example.com",
		" Me@Example.COM\t":        "me@example.com",
		"Jos\u00e9@example.com":    "jos\u00e9@example.com",
		"Jose\u0301@example.com":   "jos\u00e9@example.com",
		"me@B\u00fccher.example":   "me@xn--bcher-kva.example",
		"me@xn--bcher-kva.EXAMPLE": "me@xn--bcher-kva.example",
		"\u00c9":                   "\u00e9",
		"a@b@\u00fc.example":       "a@b@xn--tda.example",
		"":                         "",
	} {
		if got := Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCheckAddress(t *testing.T) {
	for _, good := range []string{"me@example.com", "a.b+c@sub.example.co", "jos\u00e9@b\u00fccher.example", "o'neil_%x@host"} {
		if err := CheckAddress(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", " ", "me", "@example.com", "me@", "me@.com", "me@a..b", "a b@c.d", "a@b c", "<a@b.c>", "a,b@c.d", "a@b.c\r\nMAIL", "a\x00@b.c",
		"a@b.c\xff", "\u2028a@b.c", "a@b.c/../x", string(make([]byte, 300)) + "@b.c",
	} {
		if err := CheckAddress(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

// TestFoldIsBounded: before it logs in, anybody may send an address as long as a line, and each
// kilobyte of a single label cost milliseconds, growing with its square. A domain longer than any
// is left as it is, whatever else it is.
func TestFoldIsBounded(t *testing.T) {
	for _, n := range []int{maxDomain, 1 << 16} {
		long := "me@" + strings.Repeat("\u00fc", n/2) + ".example"
		if got := Fold(long); got != long {
			t.Errorf("a domain of %d bytes was changed to one of %d bytes", n, len(got))
		}
	}
}

// Folding a folded address must change nothing, otherwise a map would contain it twice.
func FuzzFold(f *testing.F) {
	for _, s := range []string{"Me@Example.com", "\u0130@\u0130.tr", "\u0345\u1fb3@x", "a@\u1e9e.de", "\uff21@\uff22.c", "\u212a@\u3002x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if once := Fold(s); Fold(once) != once {
			t.Errorf("Fold(%q) = %q, folded again %q", s, once, Fold(once))
		}
	})
}
