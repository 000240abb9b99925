package mailbox

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/machine"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/pace"
	"github.com/waxseal/waxseal/proxy/signin"
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

// explainScope explains that a part of what the account does was not granted, while the rest was.
func explainScope(s subject, err error) *api.Problem {
	e, ok := errors.AsType[*oauth.ScopeError](err)
	if !ok {
		return nil
	}
	p := s.lasting(api.ReadingNotGranted, "5.7.8", "Permission to read mail with {{.Protocols}} was not granted (missing: {{.Scopes}}).",
		"Sign in again and allow reading mail.", "Protocols", e.Protocols(), "Scopes", strings.Join(e.Missing, " "))
	if slices.Contains(e.Uses, string(api.SMTP)) {
		p.What = s.say("Permission to send mail was not granted (missing: {{.Scopes}}).", "Scopes", strings.Join(e.Missing, " "))
		p.State, p.Cure = api.NeedsConsent, s.say("Sign in again and allow sending mail.")
	}
	p.Said = e.Description
	switch e.Reason.Class() {
	case oauth.ByAdmin:
		p.State, p.Cure = api.NeedsAdmin, api.Say(sentence(e.Reason.Cure()))
		if s.adminConsent != "" && e.Reason == oauth.AdminConsent {
			p.Cure, p.Copy = api.Say("Send an administrator this link, and sign in again once they have agreed."), s.adminConsent
		}
	case oauth.ByRegistration:
		p.State, p.Cure = api.RegistrationRefused, api.Say(sentence(e.Reason.Cure()))
	}
	p.Do = p.State.Action()
	return p
}

// explainToken explains why there is no access token.
func explainToken(s subject, err error) *api.Problem {
	if open, ok := errors.AsType[*breaker.OpenError](err); ok {
		return explainBreaker(s, open)
	}
	if errors.Is(err, oauth.ErrClosed) || errors.Is(err, upstream.ErrClosed) {
		return s.passing("", "4.7.0", "{{.Account}} is being changed in Waxseal.", "Try again.")
	}
	reason := oauth.ReasonOf(err)
	if reason == "" {
		return nil
	}
	p := &api.Problem{Account: s.account, Lasting: true, Code: "5.7.8", What: api.Say(sentence(reason.What())), Cure: api.Say(sentence(reason.Cure())), Said: oauth.SaidIn(err)}
	switch reason.Class() {
	case oauth.ByUser:
		p.State = api.NeedsConsent
	case oauth.ByAdmin:
		p.State = api.NeedsAdmin
		if reason == oauth.AdminConsent && s.adminConsent != "" {
			p.Cure, p.Copy = api.Say("Send an administrator this link, and sign in again once they have agreed."), s.adminConsent
		}
	case oauth.ByRegistration:
		p.State = api.RegistrationRefused
	default:
		p.State, p.Lasting, p.Code = api.SignInDown, false, "4.7.0"
		via, proxied := dial.ProxyOf(err)
		switch {
		case proxied:
			p.What, p.Cure = s.say("{{.Provider}}’s sign-in server can’t be reached through the proxy {{.Proxy}}.", "Proxy", via), api.Say(ProxyCure)
		case offline(err):
			return s.offline()
		case s.untrusted(err) != nil:
			return s.untrusted(err)
		case reason == oauth.WebPage:
			p.What = s.say("A web page or a redirect came instead of an answer from {{.Provider}}’s sign-in server.")
			p.Cure = api.Say("If this network asks you to sign in, do so in a browser. Otherwise check the address of the provider’s sign-in server in the configuration.")
		default:
			p.What, p.Cure = s.say("{{.Provider}}’s sign-in server isn’t responding as it should."), api.Say("Nothing is wrong with your password. Try again in a minute.")
		}
	}
	p.Do = p.State.Action()
	return p
}

// explainSignIn explains why a sign-in has ended that the provider did not refuse.
func explainSignIn(s subject, err error) *api.Problem {
	switch {
	case errors.Is(err, signin.ErrCancelled):
		return s.passing("", "", "The sign-in was cancelled.", "")
	case errors.Is(err, signin.ErrStopping):
		return s.passing("", "", "Waxseal is stopping.", "")
	case errors.Is(err, oauth.ErrNoApproval):
		return s.passing("", "", "Nobody approved the sign-in within 10 minutes.", "Sign in again.")
	}
	return nil
}

