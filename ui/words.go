package ui

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

// explained is what went wrong, what to do, and the errand that does it.
type explained struct {
	words, cure string
	copy        string // a value that the cure needs
	do          errand
}

// explain words an error.
func (w *window) explain(err error) explained {
	var taken *api.PortTakenError
	var problem *api.Problem
	switch {
	case err == nil:
		return explained{}
	case errors.Is(err, context.Canceled):
		return explained{words: tr("Cancelled.")}
	case errors.Is(err, context.DeadlineExceeded):
		return explained{words: tr("Timed out."), cure: tr("Try again.")}
	case errors.As(err, &taken):
		return explained{words: say(taken.Text())}
	case errors.As(err, &problem):
		return explainProblem(problem)
	}
	e := explained{words: err.Error()}
	if w.options.Cure != nil {
		e.cure = w.options.Cure(err)
	}
	if e.cure != "" { // some errors carry their cure in their own text
		e.words = strings.TrimSuffix(strings.TrimSuffix(e.words, e.cure), "; ")
	}
	e.words, e.cure = sentence(e.words), sentence(e.cure)
	return e
}

// explainProblem words a problem of the engine's.
func explainProblem(p *api.Problem) explained {
	words := say(p.What)
	if p.Said != "" {
		words += " " + tr("The other side said: {{.Words}}", values{"Words": quoted(p.Said)})
	}
	return explained{words, say(p.Cure), p.Copy, errandOf(p.Do, p.Account)}
}

// text is all of it in one line, for places without space for a button.
func (e explained) text() string {
	return strings.TrimSpace(e.words + " " + e.cure)
}

// headline is the overall state in one line.
func headline(v view) (title string, m mood) {
	s := v.snapshot
	needy := needy(s.Accounts)
	switch {
	case !v.known && !v.gone:
		return tr("Connecting…"), calm
	case v.frozen:
		return tr("Not responding"), bad
	case v.gone:
		return tr("Not running"), bad
	case s.PortTaken != nil:
		return tr("Not accepting mail"), bad
	case s.State == api.Starting:
		return tr("Starting…"), calm
	case s.State == api.Draining, s.State == api.Stopping:
		return tr("Stopping…"), calm
	case s.Keystore.Problem != nil:
		return phrase(say(s.Keystore.Problem.What)), bad
	case s.State == api.Paused:
		return tr("Paused"), care
	case needy > 0:
		return trn("{{.N}} accounts need attention", int64(needy)), care
	}
	if state, provider, troubled := s.Passing(); troubled {
		return say(state.Headline(clean(provider))), care
	}
	switch {
	case len(s.Accounts) == 0:
		return tr("Ready for your first account"), calm
	case s.Messages > 0:
		return tr("Sending"), good
	case !slices.ContainsFunc(s.Accounts, api.AccountStatus.Reads):
		return tr("Ready to send"), good
	case !slices.ContainsFunc(s.Accounts, api.AccountStatus.Sends):
		return tr("Ready to read"), good
	}
	return tr("Ready to send and read"), good
}

// counts is the line below the headline, the same as in the tray.
func counts(s api.Snapshot) string {
	return strings.Join([]string{
		trn("{{.N}} accounts", int64(len(s.Accounts))),
		trn("{{.N}} connections", s.Programs()),
		trn("{{.N}} messages", s.Messages),
	}, " · ")
}

func needy(accounts []api.AccountStatus) (n int) {
	for _, a := range accounts {
		if a.Severity() == api.NeedsSomebody {
			n++
		}
	}
	return n
}

// accountState is the state of an account as a whole for a badge, with its mood.
func accountState(a api.AccountStatus) (string, mood) {
	state, _, _ := a.Overall()
	if a.Messages > 0 && state.Severity() <= api.Busy {
		return tr("Sending"), busy
	}
	return stateWord(state), moodOf(state)
}

// moodOf is the mood of a state.
func moodOf(s api.State) mood {
	switch s.Severity() {
	case api.NeedsSomebody:
		return bad
	case api.Passing:
		return care
	}
	if s == api.Ready {
		return good
	}
	return calm
}

// accountTrouble says what is wrong with an account and what to do; it is the zero
// value if nothing is.
func accountTrouble(a api.AccountStatus) explained {
	if a.Severity() < api.Passing {
		return explained{}
	}
	return explainProblem(a.Trouble())
}

// sentToday is how much of the provider's daily limit is used, in its unit, and otherwise how much was sent today. Of
// two limits it is the one that ends first.
func sentToday(a api.AccountStatus) string {
	var tightest api.LimitUse
	for _, u := range a.Limits {
		if u.Kind != api.MessagesPerMinute && (tightest.Limit == 0 || share(u) > share(tightest)) {
			tightest = u
		}
	}
	use := values{"N": number(tightest.Used), "Limit": number(tightest.Limit)}
	switch tightest.Kind {
	case api.RecipientsPerDay:
		return tr("{{.N}} of {{.Limit}} recipients in 24 hours", use)
	case api.MessagesPerDay:
		return tr("{{.N}} of {{.Limit}} messages in 24 hours", use)
	}
	return trn("{{.N}} messages today", a.SentToday)
}

