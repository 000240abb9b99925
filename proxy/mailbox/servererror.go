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

// readMeaning is what servers for reading mean by words or a response code.
type readMeaning struct {
	code  string // in upper case; "" for any
	words string // that must be in the text, in lower case; "" for any
	state api.State
	what  string
	cure  string
}

// readMeanings are refusals that do not say what to do. The first that fits is meant. Gmail's and Exchange's
// words are from their users' reports; the codes from RFC 5530, RFC 3206, RFC 2449 and RFC 9051 section 7.1.
var readMeanings = []readMeaning{
	{"", "authenticated but not connected", api.ReadingDisabled, "{{.Provider}} accepted the sign-in but did not open the mailbox of {{.Account}}.",
		"Check that reading is switched on for this mailbox and that the user who signed in may read it. If many mail programs are connected, close some."},
	{"", "not enabled for imap", api.ReadingDisabled, readingOff, "Switch on IMAP in the mailbox’s settings at the provider, or ask an administrator."},
	{"", "imap access is disabled", api.ReadingDisabled, readingOff, "Switch on IMAP in the mailbox’s settings at the provider, or ask an administrator."},
	{"", "imap is disabled", api.ReadingDisabled, readingOff, "Switch on IMAP in the mailbox’s settings at the provider, or ask an administrator."},
	{"", "not enabled for pop", api.ReadingDisabled, readingOff, "Switch on POP in the mailbox’s settings at the provider, or ask an administrator."},
	{"", "pop access is disabled", api.ReadingDisabled, readingOff, "Switch on POP in the mailbox’s settings at the provider, or ask an administrator."},
	{"", "pop is disabled", api.ReadingDisabled, readingOff, "Switch on POP in the mailbox’s settings at the provider, or ask an administrator."},
	{"SYS/PERM", "", api.ReadingDisabled, readingOff, "Switch it on in the mailbox’s settings at the provider, or ask an administrator."},
	{"WEBALERT", "", api.NeedsConsent, "{{.Provider}} wants {{.Account}} to sign in with a browser first.", "Open the provider’s web page and follow its instructions, then try again."},
	{"", "web login required", api.NeedsConsent, "{{.Provider}} wants {{.Account}} to sign in with a browser first.", "Open the provider’s web page and follow its instructions, then try again."},
	{"", "too many simultaneous connections", api.ProviderBusy, "Too many mail programs read {{.Account}} at once.", "Close some, or have them use fewer connections."},
	{"", "too many connections", api.ProviderBusy, "Too many mail programs read {{.Account}} at once.", "Close some, or have them use fewer connections."},
	{"LIMIT", "", api.ProviderBusy, "Too many mail programs read {{.Account}} at once.", "Close some, or have them use fewer connections."},
	{"IN-USE", "", api.ProviderBusy, "Another program is reading {{.Account}} with POP.", "Try again when it has finished."},
	{"INUSE", "", api.ProviderBusy, "Another program is reading {{.Account}}.", "Try again when it has finished."},
	{"LOGIN-DELAY", "", api.ProviderBusy, "{{.Provider}} lets {{.Account}} log in with POP only now and then.", "Have the mail program check less often."},
	{"", "throttled", api.ProviderBusy, slowDown, "Try again in a few minutes."},
	{"THROTTLED", "", api.ProviderBusy, slowDown, "Try again in a few minutes."},
	{"", "exceeded command or bandwidth limits", api.ProviderBusy, "{{.Account}} has reached its limit of downloads for today.", "Try again tomorrow."},
	{"OVERQUOTA", "", api.ProviderBusy, "{{.Account}} has reached a limit at {{.Provider}}.", "Try again later."},
	{"UNAVAILABLE", "", api.ProviderBusy, notNow, "Try again in a few minutes."},
	{"SYS/TEMP", "", api.ProviderBusy, notNow, "Try again in a few minutes."},
	{"CONTACTADMIN", "", api.NeedsAdmin, "{{.Provider}} does not let {{.Account}} read mail.", "Ask an administrator."},
	{"", "lookup failed", api.ProviderBusy, notNow, "Try again in a few minutes."},
	{"", "temporary", api.ProviderBusy, notNow, "Try again in a few minutes."},
	{"", "try again", api.ProviderBusy, notNow, "Try again in a few minutes."},
}

const (
	readingOff = "Reading with {{.Protocol}} is switched off for {{.Account}}."
	slowDown   = "{{.Provider}} asks {{.Account}} to slow down."
	notNow     = "{{.Provider}} does not let {{.Account}} in for now."
)

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
	text, code := strings.ToLower(e.Text), strings.ToUpper(e.Code)
	for _, m := range readMeanings {
		if (m.code == "" || m.code == code) && strings.Contains(text, m.words) && (m.code != "" || m.words != "") {
			var pairs []string
			if strings.Contains(m.what, "{{.Protocol}}") {
				pairs = []string{"Protocol", e.Protocol.Label().String()}
			}
			p := s.passing(m.state, "", m.what, m.cure, pairs...)
			p.Lasting = m.state.Severity() == api.NeedsSomebody
			return p
		}
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
