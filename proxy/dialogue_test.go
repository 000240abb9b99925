package proxy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestDialogues plays the golden dialogues in testdata/dialogues. A line "C: x"
// is sent, a line "S: x" must come back; "*" stands for any run of characters in
// it. "T:" starts TLS. Lines that start with "#" are comments, and so is the
// first word of a file name up to "-" the way in: plain, tls or starttls.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/dialogues/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := newRig(t, rigOptions{})
			r.provider.SetFaults(providertest.Faults{SMTP: stubborn})
			play(t, r, string(text))
		})
	}
}

// stubborn refuses what dialogues want refused.
func stubborn(e providertest.Event) providertest.Action {
	switch {
	case e.Step == providertest.StepRcpt && strings.Contains(e.Line, "<unknown@"):
		return providertest.Action{Code: 550, Text: "5.1.1 The address you entered\n5.1.1 does not exist"}
	case e.Step == providertest.StepRcpt && strings.Contains(e.Line, "<busy@"):
		return providertest.Action{Code: 451, Text: "4.2.1 Too busy"}
	case e.Step == providertest.StepMail && strings.Contains(e.Line, "<stranger@"):
		return providertest.Action{Code: 550, Text: "5.7.60 SMTP; Client does not have permissions to send as this sender"}
	case e.Step == providertest.StepFinal && strings.Contains(e.Line, "spam"):
		return providertest.Action{Code: 554, Text: "5.7.1 Looks like spam"}
	}
	return providertest.Action{}
}

func play(t *testing.T, r *rig, script string) {
	t.Helper()
	p := r.dial()
	for n, line := range strings.Split(script, "\n") {
		kind, rest, _ := strings.Cut(line, " ")
		rest = strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\t`, "\t", `\0`, "\x00", "$AUTH", plainResponse(me, password)).Replace(rest)
		switch kind {
		case "C:":
			p.send(rest + "\r\n")
		case "S:":
			got, err := p.r.ReadString('\n')
			got = strings.TrimRight(got, "\r\n")
			if err != nil {
				got = "(connection closed)"
			}
			if !like(got, rest) {
				t.Fatalf("line %d:\n got %q\nwant %q", n+1, got, rest)
			}
		case "T:":
			p.startTLS()
		case "", "#":
		default:
			t.Fatalf("line %d: what is %q?", n+1, line)
		}
	}
}

// like matches with "*" for any run of characters.
func like(s, pattern string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return s == pattern
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}
