package mailbox

import (
	"fmt"
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// meaning is what providers mean by an enhanced status code (RFC 3463), and what
// a person can do about it.
type meaning struct {
	code  string    // "5.7.139"
	words string    // that must stand in the reply too, in lower case; "" for none
	state api.State // of the account when a login is answered so; "" where none is
	what  string
	cure  string
}

// meanings are the answers whose own words do not say what to do. They are
// Exchange's, except that 4.4.5 and 4.7.28 are Google's (support.google.com/a/answer/3726730),
// 5.4.5 and 4.7.0 are Google's too, and Postfix refuses the name in EHLO only at MAIL or RCPT
// (smtpd_delay_reject). SubmissionQuotaExceededException is documented in Microsoft's "SMTP submission
// improvements", learn.microsoft.com/exchange/troubleshoot/send-emails/smtp-submission-improvements. Of
// several with the same code the first whose words fit is meant.
var meanings = []meaning{
	{"5.7.139", "did not meet the criteria", api.SMTPDisabled, "A policy of the organisation blocks {{.Account}} from sending.", "Ask an administrator to allow this mailbox in the Conditional Access or authentication policy that blocks it."},
	{"5.7.139", "", api.SMTPDisabled, "Sending by SMTP is switched off for {{.Account}} or its organisation.", "Ask an administrator to switch on SMTP AUTH for this mailbox."},
	{"5.7.3", "", api.WrongIdentity, "The user who signed in may not use the mailbox {{.Account}}.", "For a shared mailbox or an alias, sign in as the user it belongs to and set that user as login. Otherwise sign in again and allow sending mail."},
	{"5.7.30", "", api.PasswordsRetired, "{{.Provider}} no longer accepts passwords and did not take the access token.", "Check the account’s provider."},
	{"5.7.57", "", api.NotAuthenticated, "{{.Provider}} did not count the sign-in.", "Sign in again, and check that the provider’s smtp is the server for mail programs."},
	{"5.7.60", "", "", "The user who signed in may not send as this address.", "Ask an administrator to grant “Send As” on the mailbox."},
	{"5.2.252", "", "", "The user who signed in may not send as this address.", "Ask an administrator to grant “Send As” on the mailbox."},
	{"5.2.0", "submissionquotaexceeded", "", "{{.Account}} has sent to as many recipients as {{.Provider}} allows within 24 hours.", overLimit},
	{"5.2.0", "", "", "The mailbox has reached its sending limit, or may not send at all.", "Try again tomorrow, or ask an administrator."},
	{"5.4.5", "", "", "The mailbox has reached its sending limit for today.", "Try again tomorrow."},
	{"5.2.2", "", "", "The recipient’s mailbox is full.", "Ask its owner to delete something."},
	{"5.3.4", "", "", "The message is larger than the provider accepts.", "Send less, or a link."},
	{"5.2.3", "", "", "The message is larger than the provider accepts.", "Send less, or a link."},
	{"5.1.10", "", "", "There is no such recipient.", "Check the address."},
	{"5.1.1", "", "", "There is no such recipient.", "Check the address."},
	{"5.5.2", "helo command rejected", "", helloRefused, helloCure},
	{"5.7.1", "helo command rejected", "", helloRefused, helloCure},
	{"4.7.1", "helo command rejected", "", helloRefused, helloCure},
	{"4.3.2", "", api.ProviderBusy, "Too many messages are being sent from {{.Account}} at once.", "Send fewer at a time, or lower max_connections."},
	{"4.4.2", "submission rate", api.ProviderBusy, "{{.Account}} sends more messages per minute than {{.Provider}} allows.", tooFast},
	{"4.7.28", "", api.ProviderBusy, "{{.Provider}} takes so many messages at once for unwanted mail, and asks to slow down.", tooFast},
	{"4.4.5", "", api.ProviderBusy, "{{.Provider}} is too busy to take messages right now.", "Try again in a few minutes."},
	{"4.7.0", "", api.ProviderBusy, "{{.Provider}} asks to slow down, or can’t check the sign-in right now.", "Try again in a few minutes."},
	{"4.2.0", "", api.ProviderBusy, "{{.Provider}} can’t sign the mailbox in right now.", "Try again in a few minutes."},
}

// Waxseal keeps the limits that it knows, so a provider that says this counts what Waxseal does not see, or allows less.
const (
	overLimit = "Try again tomorrow. If other programs send as this account too, lower max_recipients_per_day in the configuration."
	tooFast   = "Try again in a few minutes. If this happens often, lower max_per_minute in the configuration."
)

const helloRefused = "{{.Provider}} does not accept the name that this computer gives in EHLO."

// meaningOf finds the meaning of a reply. Exchange has been seen to put the code
// not first, so it counts wherever it stands as a word.
func meaningOf(r upstream.Reply) (meaning, bool) {
	text := strings.ToLower(strings.Join(r.Lines, " "))
	codes := strings.FieldsFunc(text, func(c rune) bool { return c != '.' && (c < '0' || c > '9') })
	for _, code := range codes {
		code = strings.TrimRight(code, ".")
		i := slices.IndexFunc(meanings, func(m meaning) bool { return m.code == code && strings.Contains(text, m.words) })
		if i >= 0 && int(code[0]-'0') == r.Code/100 {
			return meanings[i], true
		}
	}
	return meaning{}, false
}

// lacks reports whether a server's report (RFC 7628 section 3.2.2) names permissions that no sign-in asks
// for. Google's names https://mail.google.com/ where a registration has only gmail.send, which is not
// enough for SMTP.
func (s subject) lacks(report *dial.Report) bool {
	if report == nil || len(s.scopes) == 0 {
		return false
	}
	wanted := strings.Fields(report.Scope)
	return len(wanted) > 0 && !slices.ContainsFunc(s.scopes, func(have string) bool {
		return slices.ContainsFunc(wanted, func(want string) bool {
			return strings.EqualFold(strings.TrimSuffix(have, "/"), strings.TrimSuffix(want, "/"))
		})
	})
}

// explainRefusal explains why a provider refused a login.
func explainRefusal(s subject, e *upstream.AuthError) *api.Problem {
	m, known := meaningOf(e.Reply)
	var p *api.Problem
	switch {
	case known && m.state != "":
		p = s.passing(m.state, "4.7.0", m.what, m.cure)
		p.Lasting = m.state.Severity() == api.NeedsSomebody
	case e.Reply.Code/100 == 4:
		p = s.passing(api.ProviderBusy, "4.7.0", "{{.Provider}} does not let {{.Account}} in for now.", "Try again in a few minutes.")
	case known:
		p = s.lasting(api.TokenRefused, "5.7.8", m.what, m.cure)
	case s.lacks(e.Report):
		p = s.lasting(api.TokenRefused, "5.7.8", "{{.Provider}}’s mail server wants a sign-in with the permission {{.Scope}}, which Waxseal does not ask for.",
			"Set it in the provider’s scopes in the configuration, and sign in again.", "Scope", e.Report.Scope)
	default:
		p = s.lasting(api.TokenRefused, "5.7.8", "{{.Provider}} refuses the access token of {{.Account}}.", "Sign in again and allow sending mail.")
	}
	if p.Lasting {
		p.Code = "5.7.8"
		if ec, ok := e.Reply.Enhanced(); ok && ec[0] == 5 {
			p.Code = fmt.Sprintf("%d.%d.%d", ec[0], ec[1], ec[2])
		}
	}
	if p.Lasting && s.signedIn != "" && config.Fold(s.signedIn) != config.Fold(s.login) {
		p.Cure = s.say("The provider knows the user who signed in as {{.SignedIn}}. Sign in again with that name as the account’s login.", "SignedIn", s.signedIn)
	}
	if e.Reply.Code == 334 { // the server hung up after its report
		p.Said = e.Report.Status
	} else {
		p.Said = e.Reply.String()
	}
	return p
}

// KnownReply explains a reply of the provider's that is known to mean more than it
// says; nil for all others.
func KnownReply(box *Mailbox, r upstream.Reply) *api.Problem {
	if _, known := meaningOf(r); !known {
		return nil
	}
	p := ExplainReply(box, r)
	p.Said = "" // whoever keeps this keeps the reply too, without other people's addresses
	return p
}

// ExplainReply explains the provider's answer to a message or a recipient that it
// did not take.
func ExplainReply(box *Mailbox, r upstream.Reply) *api.Problem {
	s := subjectOf(box, api.SMTP)
	p := &api.Problem{Account: s.account, Lasting: r.Code/100 == 5, Said: r.String(), What: s.say("{{.Provider}} did not accept the message.")}
	if m, known := meaningOf(r); known {
		p.What, p.Cure = s.say(m.what), s.say(m.cure)
		return p
	}
	p.Cure = api.Say("The provider decides this; its words say why.")
	if !p.Lasting {
		p.Cure = api.Say("This passes. Try again in a few minutes.")
	}
	return p
}
