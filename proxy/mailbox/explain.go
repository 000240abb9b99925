package mailbox

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/machine"
	"github.com/waxseal/waxseal/proxy/pace"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// Failure is an error explained, with the SMTP reply code where the protocol wants
// another than 451 or 550.
type Failure struct {
	*api.Problem
	Reply int
}

// subject is whom a failure is about, in people's words.
type subject struct {
	account, provider, host string
	protocol                api.Protocol // of the mail server

	login        string // the name that the account logs in with at the mail server
	adminConsent string // a page on which an administrator can agree, if there is one

	signedIn string // the name by which the provider knows who signed in, where it told

	scopes []string // what is asked for at a sign-in
}

func subjectOf(box *Mailbox, p api.Protocol) subject {
	if box == nil {
		return subject{account: "this account", provider: "The provider", protocol: api.SMTP}
	}
	host, _, _ := net.SplitHostPort(box.Addr(p))
	s := subject{protocol: p, account: box.Address, provider: box.ProviderName(), host: host, login: box.Account.Login, scopes: box.Provider.ScopesFor(box.Account.Does()), adminConsent: box.Provider.AdminConsent()}
	if s.login == "" {
		s.login = box.Address
	}
	if box.Grant != nil {
		s.signedIn = box.Grant.Status().SignedIn
	}
	return s
}

// say makes a Text that may name the account, the provider and its mail server.
func (s subject) say(key string, pairs ...string) api.Text {
	var used []string
	for _, place := range []struct{ name, value string }{{"Account", s.account}, {"Provider", s.provider}, {"Host", s.host}, {"Key", string(s.protocol)}, {"Protocol", s.protocol.Label().String()}} {
		if strings.Contains(key, "{{."+place.name+"}}") {
			used = append(used, place.name, place.value)
		}
	}
	return api.Say(key, append(used, pairs...)...)
}

// passing is trouble that may be over the next time.
func (s subject) passing(state api.State, code, what, cure string, pairs ...string) *api.Problem {
	return &api.Problem{State: state, Account: s.account, Code: code, What: s.say(what, pairs...), Cure: s.say(cure), Do: state.Action()}
}

// lasting is trouble that only a person can end.
func (s subject) lasting(state api.State, code, what, cure string, pairs ...string) *api.Problem {
	p := s.passing(state, code, what, cure, pairs...)
	p.Lasting = true
	return p
}

// Explain is the one place where an error gets words: what failed, whether trying
// again can help, and what to do. SMTP replies, the lines of doctor, cards and
// notifications are made of what it gives. No error's own text goes out unless
// it was written for people, or is the other side's and marked as such.
func Explain(box *Mailbox, err error) Failure { return ExplainFor(box, api.SMTP, err) }

// ExplainFor is Explain for an error of the account's server for a protocol.
func ExplainFor(box *Mailbox, p api.Protocol, err error) Failure {
	s := subjectOf(box, p)
	if p := s.explain(err); p != nil {
		return Failure{p, 0}
	}
	return explainMessage(s, err)
}

// ExplainAlone is what is known of an error that belongs to no account; nil where only its own
// text tells.
func ExplainAlone(err error) *api.Problem { return subjectOf(nil, api.SMTP).explain(err) }

func (s subject) explain(err error) *api.Problem {
	if p, ok := errors.AsType[*api.Problem](err); ok {
		return p
	}
	for _, try := range []func(subject, error) *api.Problem{explainSignIn, explainScope, explainToken, explainKeystore, explainLogin, explainReading, explainConnection} {
		if p := try(s, err); p != nil {
			return p
		}
	}
	return nil
}

// offline is the failure of a machine that has no network.
func (s subject) offline() *api.Problem {
	return s.passing(api.Offline, "4.4.1", "This computer has no network connection.", "Waxseal goes on by itself once it is back.")
}

// offline reports whether an error comes of having no network: the system says so,
// or a name cannot be looked up and no interface is up.
func offline(err error) bool {
	if errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.ENETDOWN) {
		return true
	}
	lookup, ok := errors.AsType[*net.DNSError](err)
	return ok && !lookup.IsNotFound && !machine.Online()
}

// ErrCutOff is a message that the mail program did not bring to its end.
var ErrCutOff = errors.New("the client's message was cut off")

