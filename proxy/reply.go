package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// errCutOff is a body that the client did not bring to its end.
var errCutOff = errors.New("the client's message was cut off")

// errSyntax answers an AUTH exchange that is not one.
var errSyntax = &smtp.SMTPError{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 5, 2}, Message: "That is not a user name"}

// verbatim stands before each line that is the provider's own, on its way through
// go-smtp: conn puts go-smtp's words right, and those could be the provider's
// too. No reply holds it, since upstream takes control characters out.
const verbatim = "\x00"

// passThrough is the provider's reply as go-smtp must be given it: code and
// every line as they came, the enhanced code being part of the text. It is an
// error to go-smtp even when it is a success, since that is the only way to
// give it words (a nil means "OK: queued", whatever the provider said). Its lines
// are marked verbatim.
func passThrough(r upstream.Reply) *smtp.SMTPError {
	if r.Code < 200 || r.Code > 599 || r.Code/100 == 3 {
		return temporary("4.5.0", fmt.Sprintf("The provider answered out of turn (%d)", r.Code))
	}
	return &smtp.SMTPError{Code: r.Code, EnhancedCode: smtp.NoEnhancedCode, Message: verbatim + strings.Join(r.Lines, "\n"+verbatim)}
}

// replyLines are a reply's lines as they go down the wire, without line ends.
func replyLines(r upstream.Reply) []string {
	lines := make([]string, max(len(r.Lines), 1))
	for i := range lines {
		sep, text := "-", ""
		if i == len(lines)-1 {
			sep = " "
		}
		if i < len(r.Lines) {
			text = r.Lines[i]
		}
		lines[i] = fmt.Sprintf("%d%s%s", r.Code, sep, text)
	}
	return lines
}

func temporary(enhanced, text string) *smtp.SMTPError { return answer(451, enhanced, text) }

func answer(code int, enhanced, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: enhanced + " " + text}
}

