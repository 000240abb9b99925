package providertest

import "strings"

// Manners are the habits in which IMAP servers differ. The zero value is a server that announces what
// it can do.
type Manners struct {
	Greeting    string   // after "* OK "; empty: with the capabilities
	Before      []string // capabilities before the login. Without SASL-IR among them an initial response is BAD
	After       []string // capabilities after the login. They need not be true
	Welcome     []string // untagged lines before the login's tagged OK, without CRLF
	LoggedIn    string   // after "OK " when a login has worked
	Refused     string   // the response to a refused token, such as "NO [AUTHENTICATIONFAILED] Invalid credentials"
	NoChallenge bool     // a refused token gets no challenge first
	BarePlus    bool     // "+" without a space, where there is nothing to say
	Limit       string   // the response to a login beyond MaxIMAP
	TokenEnd    *Ending  // ends a session when its token expires; nil: sessions outlive their token
}

// What some providers say, for Action.Text.
const (
	Unavailable        = "NO [UNAVAILABLE] Service is temporarily unavailable"
	TooManyConnections = "NO [ALERT] Too many simultaneous connections. (Failure)"
	NotEnabled         = "NO [ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page and enable your account for IMAP access. (Failure)"
	AuthenticateFailed = "NO AUTHENTICATE failed."
	NotConnected       = "BAD User is authenticated but not connected."
)

// The habits of some providers. They announce more than this server can do, so a real mail program may
// stumble over them.
var (
	Gmail = Manners{
		Greeting: "Gimap ready for requests from 192.0.2.1 d9443c01a7336-1234",
		Before:   words("IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 XYZZY SASL-IR AUTH=XOAUTH2 AUTH=PLAIN AUTH=PLAIN-CLIENTTOKEN AUTH=OAUTHBEARER"),
		After:    words(gmailAfter),
		Welcome:  []string{"* CAPABILITY " + gmailAfter},
		LoggedIn: "Success",
		Refused:  "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
		Limit:    TooManyConnections,
		TokenEnd: &GmailTokenEnd,
	}
	Exchange = Manners{
		Greeting:    "The Microsoft Exchange IMAP4 service is ready. [TABPADIAUAAyADMAQwBBADAAMAA4ADEALgBFAFUAUgA=]",
		Before:      words("IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"),
		After:       words("IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+"),
		LoggedIn:    "AUTHENTICATE completed.",
		Refused:     AuthenticateFailed,
		NoChallenge: true,
		Limit:       AuthenticateFailed,
		TokenEnd:    &ExchangeTokenEnd,
	}
	Yahoo = Manners{
		Greeting: "[CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER ID MOVE NAMESPACE XYMHIGHESTMODSEQ UIDPLUS LITERAL+ CHILDREN X-MSG-EXT UNSELECT OBJECTID] IMAP4rev1 Hello",
		Before:   words("IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER ID MOVE NAMESPACE XYMHIGHESTMODSEQ UIDPLUS LITERAL+ CHILDREN X-MSG-EXT UNSELECT OBJECTID"),
		After:    words("IMAP4rev1 ID MOVE NAMESPACE XYMHIGHESTMODSEQ UIDPLUS LITERAL+ CHILDREN X-MSG-EXT UNSELECT OBJECTID"),
		LoggedIn: "AUTHENTICATE completed",
		Refused:  "NO [AUTHENTICATIONFAILED] AUTHENTICATE Invalid credentials",
		Limit:    "NO [LIMIT] AUTHENTICATE Rate limit hit",
	}
	Dovecot = Manners{
		Greeting: "[CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=XOAUTH2 AUTH=OAUTHBEARER] Dovecot ready.",
		Before:   words("IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=XOAUTH2 AUTH=OAUTHBEARER"),
		After:    words(dovecotAfter),
		LoggedIn: "[CAPABILITY " + dovecotAfter + "] Logged in",
		Refused:  "NO [AUTHENTICATIONFAILED] Authentication failed.",
		Limit:    "NO [LIMIT] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
	}
)

const (
	gmailAfter   = "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS COMPRESS=DEFLATE ENABLE MOVE CONDSTORE ESEARCH UTF8=ACCEPT LIST-EXTENDED LIST-STATUS LITERAL- SPECIAL-USE APPENDLIMIT=35651584"
	dovecotAfter = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE LITERAL+ NOTIFY SPECIAL-USE"
	ownAbilities = "ID ENABLE IDLE LITERAL+ NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN"
)

func words(s string) []string { return strings.Fields(s) }

func (m Manners) withDefaults(mechanisms []string) Manners {
	if m.Before == nil {
		m.Before = words("IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+")
		for _, name := range mechanisms {
			m.Before = append(m.Before, "AUTH="+name)
		}
	}
	if m.After == nil {
		m.After = words("IMAP4rev1 SASL-IR " + ownAbilities)
	}
	if m.Greeting == "" {
		m.Greeting = "[CAPABILITY %s] imap.provider.test ready"
	}
	if m.LoggedIn == "" {
		m.LoggedIn = "[CAPABILITY " + strings.Join(m.After, " ") + "] Logged in"
	}
	if m.Refused == "" {
		m.Refused = "NO [AUTHENTICATIONFAILED] Invalid credentials"
	}
	if m.Limit == "" {
		m.Limit = TooManyConnections
	}
	return m
}
