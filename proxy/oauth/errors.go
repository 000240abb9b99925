package oauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// ErrConsent is what errors.Is finds in every [*ConsentError].
var ErrConsent = errors.New("the user must sign in")

// ErrClosed is the answer of a Grant after Close: its account is another now or
// gone, or the program stops.
var ErrClosed = errors.New("the account was changed or removed meanwhile, or Waxseal is stopping; try again")

// ConsentError says that only the account's user can help, by signing in.
type ConsentError struct {
	Account string
	Reason  string // in a person's words, such as "the password was changed"

	lasting bool // the provider's word: no other request until the user did something
	denied  bool // the user's own word, at the provider's page
	asked   bool // a sign-in under way has failed: its user need not be told to sign in
}

func (e *ConsentError) Error() string {
	if e.asked {
		return "not signed in: " + e.Reason
	}
	return fmt.Sprintf("sign in again with `waxseal account reauthorize %s`: %s", e.Account, e.Reason)
}

// Is makes it an [ErrConsent].
func (e *ConsentError) Is(target error) bool { return target == ErrConsent }

func isConsent(err error) bool { return errors.Is(err, ErrConsent) }

// EndpointError is a fault of a provider's endpoint that should pass: no answer,
// or one that makes no sense.
type EndpointError struct {
	URL         string        // host, and port where it is not the usual one
	Status      int           // of HTTP; 0 when there was no answer
	Code        string        // the answer's "error", if it had one
	Description string        // the answer's "error_description"
	RetryAfter  time.Duration // what the provider asked for; 0 when it did not
	Err         error         // what was wrong, beyond the status

	kind string // of endpoint; "" is the token endpoint
}

func (e *EndpointError) Error() string {
	parts := []string{cmp.Or(e.kind, tokenEndpoint) + " " + e.URL}
	if e.Status >= 300 {
		parts = append(parts, strings.TrimSpace(fmt.Sprint(e.Status, " ", http.StatusText(e.Status))))
	}
	if e.Code != "" {
		parts = append(parts, reason(e.Code, e.Description))
	}
	switch {
	case errors.Is(e.Err, context.DeadlineExceeded):
		parts = append(parts, "no answer in time")
	case errors.Is(e.Err, io.EOF), errors.Is(e.Err, io.ErrUnexpectedEOF):
		parts = append(parts, "the connection broke before the end of the answer")
	case e.Err != nil:
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap gives Err.
func (e *EndpointError) Unwrap() error { return e.Err }

// RefusedError is a healthy endpoint's refusal that neither time nor the user's
// consent will change: the registration (client ID, secret, scopes) is wrong.
type RefusedError struct {
	URL         string // host, and port where it is not the usual one
	Status      int    // of HTTP
	Code        string // RFC 6749 section 5.2, such as "invalid_client"
	Description string // the provider's own words

	kind string // of endpoint; "" is the token endpoint
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("%s %s refuses: %s", cmp.Or(e.kind, tokenEndpoint), e.URL, reason(e.Code, e.Description))
	if cure := registrationCure(e.Code, e.Description); cure != "" {
		text += "; " + cure
	}
	return text
}

func reason(code, description string) string {
	if description == "" {
		return code
	}
	return code + " (" + description + ")"
}

// needsUser are the codes that mean: ask the user. The others beside
// invalid_grant are of OpenID Connect Core section 3.1.2.6, and Microsoft
// answers them to refreshes.
func needsUser(code string) bool {
	switch code {
	case "invalid_grant", "interaction_required", "consent_required", "login_required":
		return true
	}
	return false
}

var aadsts = regexp.MustCompile(`AADSTS(\d+)`)

// aadstsReasons are Microsoft's codes for a grant that is gone. Its own texts
// are long and written for developers.
var aadstsReasons = map[string]string{
	"50034":  "Microsoft does not know this user",
	"50057":  "the account is disabled",
	"50076":  "the organisation now asks for a second factor",
	"50079":  "the organisation now asks for a second factor to be set up",
	"50173":  "the password was changed, or all sessions were signed out",
	"53003":  "the organisation's access policy blocks this sign-in",
	"65001":  "consent for this program is missing",
	"70000":  "the consent was taken back, or was given for another program",
	"70008":  "the consent has expired",
	"70043":  "the organisation's policy asks for a new sign-in from time to time",
	"700082": "the consent was not used for 90 days and has expired",
	"700084": "the consent was for a day only and has expired",
}

// consentReason says in a person's words why the provider took a consent back.
func consentReason(code, description string) string {
	if m := aadsts.FindStringSubmatch(description); m != nil {
		if why := aadstsReasons[m[1]]; why != "" {
			return why + " (" + m[0] + ")"
		}
	}
	return "the provider says " + reason(code, description)
}

var aadstsCures = map[string]string{
	"50011":   "register the redirect address at Microsoft as a mobile and desktop one",
	"1002012": "scopes must be the resource's /.default, such as https://outlook.office365.com/.default",
	"90002":   "the tenant in token_url does not exist",
	"700016":  "client_id is not known in this organisation",
	"7000215": "the client secret is wrong; import the secret's value, not its ID",
	"7000218": "allow public client flows in the registration, or import its client secret",
	"7000222": "the client secret has expired; make a new one and give it to `waxseal account reauthorize ADDRESS --client-secret-file FILE`",
}

// registrationCure says what to do about a refusal, or "".
func registrationCure(code, description string) string {
	if m := aadsts.FindStringSubmatch(description); m != nil && aadstsCures[m[1]] != "" {
		return aadstsCures[m[1]]
	}
	switch code {
	case "invalid_client":
		return "check client_id and the client secret"
	case "unauthorized_client", "unsupported_grant_type":
		return "the registration of client_id does not allow this"
	case "invalid_scope":
		return "check the provider's scopes"
	}
	return ""
}

// maxForeign is how much of a provider's text goes into an error, in bytes.
const maxForeign = 200

// clean makes a provider's text fit for an error: one line, not long, and with
// none of the request's secrets, should it repeat them.
func clean(text string, secrets []string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	// Microsoft appends trace and correlation IDs, and a time.
	text, _, _ = strings.Cut(text, " Trace ID:")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxForeign {
		text = strings.ToValidUTF8(text[:maxForeign], "") + "..."
	}
	return text
}

// foreignError is an error whose text may hold bytes of the provider's.
type foreignError struct {
	text string
	err  error
}

func (e *foreignError) Error() string { return e.text }
func (e *foreignError) Unwrap() error { return e.err }
