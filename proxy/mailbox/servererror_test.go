package mailbox

import (
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
)

// TestReadersAnswers has real answers of providers to a login for reading, from reports of their users: what a person
// is told to do, and whether another token or user name is tried first.
func TestReadersAnswers(t *testing.T) {
	const again, fewer = "try again in a few minutes", "close some"
	for _, c := range []struct {
		said   string
		state  api.State
		cure   string
		logins bool
	}{
		// Gmail
		{"NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", api.ReadingNotGranted, "sign in again and allow reading", true},
		{"NO [ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page and enable your account for IMAP access. (Failure)", api.ReadingDisabled, "switch on IMAP", false},
		{"NO [ALERT] IMAP access is disabled for your domain. Please contact your domain administrator for questions about this feature. (Failure)", api.ReadingDisabled, "ask an administrator", false},
		{"NO [ALERT] Too many simultaneous connections. (Failure)", api.ProviderBusy, fewer, false},
		{"NO [ALERT] Account exceeded command or bandwidth limits. (Failure)", api.ProviderBusy, "tomorrow", false},
		{"NO [ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)", api.NeedsConsent, "web page", false},
		{"NO [WEBALERT] Web login required.", api.NeedsConsent, "web page", false},
		{"NO Lookup failed d9443c01a7336", api.ProviderBusy, again, false},
		{"NO System Error (Failure)", api.ProviderBusy, again, false},
		{"BYE Temporary System Error", api.ProviderBusy, again, false},
		{"-ERR [AUTH] Username and password not accepted.", api.ReadingNotGranted, "sign in again and allow reading", true},
		{"-ERR [AUTH] Web login required: https://support.google.com/mail/answer/78754", api.NeedsConsent, "web page", true},
		{"-ERR [SYS/PERM] Your account is not enabled for POP access. Please visit your Gmail settings page and enable your account for POP access.", api.ReadingDisabled, "switch on POP", false},
		{"-ERR [IN-USE] Unable to lock maildrop: Mailbox is locked by POP server", api.ProviderBusy, "when it has finished", false},
		{"-ERR [SYS/TEMP] Temporary system problem. Please try again later.", api.ProviderBusy, again, false},

		// Exchange Online and Outlook.com
		{"NO AUTHENTICATE failed.", api.ReadingNotGranted, "sign in again and allow reading", true},
		{"BAD User is authenticated but not connected.", api.ReadingDisabled, "switched on for this mailbox", false},
		{"BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds", api.ProviderBusy, again, false},
		{"NO Request is throttled. Suggested Backoff Time: 1000 milliseconds", api.ProviderBusy, again, false},
		{"NO Server Unavailable. 15", api.ProviderBusy, again, false},
		{"BYE Connection is closed. 13", api.ProviderBusy, again, false},
		{"BYE Connection closed. 14", api.ProviderBusy, again, false},
		{"-ERR Logon failure: unknown user name or bad password.", api.ReadingNotGranted, "sign in again and allow reading", true},
		{"-ERR Authentication failure: unknown user name or bad password.", api.ReadingNotGranted, "sign in again and allow reading", true},
		{"-ERR Server Unavailable. 21", api.ProviderBusy, again, false},

		// Yahoo and AOL
		{"NO [AUTHENTICATIONFAILED] AUTHENTICATE Invalid credentials", api.ReadingNotGranted, "sign in again and allow reading", true},
		{"NO [LIMIT] AUTHENTICATE Rate limit hit.", api.ProviderBusy, again, false},
		{"NO [SERVERBUG] AUTHENTICATE Server error - Please try again later", api.ProviderBusy, again, false},
		{"NO [UNAVAILABLE] AUTHENTICATE Service is temporarily not available", api.ProviderBusy, again, false},

		// Dovecot
		{"NO [AUTHENTICATIONFAILED] Authentication failed.", api.ReadingNotGranted, "sign in again and allow reading", true},
		{"NO [UNAVAILABLE] Temporary authentication failure. [mx1:2026-11-29 22:50:00]", api.ProviderBusy, again, false},
		{"NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=16)", api.ProviderBusy, fewer, false},
		{"NO [LIMIT] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", api.ProviderBusy, fewer, false},
		{"NO [SERVERBUG] Internal error occurred. Refer to server log for more information.", api.ProviderBusy, again, false},
		{"NO [CANNOT] Unsupported authentication mechanism.", api.Unusable, "server for mail programs", false},
		{"NO [CONTACTADMIN] Account is administratively disabled", api.NeedsAdmin, "administrator", false},
		{"-ERR [IN-USE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", api.ProviderBusy, fewer, false},
		{"-ERR [SYS/TEMP] Temporary authentication failure.", api.ProviderBusy, again, false},
		{"-ERR [AUTH] Authentication failed.", api.ReadingNotGranted, "sign in again and allow reading", true},
		{"-ERR [IN-USE] mailbox already in use by pid 12345", api.ProviderBusy, "when it has finished", false}, // Cyrus and others

		// Fastmail
		{"NO Incorrect username, password or access token.", api.ReadingNotGranted, "sign in again and allow reading", true},

		// Yandex, which does not say which of the two it is
		{"NO [AUTHENTICATIONFAILED] AUTHENTICATE Invalid credentials or IMAP is disabled sc=ebI8JB0ug4Y1_290737_53p", api.ReadingDisabled, "If it is on, sign in again", true},
		{"-ERR [AUTH] login failure or POP3 disabled, try later. sc=ebI8JB0ug4Y1", api.ReadingDisabled, "If it is on, sign in again", true},
		{"NO [UNAVAILABLE] AUTHENTICATE internal server error sc=x", api.ProviderBusy, again, false},

		// Mail.ru
		{"-ERR Authentication failed. Please verify your account by going to https://e.mail.ru/login", api.NeedsConsent, "web page", false},
		{"NO [AUTHENTICATIONFAILED] Authentication failed", api.ReadingNotGranted, "sign in again and allow reading", true},

		// Zoho
		{"NO [ALERT] You are yet to enable IMAP for your account. Please contact your administrator (Failure)", api.ReadingDisabled, "switch on IMAP", false},

		// nobody's in particular
		{"-ERR [SYS/PERM] Mailbox is damaged", api.ReadingDisabled, "ask an administrator", false},
		{"NO [OVERQUOTA] Quota exceeded", api.ProviderBusy, "try again later", false},
		{"-ERR [LOGIN-DELAY] minimum time between mail checks violation", api.ProviderBusy, "less often", false},
		{"NO [INUSE] Mailbox in use", api.ProviderBusy, "when it has finished", false},
		{"NO", api.ReadingNotGranted, "sign in again and allow reading", true},
		{"-ERR", api.ReadingNotGranted, "sign in again and allow reading", true},
		{"BAD Command Argument Error. 12", api.ReadingNotGranted, "sign in again", false},
	} {
		e := answer(c.said)
		p := explainReading(subject{account: me, login: me, provider: "Corp", protocol: e.Protocol}, e)
		if p.State != c.state || !strings.Contains(p.Error(), c.cure) || p.Lasting != (c.state.Severity() == api.NeedsSomebody) || p.Said != c.said {
			t.Errorf("%s: %s, lasting %t, %q; want %s, %q", c.said, p.State, p.Lasting, p, c.state, c.cure)
		}
		if e.RefusesLogin() != c.logins {
			t.Errorf("%s: another token is tried: %t", c.said, !c.logins)
		}
		if text := p.Error(); strings.Contains(text, "{{") || strings.Contains(text, "SMTP") || strings.Contains(text, "smtp") {
			t.Errorf("%s: %q", c.said, text)
		}
	}
}

// answer reads a refusal as the sessions do.
func answer(said string) *ServerError {
	e := &ServerError{Protocol: api.IMAP, Op: "AUTHENTICATE"}
	e.Status, e.Text, _ = strings.Cut(said, " ")
	if e.Status == "-ERR" {
		e.Protocol, e.Op = api.POP, "AUTH"
	}
	if code, text, found := strings.Cut(e.Text, "] "); found && strings.HasPrefix(code, "[") {
		e.Code, e.Text = code[1:], text
	}
	return e
}
