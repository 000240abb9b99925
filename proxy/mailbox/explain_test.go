package mailbox

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// Of a server that spoke another protocol people heard that it cannot be reached, and were sent to check
// the network.
func TestServersOfOtherProtocols(t *testing.T) {
	if p := Explain(nil, &upstream.ConnError{Op: "RCPT", Err: upstream.ErrOutOfTurn}); !strings.Contains(p.Error(), "as a mail server should") {
		t.Errorf("out of turn: %s", p)
	}
	for _, line := range []string{"* OK IMAP4rev1", "+OK POP3 ready", "HTTP/1.1 400 Bad Request", "SSH-2.0-OpenSSH_9"} {
		p := Explain(nil, &upstream.ConnError{Op: "greeting", Err: &upstream.NotSMTPError{Line: line}})
		if p.State != api.MailServerDown || p.Said != line || !strings.Contains(p.Error(), "as a mail server should") || p.Lasting {
			t.Errorf("%s: %+v", line, p.Problem)
		}
	}
}

// TestProvidersAnswers has real answers of providers, and what a person is told to do.
func TestProvidersAnswers(t *testing.T) {
	for _, c := range []struct {
		code           int
		text           string
		state          api.State // of the account, after a login
		cure           string    // of a login
		message        string    // the cure when a message is answered so
		enhanced, word string    // of the reply to the mail program's AUTH
	}{
		{535, "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled [AM0PR02.example 5.7.3]",
			"smtp_disabled", "ask an administrator to switch on SMTP AUTH", "administrator", "5.7.139", "Sending by SMTP is switched off"},
		{535, "Authentication unsuccessful (5.7.139), user is locked by policy", "smtp_disabled", "switch on", "switch on", "5.7.8", "policy"},
		{535, "5.7.3 Authentication unsuccessful [AM0PR02CA0101.example]", "wrong_identity", "set that user as login", "shared mailbox", "5.7.3", "shared mailbox"},
		{550, "5.7.30 Basic authentication is not supported for Client Submission.", "basic_retired", "account’s provider", "no longer accepts passwords", "5.7.30", "no longer accepts passwords"},
		{530, "5.7.57 Client not authenticated to send mail.", "not_authenticated", "sign in again", "ign in again", "5.7.57", "ign in again"},
		{554, "5.2.252 SendAsDenied", "token_refused", "Send As", "Send As", "5.2.252", "Send As"},
		{550, "5.1.1 The email account that you tried to reach does not exist.", "token_refused", "check the address", "heck the address", "5.1.1", "recipient"},
		{550, "5.7.60 SMTP; Client does not have permissions to send as this sender", "token_refused", "Send As", "Send As", "5.7.60", "Send As"},
		{535, "5.7.8 Username and Password not accepted. For more information, go to https://support.google.com/mail/?p=BadCredentials", "token_refused", "sign in again", "its words", "5.7.8", "Sign in again"},
		{554, "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", "token_refused", "tomorrow", "max_recipients_per_day", "5.2.0", "tomorrow"},
		{554, "5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException", "token_refused", "tomorrow", "administrator", "5.2.0", "tomorrow"},
		{421, "4.4.2 Message submission rate for this client has exceeded the configured limit", "provider_busy", "a few minutes", "max_per_minute", "4.7.0", "more messages per minute"},
		{421, "4.4.2 Connection dropped due to timeout", "provider_busy", "a few minutes", "his passes", "4.7.0", "other side said"},
		{421, "4.7.28 Our system has detected an unusual rate of unsolicited mail", "provider_busy", "a few minutes", "max_per_minute", "4.7.0", "unwanted"},
		{421, "4.4.5 Server busy, try again later.", "provider_busy", "a few minutes", "a few minutes", "4.7.0", "too busy"},
		{550, "5.4.5 Daily user sending limit exceeded.", "token_refused", "tomorrow", "tomorrow", "5.4.5", "tomorrow"},
		{554, "5.2.2 mailbox full", "token_refused", "ailbox is full", "ailbox is full", "5.2.2", "full"},
		{432, "4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending", "provider_busy", "at once", "at once", "4.7.0", "4.3.2 Concurrent"},
		{421, "4.3.2 Service not available", "provider_busy", "at once", "at once", "4.7.0", "other side said"},
		{454, "4.7.0 Temporary authentication failure.", "provider_busy", "a few minutes", "a few minutes", "4.7.0", "other side said"},
		{421, "4.7.0 Try again later, closing connection.", "provider_busy", "slow down", "slow down", "4.7.0", "other side said"},
		{430, "4.2.0 STOREDRV; mailbox logon failure", "provider_busy", "a few minutes", "a few minutes", "4.7.0", "other side said"},
		{451, "4.4.0 whatever", "provider_busy", "a few minutes", "his passes", "4.7.0", "other side said"},
		{535, "5.7.3999 nobody's", "token_refused", "sign in again", "its words", "5.7.8", "Sign in again"},
		{454, "4.7.0 see 5.7.139", "provider_busy", "a few minutes", "a few minutes", "4.7.0", "other side said"},
		{451, "see 5.7.139", "provider_busy", "a few minutes", "his passes", "4.7.0", "other side said"},
		{504, "5.5.2 <pc7>: Helo command rejected: need fully-qualified hostname", "token_refused", "set hello of the provider", "set hello of the provider", "5.5.2", "name that this computer gives"},
		{450, "4.7.1 <[192.0.2.7]>: Helo command rejected: Host not found", "provider_busy", "few minutes", "set hello of the provider", "4.7.0", "Helo command"},
		{550, "5.7.1 blocked", "token_refused", "sign in again", "its words", "5.7.1", "blocked"},
		{535, "", "token_refused", "sign in again", "its words", "5.7.8", "Sign in again"},
	} {
		r := upstream.Reply{Code: c.code, Lines: []string{c.text}}
		refused := &upstream.AuthError{Reply: r}
		p := explainRefusal(subjectOf(nil, api.SMTP), refused)
		if p.State != c.state || !strings.Contains(p.Error(), c.cure) || p.Lasting != (c.state.Severity() == api.NeedsSomebody) {
			t.Errorf("%d %s: %s, lasting %t, %q; want %s, %q", c.code, c.text, p.State, p.Lasting, p, c.state, c.cure)
		}
		if got := ExplainReply(nil, r).Error(); !strings.Contains(got, c.message) {
			t.Errorf("%d %s, to a message: %q; want %q", c.code, c.text, got, c.message)
		}
		if said := p.Sentences(); p.Code != c.enhanced || !strings.Contains(said, c.word) || !strings.Contains(said, c.text) {
			t.Errorf("%d %s: the mail program is told %s %s", c.code, c.text, p.Code, said)
		}
	}
}