func share(u api.LimitUse) float64 { return float64(u.Used) / float64(u.Limit) }

// lastMinute is how much of the provider's limit per minute is used, if there is not much left, and how many messages
// wait.
func lastMinute(a api.AccountStatus) string {
	u, limited := a.Limit(api.MessagesPerMinute)
	switch {
	case limited && a.Upstream.Waiting > 0:
		return tr("{{.N}} of {{.Limit}} messages in a minute, {{.Waiting}} waiting", values{"N": number(u.Used), "Limit": number(u.Limit), "Waiting": number(int64(a.Upstream.Waiting))})
	case limited && 2*u.Used >= u.Limit:
		return tr("{{.N}} of {{.Limit}} messages in a minute", values{"N": number(u.Used), "Limit": number(u.Limit)})
	}
	return ""
}

// lastMessage is how the last message ended, and when.
func lastMessage(a api.AccountStatus, now time.Time) string {
	if a.LastMessage.IsZero() {
		return tr("no message yet")
	}
	when := values{"When": ago(a.LastMessage, now)}
	switch a.LastResult {
	case api.Sent:
		return tr("last message sent {{.When}}", when)
	case api.Deferred:
		return tr("last message deferred {{.When}}", when)
	case api.Refused:
		return tr("last message refused {{.When}}", when)
	case api.Failed:
		return tr("last message failed {{.When}}", when)
	case api.Unclear:
		return tr("last message may have been delivered {{.When}}", when)
	case api.Aborted:
		return tr("last message cancelled {{.When}}", when)
	}
	return tr("last message {{.When}}", when)
}

// consent says how old an account's consent is, and when it ends.
func consent(a api.AccountStatus, now time.Time) string {
	if a.ConsentUsed.IsZero() {
		return ""
	}
	text := tr("access used today")
	if days := int64(now.Sub(a.ConsentUsed).Hours() / 24); days > 0 {
		text = trn("access last used {{.N}} days ago", days)
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

// resultMood is the mood of a result.
func resultMood(r api.Result) mood {
	switch r {
	case api.Sent:
		return good
	case api.Refused, api.Failed:
		return bad
	case api.Deferred, api.Unclear:
		return care
	}
	return calm
}

// checkTitle is the name of a check, with its protocol and its account or server.
func checkTitle(c api.Check) string {
	title := say(c.Title())
	if c.Protocol != "" {
		title += " · " + say(c.Protocol.Label())
	}
	if c.Subject != "" {
		title += " · " + clean(c.Subject)
	}
	return title
}

// checkResult words the result of a check.
func checkResult(c api.Check) explained {
	switch {
	case c.Problem != nil:
		return explainProblem(c.Problem)
	case !c.Until.IsZero():
		return explained{words: tr("Valid until {{.Time}}.", values{"Time": c.Until.Local().Format("15:04")})}
	}
	return explained{words: say(c.Result)}
}

// phrase is a sentence without its full stop: a heading has none.
func phrase(s string) string { return strings.TrimSuffix(s, ".") }

// keystoreName is the kind of keystore, for people.
func keystoreName(kind string) string {
	switch kind {
	case "system":
		return tr("System keychain")
	case "file":
		return tr("Encrypted file")
	case "memory":
		return tr("In memory only (lost on quit)")
	}
	return clean(kind)
}

// breakerState is a breaker's state as a word, and a sentence about what happens next.
func breakerState(b api.Breaker, passed time.Duration) (word, follows string, m mood) {
	switch b.State {
	case api.Open:
		left := seconds(time.Duration(b.RetryIn)*time.Second - passed)
		if left == 0 {
			return tr("Unreachable"), tr("Not responding. Retrying with the next message."), care
		}
		return tr("Unreachable"), trn("Not responding. Retrying in {{.N}} seconds.", left), bad
	case api.HalfOpen:
		return tr("Testing"), tr("One request is let through to see whether it is back."), care
	}
	return tr("OK"), tr("Reachable"), good
}

// breakerName is the server that a breaker guards.
func breakerName(b api.Breaker) string {
	if b.Provider == "" {
		return clean(b.Name)
	}
	if b.Protocol.Reads() {
		return tr("{{.Provider}}: {{.Protocol}} server", values{"Provider": clean(b.Provider), "Protocol": say(b.Protocol.Label())})
	}
	if b.Mail {
		return tr("{{.Provider}}: mail server", values{"Provider": clean(b.Provider)})
	}
	return tr("{{.Provider}}: sign-in server", values{"Provider": clean(b.Provider)})
}
