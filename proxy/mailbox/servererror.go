package mailbox

import (
	"errors"
	"fmt"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// ServerError is a refusal of a server for reading, in its words: its answer to a login, or a greeting that
// is one. [Explain] knows what many of them mean.
type ServerError struct {
	Protocol api.Protocol
	Op       string // "greeting", "AUTHENTICATE", "AUTH", "login"
	Status   string // "NO", "BAD", "BYE", "-ERR"
	Code     string // the response code without brackets, "" if there is none: AUTHENTICATIONFAILED, IN-USE, "SYS/TEMP"
	Text     string // for people; control characters and secrets removed by package foreign
	Report   string // the JSON that came as a challenge, decoded and made harmless; "" if there was none
}

// Error implements error.
func (e *ServerError) Error() string { return fmt.Sprintf("%s: %s", e.Op, e.Said()) }

// Said is the refusal as the server wrote it, without tag.
func (e *ServerError) Said() string {
	said := e.Status
	if e.Code != "" {
		said += " [" + e.Code + "]"
	}
	return strings.TrimSpace(said + " " + e.Text)
}

// RefusesLogin reports whether the server refused who logs in, so that another token or another name may help.
// An alert is for a person, BAD means that the server did not look at the token, and some words mean something else.
func (e *ServerError) RefusesLogin() bool {
	switch {
	case e.Report != "":
		return true
	case e.Op != "AUTHENTICATE" && e.Op != "AUTH", e.Status != "NO" && e.Status != "-ERR":
		return false
	}
	switch e.Code {
	case "AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "AUTH":
		return true
	case "":
		_, known := e.meaning()
		return !known
	}
	return false
}

// readMeaning is what servers for reading mean by words or a response code.
type readMeaning struct {
	code  string // in upper case; "" for any
	words string // one of which must be in the text, in lower case, with "|" between them; "" for any
	state api.State
	what  string
	cure  string
}

// readMeanings are refusals that do not say what to do. The first that fits is meant. The words are from reports of
// the providers' users, see TestReadersAnswers; the codes from RFC 5530, RFC 3206, RFC 2449 and RFC 9051 section 7.1.
var readMeanings = []readMeaning{
	{"", "authenticated but not connected", api.ReadingDisabled, "{{.Provider}} accepted the sign-in but did not open the mailbox of {{.Account}}.",
		"Check that reading is switched on for this mailbox and that the user who signed in may read it. If many mail programs are connected, close some."},
	{"", "credentials or imap is disabled|login failure or pop3 disabled", api.ReadingDisabled, "Reading with {{.Protocol}} is switched off for {{.Account}}, or {{.Provider}} refuses the sign-in.",
		"Switch on {{.Protocol}} in the mailbox’s settings at the provider. If it is on, sign in again."},
	{"", "not enabled for imap|imap access is disabled|imap is disabled|enable imap for your account", api.ReadingDisabled, readingOff, "Switch on IMAP in the mailbox’s settings at the provider, or ask an administrator."},
	{"", "not enabled for pop|pop access is disabled|pop is disabled|enable pop for your account", api.ReadingDisabled, readingOff, "Switch on POP in the mailbox’s settings at the provider, or ask an administrator."},
	{"", "access rights to this service", api.ReadingDisabled, readingOff, switchItOn},
	{"", "unsupported authentication mechanism", api.Unusable, "{{.Provider}}’s mail server {{.Host}} offers no sign-in with OAuth.", "Check that {{.Key}} in the configuration is the server for mail programs."},
	{"", "web login required|log in via your web browser|verify your account|account is locked|account is blocked|account is suspended|temporarily restricted", api.NeedsConsent, browserFirst, openTheirPage},
	{"WEBALERT", "", api.NeedsConsent, browserFirst, openTheirPage},
	{"", "rate limit|throttled|too many login", api.ProviderBusy, slowDown, "Try again in a few minutes."},
	{"THROTTLED", "", api.ProviderBusy, slowDown, "Try again in a few minutes."},
	{"", "bandwidth limits", api.ProviderBusy, "{{.Account}} has reached its limit of downloads for today.", "Try again tomorrow."},
	{"", "too many simultaneous connections|too many concurrent connections|too many connections|maximum number of", api.ProviderBusy, tooMany, closeSome},
	{"LIMIT", "", api.ProviderBusy, tooMany, closeSome},
	{"IN-USE", "", api.ProviderBusy, "Another program is reading {{.Account}} with POP.", whenFinished},
	{"", "already locked|lock maildrop|mailbox is locked|mailbox locked|mailbox in use|already in use", api.ProviderBusy, "Another program is reading {{.Account}}.", whenFinished},
	{"INUSE", "", api.ProviderBusy, "Another program is reading {{.Account}}.", whenFinished},
	{"LOGIN-DELAY", "", api.ProviderBusy, "{{.Provider}} lets {{.Account}} log in with POP only now and then.", "Have the mail program check less often."},
	{"OVERQUOTA", "", api.ProviderBusy, "{{.Account}} has reached a limit at {{.Provider}}.", "Try again later."},
	{"UNAVAILABLE", "", api.ProviderBusy, notNow, "Try again in a few minutes."},
	{"SYS/TEMP", "", api.ProviderBusy, notNow, "Try again in a few minutes."},
	{"SERVERBUG", "", api.ProviderBusy, notNow, "Try again in a few minutes."},
	{"SYS/PERM", "", api.ReadingDisabled, "{{.Provider}} does not let {{.Account}} read mail.", "Check that reading is switched on in the mailbox’s settings at the provider, or ask an administrator."},
	{"CONTACTADMIN", "", api.NeedsAdmin, "{{.Provider}} does not let {{.Account}} read mail.", "Ask an administrator."},
	{"", "lookup failed|temporary|try again|try later|server unavailable|temporarily unavailable|connection is closed|connection closed|system error|internal error|internal server error|server error", api.ProviderBusy, notNow, "Try again in a few minutes."},
}

const (
	readingOff    = "Reading with {{.Protocol}} is switched off for {{.Account}}."
	switchItOn    = "Switch it on in the mailbox’s settings at the provider, or ask an administrator."
	browserFirst  = "{{.Provider}} wants {{.Account}} to sign in with a browser first."
	openTheirPage = "Open the provider’s web page and follow its instructions, then try again."
	slowDown      = "{{.Provider}} asks {{.Account}} to slow down."
	notNow        = "{{.Provider}} does not let {{.Account}} in for now."
	tooMany       = "Too many mail programs read {{.Account}} at once."
	closeSome     = "Close some, or have them use fewer connections."
	whenFinished  = "Try again when it has finished."
)

// meaning finds what a refusal means.
func (e *ServerError) meaning() (readMeaning, bool) {
	text, code := strings.ToLower(e.Text), strings.ToUpper(e.Code)
	for _, m := range readMeanings {
		if m.code != "" && m.code != code {
			continue
		}
		for words := range strings.SplitSeq(m.words, "|") {
			if strings.Contains(text, words) {
				return m, true
			}
		}
	}
	return readMeaning{}, false
}

// explainReading explains why a server for reading refused a connection or a login.
func explainReading(s subject, err error) *api.Problem {
	e, ok := errors.AsType[*ServerError](err)
	if !ok {
		return nil
	}
	p := s.readProblem(e)
	p.Said = e.Said()
	p.Code = "5.7.8"
	return p
}

func (s subject) readProblem(e *ServerError) *api.Problem {
	if m, known := e.meaning(); known {
		s.protocol = e.Protocol
		p := s.passing(m.state, "", m.what, m.cure)
		p.Lasting = m.state.Severity() == api.NeedsSomebody
		return p
	}
	if e.Op == "greeting" || e.Status == "BYE" {
		return s.passing(api.TurnedAway, "", "{{.Provider}} refuses the connection for now.", "Try again in a few minutes.")
	}
	if s.login != s.account {
		return s.lasting(api.WrongIdentity, "", "{{.Provider}} does not let the user who signed in read the mailbox {{.Account}}.",
			"Ask an administrator to give that user full access to the mailbox, or sign in again.")
	}
	return s.lasting(api.ReadingNotGranted, "", "{{.Provider}} refuses the access token of {{.Account}} for reading mail.",
		"Sign in again and allow reading mail. In an organisation, an administrator may have to allow it first.")
}
