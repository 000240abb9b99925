package ui

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
)

// explain says what went wrong and what to do, in words.
func (w *window) explain(err error) (words, cure string) {
	var taken *api.PortTakenError
	switch {
	case err == nil:
		return "", ""
	case errors.Is(err, context.Canceled):
		return tr("Cancelled."), ""
	case errors.Is(err, context.DeadlineExceeded):
		return tr("There was no answer in time."), tr("Try again.")
	case errors.As(err, &taken):
		return portTaken(taken), ""
	}
	if w.options.Cure != nil {
		cure = w.options.Cure(err)
	}
	words = err.Error()
	if cure != "" { // some errors carry their cure in their own text
		words = strings.TrimSuffix(strings.TrimSuffix(words, cure), "; ")
	}
	return sentence(words), sentence(cure)
}

func portTaken(e *api.PortTakenError) string {
	if e.Owner == "" {
		return tr("{{.Address}} is taken by another program.", values{"Address": e.Address})
	}
	return tr("{{.Address}} is taken by {{.Owner}}.", values{"Address": e.Address, "Owner": clean(e.Owner)})
}

// headline is how everything is, in one line, and the counts below it.
func headline(v view) (title string, m mood) {
	s := v.snapshot
	needy := needy(s.Accounts)
	switch {
	case !v.known && !v.gone:
		return tr("Connecting…"), calm
	case v.gone:
		return tr("Not running"), bad
	case s.PortTaken != nil:
		return tr("Not accepting mail"), bad
	case s.State == "starting":
		return tr("Starting…"), calm
	case s.State == "stopping":
		return tr("Stopping…"), calm
	case s.Keystore.Error != "":
		return keystoreTrouble(s.Keystore), bad
	case s.State == "paused":
		return tr("Paused"), care
	case needy > 0:
		return trn("{{.N}} accounts need you", int64(needy)), care
	case anyOpen(s.Breakers):
		return tr("A provider does not answer"), care
	case len(s.Accounts) == 0:
		return tr("Ready for your first account"), calm
	case s.Messages > 0:
		return tr("Sending"), good
	}
	return tr("Everything works"), good
}

// counts is the line of the tray too.
func counts(s api.Snapshot) string {
	return strings.Join([]string{
		trn("{{.N}} accounts", int64(len(s.Accounts))),
		trn("{{.N}} connections", s.Connections),
		trn("{{.N}} messages", s.Messages),
	}, " · ")
}

func needy(accounts []api.AccountStatus) (n int) {
	for _, a := range accounts {
		if a.State == "needs_consent" || a.State == "attention" {
			n++
		}
	}
	return n
}

func anyOpen(list []breaker.Status) bool {
	for _, b := range list {
		if b.State == breaker.Open {
			return true
		}
	}
	return false
}

// accountState is an account's state as a word, with its mood.
func accountState(a api.AccountStatus) (string, mood) {
	switch a.State {
	case "ready":
		if a.Messages > 0 {
			return tr("Sending"), busy
		}
		return tr("Ready"), good
	case "needs_consent":
		return tr("Sign in again"), care
	case "attention":
		return tr("Needs attention"), bad
	case "keystore":
		return tr("Keystore locked"), bad
	}
	return tr("Not tried yet"), calm
}

// accountTrouble says what is wrong with an account, in our own words where we
// have some.
func accountTrouble(a api.AccountStatus) string {
	detail, _ := errandIn(a.Detail) // the account's own buttons do it
	switch {
	case detail != "":
		return sentence(detail)
	case a.State == "needs_consent":
		return tr("The provider wants a new sign-in.")
	case a.State == "keystore":
		return tr("Goes on once the keystore is unlocked.")
	}
	return ""
}

// sentToday compares with the provider's limit, where that is known.
func sentToday(a api.AccountStatus) string {
	if a.DailyLimit > 0 {
		return tr("{{.N}} of {{.Limit}} today", values{"N": number(a.SentToday), "Limit": number(a.DailyLimit)})
	}
	return tr("{{.N}} today", values{"N": number(a.SentToday)})
}

func lastMessage(a api.AccountStatus, now time.Time) string {
	if a.LastMessage.IsZero() {
		return tr("no message yet")
	}
	return tr("last message {{.When}}", values{"When": ago(a.LastMessage, now)})
}

