package mailbox

import (
	"strconv"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/pace"
)

// limitTime is how the end of a limit is written, in the time of this computer.
const limitTime = "2006-01-02 15:04"

// explainLimit explains that a provider's sending limit is used up. It is congestion in the sense of RFC 3463,
// X.4.5, which is what Google calls its own. 452 is for what is short rather than broken (RFC 5321 section
// 4.2.2), and at RCPT it means that this recipient has to wait for another transaction (section 4.5.3.1.10).
func (s subject) explainLimit(e *pace.Error) Failure {
	what := "{{.Provider}} allows {{.Account}} {{.Limit}} messages per minute, and they are used up."
	switch e.Kind {
	case pace.MessagesPerDay:
		what = "{{.Provider}} allows {{.Account}} {{.Limit}} messages within 24 hours, and they are used up."
	case pace.RecipientsPerDay:
		what = "{{.Provider}} allows {{.Account}} {{.Limit}} recipients within 24 hours, and they are used up."
	}
	p := s.passing("", "4.4.5", what, "", "Limit", strconv.Itoa(e.Limit))
	if e.Kind == pace.PerMinute {
		p.Cure = api.Say("Try again in {{.Seconds}} seconds.", "Seconds", strconv.Itoa(e.Seconds()))
		if e.Seconds() == 1 {
			p.Cure = api.Say("Try again in 1 second.")
		}
		return Failure{p, 451}
	}
	p.Cure = api.Say("It can send again from {{.Time}} on.", "Time", e.Until.Local().Format(limitTime))
	return Failure{p, 452}
}

// limitReached is the problem of an account that may not send until a day's limit ends; nil if it may.
func (b *Mailbox) limitReached() *api.Problem {
	for _, u := range b.Pace.Status().Uses {
		if !u.Until.IsZero() {
			p := subjectOf(b, api.SMTP).explainLimit(&pace.Error{Kind: u.Kind, Limit: int(u.Limit), Until: u.Until}).Problem
			p.State = api.LimitReached
			return p
		}
	}
	return nil
}

func limitUses(uses []pace.Use) (list []api.LimitUse) {
	for _, u := range uses {
		list = append(list, api.LimitUse{Kind: api.LimitKind(u.Kind), Used: u.Used, Limit: u.Limit, Until: u.Until})
	}
	return list
}