// ProxyCure is what to do where an HTTP proxy does not lead to a provider.
const ProxyCure = "Check the proxy in Waxseal’s settings, or HTTPS_PROXY and NO_PROXY, and that the proxy lets mail through."

// explainBreaker explains an answer that an open breaker gave. What opened it says
// more than that it is open.
func explainBreaker(s subject, open *breaker.OpenError) *api.Problem {
	state, what := api.SignInDown, "{{.Provider}}’s sign-in server isn’t responding."
	if IsMailBreaker(open.Name) {
		state, what = api.MailServerDown, "{{.Provider}}’s mail server isn’t responding."
	}
	p := s.passing(state, "4.7.0", what, "")
	p.Cure = api.Say("Waxseal tries again in {{.Seconds}} seconds.", "Seconds", strconv.Itoa(open.Seconds()))
	p.Said = open.Cause
	return p
}

// explainKeystore explains why a secret cannot be read or stored.
func explainKeystore(_ subject, err error) *api.Problem {
	if !errors.Is(err, keystore.ErrUnavailable) {
		return nil
	}
	reason := keystore.ReasonOf(err)
	p := &api.Problem{State: api.KeystoreFailed, Code: "4.7.0", What: api.Say(keystoreWords[reason]), Cure: api.Say(keystore.Cure(err))}
	if p.What.IsZero() {
		p.What = api.Say("The keystore can’t be read.")
	}
	if reason == keystore.ReasonLocked {
		p.State = api.KeystoreLocked
	}
	p.Do = p.State.Action()
	if reason == keystore.ReasonNoKeyring {
		p.Do = api.MakeKeyring
	}
	return p
}

var keystoreWords = map[keystore.Reason]string{
	keystore.ReasonLocked:       "The keychain is locked.",
	keystore.ReasonNoKeyring:    "The keychain has no default keyring yet.",
	keystore.ReasonNoService:    "No keychain service is running.",
	keystore.ReasonDenied:       "Access to the keystore was denied.",
	keystore.ReasonTimeout:      "The keystore did not answer in time.",
	keystore.ReasonDamaged:      "A secret in the keystore is damaged.",
	keystore.ReasonNoPassphrase: "The passphrase of the keystore is missing.",
	keystore.ReasonFull:         "etcd has no space left.",
	keystore.ReasonNoEtcd:       "This program was built without etcd.",
	keystore.ReasonBusy:         "Secrets are being moved to another keystore.",
}

// explainLogin explains why the mail server did not let the account in.
func explainLogin(s subject, err error) *api.Problem {
	refusal, ok := errors.AsType[*upstream.AuthError](err)
	switch {
	case ok:
		return explainRefusal(s, refusal)
	case errors.Is(err, upstream.ErrBusy):
		p := s.passing("", "4.3.2", "All connections that {{.Provider}} allows {{.Account}} are in use.", "Try again in a minute.")
		return p
	case errors.Is(err, dial.ErrNoTLS):
		return s.lasting(api.Unusable, "5.7.10", "{{.Provider}} offers no TLS, and Waxseal does not send your access token in clear text.", "Check the provider’s {{.Key}} and {{.Key}}_tls in the configuration.")
	case errors.Is(err, dial.ErrNoOAuth):
		return s.lasting(api.Unusable, "5.7.4", "{{.Provider}}’s mail server {{.Host}} offers no sign-in with OAuth.", "Check that {{.Key}} in the configuration is the server for mail programs.")
	case errors.Is(err, dial.ErrNotLoopback):
		return s.lasting(api.Unusable, "5.7.4", "Connecting without TLS, as {{.Key}}_tls says, is for servers on this computer only.", "Use \"starttls\" or \"implicit\" for {{.Provider}}.")
	}
	return nil
}

