package ui

import (
	"slices"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/ui/speech"
)

// stateWord is a state for a badge.
func stateWord(s api.State) string { return speech.Capital(say(s.Label())) }

// joined are facts in one line.
func joined(facts ...string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(facts), func(s string) bool { return s == "" }), " · ")
}

// readFacts are the facts about a protocol for reading, in one line.
func readFacts(r api.ReadStatus, now time.Time) string {
	facts := []string{readSessions(r)}
	if r.Spare {
		facts = append(facts, tr("{{.N}} in reserve", values{"N": "1"}))
	}
	if r.LastLogin.IsZero() {
		facts = append(facts, tr("no login yet"))
	} else {
		facts = append(facts, tr("last login {{.When}}", values{"When": ago(r.LastLogin, now)}))
	}
	if r.Down > 0 {
		facts = append(facts, tr("{{.Size}} read so far", values{"Size": size(r.Down)}))
	}
	return joined(facts...)
}

// readSessions is how many mail programs are logged in, and how many the provider allows.
func readSessions(r api.ReadStatus) string {
	if r.Limit > 0 {
		return tr("{{.N}} of {{.Limit}} connections in use", values{"N": number(r.Sessions), "Limit": number(r.Limit)})
	}
	return trn("{{.N}} connections", r.Sessions)
}

// readTrouble says what is wrong with reading; it is the zero value if nothing is.
func readTrouble(a api.AccountStatus, r api.ReadStatus) explained {
	if r.State.Severity() < api.Passing {
		return explained{}
	}
	a.State, a.Problem, a.Reading = api.Unused, nil, []api.ReadStatus{r}
	return explainProblem(a.Trouble())
}

// sendTrouble says what is wrong with sending, or with the whole account.
func sendTrouble(a api.AccountStatus) explained {
	a.Reading = nil
	return accountTrouble(a)
}

// readingNow is what an account's mail programs that read do, in a few words.
func readingNow(a api.AccountStatus) string {
	var names []string
	var sessions int64
	for _, r := range a.Reading {
		names = append(names, say(r.Protocol.Label()))
		sessions += r.Sessions
	}
	return strings.Join(names, ", ") + ": " + trn("{{.N}} connections", sessions)
}

// lastRead is when a mail program last logged in to read.
func lastRead(a api.AccountStatus, now time.Time) string {
	var last time.Time
	for _, r := range a.Reading {
		if r.LastLogin.After(last) {
			last = r.LastLogin
		}
	}
	if last.IsZero() {
		return tr("no login yet")
	}
	return tr("last login {{.When}}", values{"When": ago(last, now)})
}

// does reports whether some account does p.
func (w *window) does(p api.Protocol) bool {
	for _, a := range w.view.snapshot.Accounts {
		if p == api.SMTP && a.Sends() || a.Uses(p) {
			return true
		}
	}
	return false
}