// TestUntrustedCertificates: a certificate that has expired or is of another host was said to be of
// whoever inspects TLS.
func TestUntrustedCertificates(t *testing.T) {
	leaf := &x509.Certificate{Subject: pkix.Name{CommonName: "login.hotel.example"}, Issuer: pkix.Name{Organization: []string{"Hotel"}}}
	for want, reason := range map[string]error{
		"Check this computer’s clock.":             x509.CertificateInvalidError{Cert: leaf, Reason: x509.Expired},
		"asks you to sign in, do so in a browser.": x509.HostnameError{Certificate: leaf, Host: "login.example"},
		"name its certificate as ca_file":          x509.UnknownAuthorityError{Cert: leaf},
	} {
		failed := &tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{leaf}, Err: reason}
		p := ExplainAlone(&oauth.EndpointError{URL: "login.example", Reason: oauth.Unreachable, Err: failed})
		if p.State != api.Untrusted || !strings.Contains(p.Cure.String(), want) || !strings.Contains(p.What.String(), "for login.example, issued to login.hotel.example by Hotel") {
			t.Errorf("%v: %s %s; want %q", reason, p.What, p.Cure, want)
		}
	}
}

// TestPermissionThatTheMailServerWants: the report of a refused token names the permission, but nobody
// was told. One that is asked for may have been left out by the user.
func TestPermissionThatTheMailServerWants(t *testing.T) {
	const mail, send = "https://mail.google.com/", "https://www.googleapis.com/auth/gmail.send"
	for _, tt := range []struct {
		asked []string
		wants string
		told  bool
	}{
		{[]string{send, "email"}, mail, true},
		{[]string{"https://mail.google.com"}, mail, false},
		{[]string{send}, "", false},
		{nil, mail, false},
		{[]string{"a", "b"}, "c B", false},
	} {
		s := subject{account: "me@gmail.com", provider: "Google", scopes: tt.asked}
		p := explainRefusal(s, &upstream.AuthError{Reply: upstream.Reply{Code: 535, Lines: []string{"5.7.8 Username and Password not accepted."}}, Report: &dial.Report{Status: "400", Scope: tt.wants}})
		if strings.Contains(p.What.String(), "with the permission "+mail) != tt.told || p.State != api.TokenRefused || !p.Lasting {
			t.Errorf("%q, %q: %s", tt.asked, tt.wants, p)
		}
	}
}

// Where an administrator has to agree first, the link for them is at hand.
func TestAdministratorsLink(t *testing.T) {
	s := subject{account: me, provider: "Microsoft 365", adminConsent: "https://login.example/organizations/adminconsent?client_id=x"}
	p := explainToken(s, &oauth.AdminError{Account: me, Reason: oauth.AdminConsent, Code: "access_denied", Description: "AADSTS90094"})
	if p.State != api.NeedsAdmin || p.Copy != s.adminConsent || !strings.Contains(p.Remedy(), s.adminConsent) {
		t.Errorf("%+v", p)
	}
	if p := explainToken(s, &oauth.AdminError{Account: me, Reason: oauth.PolicyBlocks}); p.Copy != "" {
		t.Errorf("a policy: %+v", p)
	}
}