// explainConnection explains a connection to a mail server that was not made, or broke before a
// message was on its way or a login complete.
func explainConnection(s subject, err error) *api.Problem {
	lost, sending := errors.AsType[*upstream.ConnError](err)
	failed, dialling := errors.AsType[*dial.Error](err)
	switch {
	case sending && (lost.Started || lost.Unknown), !sending && !dialling:
		return nil
	case sending:
		if p := explainGreeting(s, lost); p != nil {
			return p
		}
	default:
		s.host, _, _ = net.SplitHostPort(failed.Addr) // of a server for reading
	}
	via, proxied := errors.AsType[*dial.ProxyError](err)
	switch {
	case proxied:
		p := s.passing(api.MailServerDown, "4.7.0", "{{.Provider}}’s mail server can’t be reached through the proxy {{.Proxy}}.", "", "Proxy", via.Proxy)
		p.Cure = api.Say(ProxyCure)
		return p
	case offline(err):
		return s.offline()
	}
	if p := s.untrusted(err); p != nil {
		return p
	}
	return s.passing(api.MailServerDown, "4.4.1", "{{.Provider}}’s mail server {{.Host}} can’t be reached.", "Check the network, or try again in a minute.")
}

// explainGreeting explains what a mail server for sending said in the place of a welcome; nil if it said
// nothing.
func explainGreeting(s subject, lost *upstream.ConnError) *api.Problem {
	if answer, odd := oddAnswer(lost); odd {
		p := s.passing(api.MailServerDown, "4.7.0", "{{.Provider}}’s mail server {{.Host}} does not answer as a mail server should.",
			"Check that the provider’s smtp in the configuration is right, and that no virus scanner or firewall changes what it says.")
		p.Said = answer
		return p
	}
	said, refused := errors.AsType[*upstream.ReplyError](lost)
	if !refused {
		return nil
	}
	p := s.passing(api.TurnedAway, "4.7.0", "{{.Provider}} refuses the connection for now.", "Try again in a few minutes.")
	if said.Reply.Code/100 == 5 {
		cure := "Its words say why. Check that the provider’s smtp in the configuration is right."
		if lost.Op == "EHLO" {
			cure = helloCure
		}
		p = s.lasting(api.TurnedAway, "5.7.0", "{{.Provider}} refuses connections from this computer.", cure)
	}
	p.Said = said.Reply.String()
	return p
}

// oddAnswer reports whether a server said what is not a reply, or not one to the command, and what that
// was, where it is known.
func oddAnswer(lost *upstream.ConnError) (said string, odd bool) {
	if line, ok := errors.AsType[*upstream.NotSMTPError](lost); ok {
		return line.Line, true
	}
	if reply, ok := errors.AsType[*upstream.ReplyError](lost); ok {
		return reply.Reply.String(), reply.Reply.Code < 400
	}
	return "", errors.Is(lost, upstream.ErrOutOfTurn)
}

// helloCure is what to do where a server does not like the name in EHLO.
const helloCure = "If it wants another name for this computer, set hello of the provider in the configuration to a full host name."

// untrusted explains a certificate that is not trusted, of a mail server or a sign-in
// server; nil for other errors. It passes: a hotel's login page goes away, an expired
// certificate is renewed.
func (s subject) untrusted(err error) *api.Problem {
	failed, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok {
		return nil
	}
	host, subject, issuer := s.host, "", ""
	if named, ok := errors.AsType[*dial.CertificateError](err); ok {
		host, subject, issuer = named.Host, named.Subject, named.Issuer
	} else if len(failed.UnverifiedCertificates) > 0 {
		leaf := failed.UnverifiedCertificates[0]
		subject, issuer = nameOf(leaf.Subject), nameOf(leaf.Issuer)
		if token, ok := errors.AsType[*oauth.EndpointError](err); ok {
			host = token.URL
		}
	}
	s.host = host
	cure := "If your network or virus scanner inspects TLS, name its certificate as ca_file of the provider in the configuration. Otherwise check the network."
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](failed.Err); ok && invalid.Reason == x509.Expired {
		cure = "Check this computer’s clock. If it is right, whoever issued the certificate must renew it."
	} else if _, ok := errors.AsType[x509.HostnameError](failed.Err); ok {
		cure = "If this network asks you to sign in, do so in a browser. Otherwise check the name of the server in the configuration."
	}
	return s.passing(api.Untrusted, "4.7.0", "The certificate for {{.Host}}, issued to {{.Subject}} by {{.Issuer}}, isn’t trusted ({{.Why}}).",
		cure, "Subject", subject, "Issuer", issuer, "Why", failed.Err.Error())
}

// nameOf is what to call the holder of a certificate.
func nameOf(name pkix.Name) string {
	return cmp.Or(name.CommonName, strings.Join(name.Organization, ", "), "an unnamed holder")
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