// replyTo is the one place where an error becomes what a mail program is told:
// what failed and what to do, 4xx where trying again can help and 5xx where only
// a person can. at is the command: "AUTH", "MAIL", "RCPT" or "DATA". No error's
// own text goes out unless it was written for people.
func replyTo(at string, box *mailbox, err error) *smtp.SMTPError {
	var (
		open    *breaker.OpenError
		refusal *upstream.AuthError
		lost    *upstream.ConnError
		token   *oauth.EndpointError
		wrong   *oauth.RefusedError
		already *smtp.SMTPError
		via     *upstream.ProxyError
	)
	address, provider := "this account", "the provider"
	if box != nil {
		address, provider = box.address, box.providerName()
	}
	switch {
	case errors.As(err, &already):
		return already
	case errors.Is(err, oauth.ErrConsent):
		return lasting(at, "5.7.8", innermost(err, oauth.ErrConsent).Error())
	case errors.Is(err, oauth.ErrAdmin):
		return lasting(at, "5.7.8", innermost(err, oauth.ErrAdmin).Error())
	case errors.As(err, &wrong):
		return lasting(at, "5.7.8", wrong.Error())
	case errors.As(err, &open):
		what := provider + "'s sign-in server"
		if strings.HasPrefix(open.Name, "smtp") {
			what = provider + "'s mail server"
		}
		return passing(at, fmt.Sprintf("%s is not answering; Waxseal tries again in %d seconds", what, open.Seconds()))
	case errors.Is(err, keystore.ErrUnavailable):
		return passing(at, "The keystore cannot be read: "+keystore.Cure(err))
	case errors.As(err, &refusal):
		return refusedLogin(at, address, refusal)
	case errors.As(err, &token) && errors.As(err, &via):
		return passing(at, provider+"'s sign-in server cannot be reached through the proxy "+via.Proxy+"; "+proxyCure)
	case errors.As(err, &token):
		return passing(at, provider+"'s sign-in server failed; nothing is wrong with your password, try again in a minute")
	case errors.Is(err, upstream.ErrBusy):
		return temporary("4.3.2", fmt.Sprintf("All connections %s allows %s are busy; try again in a minute", provider, address))
	case errors.Is(err, upstream.ErrNoTLS):
		return lasting(at, "5.7.10", provider+" offers no TLS; Waxseal does not send your token in clear text")
	case errors.Is(err, upstream.ErrNoOAuth), errors.Is(err, upstream.ErrNotLoopback):
		return lasting(at, "5.7.4", fmt.Sprintf("%s cannot be used as it is configured: %v", provider, err))
	case errors.Is(err, upstream.ErrNotASCII): // RFC 6531 section 3.5
		return answer(553, "5.6.7", "The address is not ASCII, and the mail program did not ask for SMTPUTF8")
	case errors.Is(err, upstream.ErrEnvelope):
		enhanced := "5.1.3"
		if at == "MAIL" {
			enhanced = "5.1.7"
		}
		return answer(553, enhanced, "Not passed on: "+innermost(err, upstream.ErrEnvelope).Error())
	case errors.Is(err, upstream.ErrClosed), errors.Is(err, oauth.ErrClosed):
		return passing(at, address+" is being changed in Waxseal; try again")
	case errors.Is(err, upstream.ErrUTF8):
		return answer(550, "5.6.7", provider+" does not take non-ASCII addresses (SMTPUTF8)")
	case errors.Is(err, upstream.ErrBareLineEnd), errors.Is(err, errLoneDot):
		return answer(554, "5.6.0", "The message has a line with a dot alone and a bare CR or LF; servers disagree where it ends, so it was not sent")
	case errors.Is(err, errCutOff):
		return temporary("4.4.2", "The message was cut off; nothing was sent")
	case errors.As(err, &lost):
		return lostConnection(at, provider, lost)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return passing(at, "Waxseal gave up waiting; try again")
	}
	return passing(at, "Waxseal met an error of its own; its log has it, try again")
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

// proxyCure is what to do where an HTTP proxy does not lead to a provider.
const proxyCure = "check http_proxy in Waxseal's settings, or HTTPS_PROXY and NO_PROXY, and that the proxy lets mail through"

func lostConnection(at, provider string, lost *upstream.ConnError) *smtp.SMTPError {
	var said *upstream.ReplyError
	var untrusted *tls.CertificateVerificationError
	var via *upstream.ProxyError
	switch {
	case errors.As(lost, &via):
		return passing(at, provider+"'s mail server cannot be reached through the proxy "+via.Proxy+"; "+proxyCure)
	case errors.As(lost, &untrusted):
		// Passing: a hotel's login page ends, and an expired certificate is renewed.
		return passing(at, provider+"'s mail server shows a certificate that is not trusted ("+untrusted.Err.Error()+"); check the network, or the provider's ca_file")
	case lost.Unknown:
		return answer(451, "4.4.2", "The connection to "+provider+" broke after the whole message was sent, before its answer: it may have been delivered")
	case lost.Started:
		return answer(451, "4.4.2", "The connection to "+provider+" broke while the message was being sent; it was not delivered")
	case errors.As(lost, &said) && said.Reply.Code/100 == 5:
		return lasting(at, "5.7.0", provider+" turns this connection away: "+said.Reply.String())
	case errors.As(lost, &said):
		return passing(at, provider+" turns this connection away for the moment: "+said.Reply.String())
	case at == "AUTH":
		return passing(at, provider+"'s mail server cannot be reached; check the network, or try again in a minute")
	}
	return answer(451, "4.4.1", provider+"'s mail server cannot be reached; check the network, or try again in a minute")
}

// refusedLogin explains the provider's answer to our own login. Its code and
// words come first; a line of what to do follows.
func refusedLogin(at, address string, e *upstream.AuthError) *smtp.SMTPError {
	said := strings.Join(e.Reply.Lines, " ")
	if e.Reply.Code/100 == 4 {
		return passing(at, "The provider does not let "+address+" in for the moment: "+said)
	}
	_, cure := explainRefusal(e)
	enhanced := "5.7.8"
	if ec, ok := e.Reply.Enhanced(); ok && ec[0] == 5 {
		enhanced = fmt.Sprintf("%d.%d.%d", ec[0], ec[1], ec[2])
	}
	return lasting(at, enhanced, cure+" (the provider said: "+said+")")
}

// paused is the answer to whatever would send while the server is paused.
func paused(code int) *smtp.SMTPError {
	return answer(code, "4.3.2", "Waxseal is paused: resume it from its icon")
}

// passing is a fault that may be gone the next time.
func passing(at, text string) *smtp.SMTPError {
	if at == "AUTH" {
		return answer(454, "4.7.0", text)
	}
	return answer(451, "4.7.0", text)
}

// lasting is a fault that only a person can end. AUTH says 535, since mail
// programs show its text; later commands say 550. Many of them put "login failed"
// or "invalid login" before it, so it begins with what is not at fault.
func lasting(at, enhanced, text string) *smtp.SMTPError {
	if at == "AUTH" {
		return answer(535, enhanced, "The password is right; "+text)
	}
	return answer(550, enhanced, text)
}
