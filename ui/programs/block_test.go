package programs

import (
	"strings"
	"testing"
)

// FuzzBlock: lines that were added to a file and taken out again leave it byte for byte as it was, also
// when there are lines for another account.
func FuzzBlock(f *testing.F) {
	for _, text := range []string{"", "a", "a\n", "a\r\nb", "\n\n", "# >>> me@x through Waxseal; \"waxseal setup msmtp me@x --undo\"", "\xff\x00"} {
		f.Add(text, "lines\n")
	}
	f.Add("relayhost =\n# replaced\n  x\n\ty\nother=1\nrelayhost=", "relayhost = [a]\n")
	f.Fuzz(func(t *testing.T, text, lines string) {
		if HasBlock(text) || HasBlock(lines) || strings.Contains(lines, "<<<") || !strings.HasSuffix(lines, "\n") || strings.Contains(text, " replaced for ") {
			t.Skip()
		}
		for _, name := range []string{"msmtp", "postfix"} {
			p, _ := Find(name)
			one := p.With(text, "me@x.example", lines)
			if again := p.With(one, "me@x.example", lines); again != one {
				t.Errorf("%q, then %q", one, again)
			}
			both := p.With(one, "you@x.example", lines)
			for _, order := range [][2]string{{"me@x.example", "you@x.example"}, {"you@x.example", "me@x.example"}} {
				rest, first := p.Without(both, order[0])
				rest, second := p.Without(rest, order[1])
				if rest != text || !first || !second {
					t.Errorf("%q became %q", text, rest)
				}
			}
		}
	})
}

// TestBlockInPlaceOfLines: Postfix complains of a setting that is there twice, in the mails of cron too.
func TestBlockInPlaceOfLines(t *testing.T) {
	p, _ := Find("postfix")
	const before = "# relayhost = x\nrelayhost =\n  [corp.example]\n\t:587\nmydestination = relayhost, localhost\nsmtp_tls_security_level=may\n"
	after := p.With(before, "me@x.example", "relayhost = [a]\nsmtp_tls_security_level = none\n")
	const cover = "# replaced for me@x.example: "
	if want := "# relayhost = x\n" + cover + "relayhost =\n" + cover + "  [corp.example]\n" + cover + "\t:587\nmydestination = relayhost, localhost\n" + cover + "smtp_tls_security_level=may\n"; !strings.HasPrefix(after, want+"# >>> ") {
		t.Errorf("%s\nwant\n%s", after, want)
	}
	if rest, ok := p.Without(after, "me@x.example"); !ok || rest != before {
		t.Errorf("%q", rest)
	}
}

// What somebody adds below the lines, or above them, stays.
func TestBlockAmongChanges(t *testing.T) {
	p, _ := Find("mutt")
	text := "top\n" + p.With("a\n", "me@x.example", "lines\n") + "below\n"
	if rest, ok := p.Without(text, "me@x.example"); !ok || rest != "top\na\nbelow\n" {
		t.Errorf("%q, %v", rest, ok)
	}
	cut := strings.Replace(text, "<<<", "", 1)
	if rest, ok := p.Without(cut, "me@x.example"); ok || rest != cut {
		t.Errorf("lines without an end are taken out: %q", rest)
	}
}
