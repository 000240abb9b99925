package mailbox

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestMinutes(t *testing.T) {
	var m minutes
	at := time.Date(2026, 3, 4, 5, 6, 30, 0, time.UTC)
	m.count(at.Add(-2 * time.Hour)) // too old to be seen
	m.count(at.Add(-59 * time.Minute))
	m.count(at)
	m.count(at)
	got := m.Last60(at)
	if len(got) != 60 || got[0] != 1 || got[59] != 2 {
		t.Errorf("got %v", got)
	}
	if got = m.Last60(at.Add(time.Minute)); got[0] != 0 || got[58] != 2 || got[59] != 0 {
		t.Errorf("a minute later %v", got)
	}
	if got = m.Last60(at.Add(24 * time.Hour)); strings.Trim(fmt.Sprint(got), "[0 ]") != "" {
		t.Errorf("a day later %v", got)
	}
}

func TestDiscreet(t *testing.T) {
	for reply, want := range map[string]string{
		"250 2.0.0 OK queued as 17":                                   "250 2.0.0 OK queued as 17",
		"550 5.1.1 <you@there.test>: no such user":                    "550 5.1.1 <…>: no such user",
		"550 5.1.10 Recipient You@there.test not found.":              "550 5.1.10 Recipient … not found.",
		`550 <"quoted local"@there.test> no`:                          "550 <…> no",
		"250 OK <17@host.there.test> [Hostname=x.there.test]":         "250 OK <…> [Hostname=x.there.test]",
		"550 5.7.60 ME@corp.test may not":                             "550 5.7.60 ME@corp.test may not",
		"Sign in again (`waxseal account reauthorize me@corp.test`).": "Sign in again (`waxseal account reauthorize me@corp.test`).",
		"`you@there.test`":                                            "`…`",
	} {
		if got := discreet(reply, "me@corp.test"); got != want {
			t.Errorf("%s\n got %s\nwant %s", reply, got, want)
		}
	}
	if got := discreet(strings.Repeat("ü", 70_000), "me@corp.test"); len(got) > longestReply+len("…") || !strings.HasSuffix(got, "ü…") {
		t.Errorf("a long one is %d bytes", len(got))
	}
}