// consent says how old an account's consent is, and when it ends.
func consent(a api.AccountStatus, now time.Time) string {
	if a.ConsentUsed.IsZero() {
		return ""
	}
	text := tr("consent used today")
	if days := int64(now.Sub(a.ConsentUsed).Hours() / 24); days > 0 {
		text = trn("consent {{.N}} days old", days)
	}
	left := a.ConsentEnds.Sub(now)
	switch {
	case a.ConsentEnds.IsZero():
		return text
	case left <= 0:
		return text + ", " + tr("ended on {{.Date}}", values{"Date": date(a.ConsentEnds)})
	case left < 48*time.Hour:
		return text + ", " + trn("ends in {{.N}} hours", int64(left.Hours()))
	}
	return text + ", " + trn("ends in {{.N}} days", int64(left.Hours()/24))
}

// result is what became of a message.
func result(key string) (string, mood) {
	switch key {
	case "sent":
		return tr("Sent"), good
	case "deferred":
		return tr("Try later"), care
	case "refused":
		return tr("Refused"), bad
	case "failed":
		return tr("Failed"), bad
	case "unknown":
		return tr("Unclear"), care
	case "aborted":
		return tr("Broken off"), calm
	}
	return clean(key), calm
}

// checkName is the name of a check of the engine's.
func checkName(name string) string {
	switch name {
	case "consent":
		return tr("Your approval")
	case "token":
		return tr("Access from the provider")
	case "login":
		return tr("Login at the mail server")
	case "recipient":
		return tr("Recipient")
	case "message":
		return tr("Message")
	case "keystore":
		return tr("Keystore")
	case "ports":
		return tr("Ports")
	case "accounts":
		return tr("Accounts")
	}
	for prefix, text := range map[string]string{
		"reach ":             tr("Network to {{.What}}", values{"What": "\x00"}),
		"local password of ": tr("Password of {{.What}}", values{"What": "\x00"}),
		"token of ":          tr("Access of {{.What}}", values{"What": "\x00"}),
		"login of ":          tr("Login of {{.What}}", values{"What": "\x00"}),
	} {
		if what, ok := strings.CutPrefix(name, prefix); ok {
			return strings.Replace(text, "\x00", clean(what), 1)
		}
	}
	return sentenceCase(name)
}

// checkResult is what a check found: in our own words where it is one of the few
// findings that everybody sees, and else in the engine's.
func checkResult(c api.Check) string {
	switch until, dated := strings.CutPrefix(c.Result, "good until "); {
	case c.OK && c.Name == "consent":
		return tr("Given.")
	case c.OK && dated:
		if t, err := time.Parse(time.RFC3339, until); err == nil {
			return tr("Good until {{.Time}}.", values{"Time": t.Local().Format("15:04")})
		}
	}
	return sentence(c.Result)
}

func sentenceCase(s string) string { return strings.TrimSuffix(sentence(s), ".") }

// keystoreName is the kind of keystore, for people.
func keystoreName(kind string) string {
	switch kind {
	case "system":
		return tr("The system’s keychain")
	case "file":
		return tr("An encrypted file")
	case "memory":
		return tr("Memory, until Waxseal ends")
	}
	return clean(kind)
}

func keystoreTrouble(k api.KeystoreStatus) string {
	if strings.Contains(k.Error, "locked") {
		return tr("The keychain is locked")
	}
	return tr("The keystore cannot be read")
}

func keystoreCure(k api.KeystoreStatus) string {
	if k.Cure != "" {
		return sentence(k.Cure)
	}
	return sentence(k.Error)
}

// breakerState is a breaker's state as a word, and what follows from it.
func breakerState(b breaker.Status, passed time.Duration) (word, follows string, m mood) {
	switch b.State {
	case breaker.Open:
		left := seconds(b.RetryIn - passed)
		if left == 0 {
			return tr("Open"), tr("Tries again with the next message."), care
		}
		return tr("Open"), trn("Does not answer. The next try is in {{.N}} seconds.", left), bad
	case breaker.HalfOpen:
		return tr("Half-open"), tr("One call may try whether it answers again."), care
	}
	return tr("Closed"), tr("Answers."), good
}
