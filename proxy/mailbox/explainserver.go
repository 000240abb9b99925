package mailbox

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/upstream"
)

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