// explainMessage explains what went wrong with a message.
func explainMessage(s subject, err error) Failure {
	lost, _ := errors.AsType[*upstream.ConnError](err)
	if limit, ok := errors.AsType[*pace.Error](err); ok {
		return s.explainLimit(limit)
	}
	switch {
	case errors.Is(err, upstream.ErrNotASCII): // RFC 6531 section 3.5
		return Failure{s.lasting("", "5.6.7", "The address is not ASCII, and the mail program did not ask for SMTPUTF8.", ""), 553}
	case errors.Is(err, upstream.ErrEnvelope):
		return Failure{s.lasting("", "5.1.3", "The command was not passed on: {{.Why}}.", "", "Why", innermost(err, upstream.ErrEnvelope).Error()), 553}
	case errors.Is(err, upstream.ErrUTF8):
		return Failure{s.lasting("", "5.6.7", "{{.Provider}} does not accept addresses or header lines with characters beyond ASCII (SMTPUTF8).", ""), 550}
	case errors.Is(err, upstream.ErrBareLineEnd):
		return Failure{s.lasting("", "5.6.0", "The message was not sent: it has a line with only a dot next to a bare CR or LF, and servers disagree about where such a message ends.", ""), 554}
	case errors.Is(err, ErrCutOff):
		return Failure{s.passing("", "4.4.2", "The message was cut off; nothing was sent.", ""), 451}
	case lost != nil && lost.Unknown:
		return Failure{s.passing("", "4.4.2", "The connection to {{.Provider}} broke after the whole message was sent and before the answer came: it may have been delivered.", ""), 451}
	case lost != nil:
		return Failure{s.passing("", "4.4.2", "The connection to {{.Provider}} broke while the message was being sent. It was not delivered.", ""), 451}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Failure{s.passing("", "4.7.0", "Waxseal gave up waiting.", "Try again."), 0}
	}
	return Failure{s.passing("", "4.7.0", "Something went wrong inside Waxseal; its log has the details.", "Try again."), 0}
}

// innermost is the error deepest in err's chain that still is target: the one
// whose text was written for people, without what callers put before it.
func innermost(err, target error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil || !errors.Is(next, target) || next == target {
			return err
		}
		err = next
	}
}

// sentence makes a phrase a sentence.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if strings.HasSuffix(s, ".") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

// UnknownAccount is the answer where an address belongs to no account.
func UnknownAccount(address string) error {
	return &api.Problem{Account: address, Lasting: true, What: api.Say("There is no account {{.Account}}.", "Account", address), Do: api.ListAccount}
}

// NotRegistered is the problem of an account whose provider does not know Waxseal yet.
func NotRegistered(b *Mailbox) *api.Problem { return subjectOf(b, api.SMTP).notRegistered() }

// Offline is the problem of a machine without a network, if that is what err comes of; else nil.
func Offline(err error) *api.Problem {
	if !offline(err) {
		return nil
	}
	return subject{}.offline()
}

// notRegistered is the problem of an account whose provider does not know Waxseal yet.
func (s subject) notRegistered() *api.Problem {
	return s.lasting(api.NotRegistered, "5.7.8", "Waxseal isn’t registered with {{.Provider}}: there is no client ID.", "Register it, and enter the client ID.")
}

// NoPassword is the problem of an account without a local password, to which no mail
// program can log in.
func NoPassword(address string) *api.Problem {
	return &api.Problem{State: api.NoPassword, Account: address, Lasting: true, Code: "5.7.8",
		What: api.Say("{{.Account}} has no local password.", "Account", address), Cure: api.Say("Create a new one."), Do: api.NewPassword}
}

// unsent is the problem of an account whose last message was not sent. If Waxseal knows why, it
// says that.
func (s subject) unsent(last *api.Activity) *api.Problem {
	p := s.passing(api.LastUnsent, "", "The last message from {{.Account}} was not sent.", "The activity has the details.")
	if last.Problem != nil {
		p.What, p.Cure, p.Said = last.Problem.What, last.Problem.Cure, last.Problem.Said
	}
	if !last.Own {
		p.Said = last.Reply
	}
	return p
}

// wrongLocalPassword is the problem of a mail program that gave another password.
func wrongLocalPassword(address string) *api.Problem {
	return &api.Problem{Account: address, Lasting: true, Code: "5.7.8", What: api.Say("Wrong local password."),
		Cure: api.Say("Copy the password from Waxseal into the mail program."), Do: api.ShowSetup}
}

// unknownUser is the problem of a mail program that gave a user name which is not an account. The
// name is "" if it is not an address: it may be a password in the wrong field.
func unknownUser(name string) *api.Problem {
	what := api.Say("Unknown user name.")
	if name == "" {
		what = api.Say("The user name is not an address.")
	}
	return &api.Problem{Account: name, Lasting: true, Code: "5.7.8", What: what,
		Cure: api.Say("In the mail program, enter the address of one of Waxseal’s accounts as the user name, and its local password."), Do: api.ListAccount}
}

// otherUser is the problem of a mail program that asked to act as another user than the one whose
// name it gave (RFC 4616 section 2).
func otherUser(name string) *api.Problem {
	return &api.Problem{Account: name, Lasting: true, Code: "5.7.8", What: api.Say("Asked to act as another user."),
		Cure: api.Say("In the mail program, give only the user name, and leave the setting for another identity empty."), Do: api.ShowSetup}
}

// lockedOut is the problem of a host that gave too many wrong passwords for an account.
func lockedOut(name string) *api.Problem {
	return &api.Problem{Account: name, Code: "4.7.0", What: api.Say("Too many wrong passwords."),
		Cure: api.Say("Correct the password in the mail program. A host on the network then has to wait ten minutes."), Do: api.ShowSetup}
}
