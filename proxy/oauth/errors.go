package oauth

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

var (
	// ErrConsent is what errors.Is finds in every [*ConsentError].
	ErrConsent = errors.New("the user must sign in")
	// ErrAdmin is what errors.Is finds in every [*AdminError].
	ErrAdmin = errors.New("an administrator must act")
	// ErrClosed is the answer of a Grant after Close: its account has changed or is gone, or the
	// program is stopping.
	ErrClosed = errors.New("the account was changed or removed in the meantime, or Waxseal is stopping; try again")
)

// ConsentError says that only the account's user can help, by signing in.
type ConsentError struct {
	Account           string
	Reason            Reason
	Code, Description string        // the provider's own words, cleaned; "" when it was not asked
	Missing           []string      // scopes that were asked for and not granted, with ScopeMissing
	ClockOff          time.Duration // see [ClockOff]

	lasting bool   // the provider refused the refresh token: no other request until the user acts
	asked   bool   // a sign-in has failed: its user need not be told to sign in
	text    string // instead of the reason's own
}

func (e *ConsentError) Error() string {
	if e.asked {
		return "not signed in: " + e.Why()
	}
	return fmt.Sprintf("sign in again with `waxseal account reauthorize %s`: %s", e.Account, e.Why())
}

// Why says in plain English what the reason is.
func (e *ConsentError) Why() string {
	text := cmp.Or(e.text, e.Reason.Text())
	if len(e.Missing) > 0 {
		text += " (not granted: " + strings.Join(e.Missing, " ") + ")"
	}
	return text + e.Reason.evidence(e.Code, e.Description)
}

// Is makes it an [ErrConsent].
func (e *ConsentError) Is(target error) bool { return target == ErrConsent }

func isConsent(err error) bool { return errors.Is(err, ErrConsent) }

// AdminError says that only an administrator can help: a policy forbids the sign-in, or the
// program's own right to send for the account is missing.
type AdminError struct {
	Account           string
	Reason            Reason
	Code, Description string        // the provider's own words, cleaned; "" when it was not asked
	ClockOff          time.Duration // see [ClockOff]
	Err               error         // the provider's refusal, or what is missing here

	asked bool // a sign-in has failed
}

func (e *AdminError) Error() string {
	if e.asked {
		return "not signed in: " + e.Why()
	}
	return fmt.Sprintf("an administrator must let Waxseal use %s: %s", e.Account, e.Why())
}

// Why says in plain English what the reason is.
func (e *AdminError) Why() string {
	if e.Code == "" && e.Err != nil {
		return e.Err.Error()
	}
	return e.Reason.Text() + e.Reason.evidence(e.Code, e.Description) + clockHint(e.Reason, e.ClockOff)
}

// Is makes it an [ErrAdmin].
func (e *AdminError) Is(target error) bool { return target == ErrAdmin }

// Unwrap gives Err.
func (e *AdminError) Unwrap() error { return e.Err }

// EndpointError is a fault of a provider's endpoint that should pass: no answer, or one that makes
// no sense.
type EndpointError struct {
	URL         string        // host, and port where it is not the usual one
	Status      int           // of HTTP; 0 when there was no answer
	Reason      Reason        // of the class ByTime
	Code        string        // the answer's "error", if it had one
	Description string        // the answer's "error_description", cleaned
	RetryAfter  time.Duration // what the provider asked for; 0 when it did not
	ClockOff    time.Duration // see [ClockOff]
	// Sent: the request may have reached the provider, and may have been carried out.
	Sent bool
	Err  error // what was wrong, beyond the status

	kind string // of endpoint; "" is the token endpoint
	name string // the code as it came, folded: what is shown of it may be masked
}

func (e *EndpointError) Error() string {
	parts := []string{cmp.Or(e.kind, tokenEndpoint) + " " + e.URL}
	if e.Status >= 300 {
		parts = append(parts, strings.TrimSpace(fmt.Sprint(e.Status, " ", http.StatusText(e.Status))))
	}
	if said := quoted(e.Code, e.Description); said != "" {
		parts = append(parts, said)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap gives Err.
func (e *EndpointError) Unwrap() error { return e.Err }

// unprocessed reports whether the request surely had no effect: it was not sent, or the answer says
// that it came too early. What a gateway says with 502 or 504 is its own view, whatever the words.
func (e *EndpointError) unprocessed() bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusTooEarly: // RFC 8470 section 5.2
		return true
	}
	return !e.Sent || e.Status < 500 && e.name == "temporarily_unavailable"
}

// RefusedError is a healthy endpoint's refusal that neither time nor the user's consent will change:
// the registration (client ID, secret, scopes) is wrong.
type RefusedError struct {
	URL         string // host, and port where it is not the usual one
	Status      int    // of HTTP
	Reason      Reason
	Code        string        // RFC 6749 section 5.2, such as "invalid_client"
	Description string        // the provider's own words, cleaned
	ClockOff    time.Duration // see [ClockOff]

	kind   string // of endpoint; "" is the token endpoint
	name   string // the code as it came, folded: what is shown of it may be masked
	exact  bool   // the provider's words name the reason themselves
	client bool   // another form of client authentication may do
	scope  bool   // the request should name a scope
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("%s %s refuses: ", cmp.Or(e.kind, tokenEndpoint), e.URL)
	if e.exact {
		return text + e.Why()
	}
	return text + quoted(e.Code, e.Description) + "; " + e.Reason.Text() + clockHint(e.Reason, e.ClockOff)
}

// Why says in plain English what the reason is.
func (e *RefusedError) Why() string {
	return e.Reason.Text() + e.Reason.evidence(e.Code, e.Description) + clockHint(e.Reason, e.ClockOff)
}

// quoted is a provider's code with its words.
func quoted(code, description string) string {
	if code == "" || description == "" {
		return code + description
	}
	return code + " (" + description + ")"
}

// evidence is what of a provider's own words to show beside a reason: Microsoft's number, which
// people search for, or all of them.
func (r Reason) evidence(code, description string) string {
	if number := aadstsCode.FindString(description); number != "" && r.Class() != ByRegistration && r != ConsentEnded {
		return " (" + number + ")"
	}
	if code == "" || r == DeniedByUser && description == "" {
		return ""
	}
	if r == DeniedByUser {
		return " (" + description + ")"
	}
	if description != "" {
		code += ": " + description
	}
	return " (" + code + ")"
}

// ReasonOf is the reason in an error of this package, or "".
func ReasonOf(err error) Reason {
	switch e := firstOf(err).(type) {
	case *ConsentError:
		return e.Reason
	case *AdminError:
		return e.Reason
	case *RefusedError:
		return e.Reason
	case *EndpointError:
		return e.Reason
	case *ScopeError:
		return e.Reason
	case *IdentityError:
		return WrongUser
	case *ClockError:
		return ClockWrong
	}
	return ""
}

// firstOf is the outermost error of this package in err's chain, or nil.
func firstOf(err error) error {
	for ; err != nil; err = errors.Unwrap(err) {
		switch err.(type) {
		case *ConsentError, *AdminError, *RefusedError, *EndpointError, *ScopeError, *IdentityError, *ClockError:
			return err
		}
	}
	return nil
}

// refused makes of an endpoint's refusal the error of whoever can help: the account's user, their
// administrator, or nobody but the one who registered the program. Other errors stay.
func (g *Grant) refused(err error) error {
	r, ok := errors.AsType[*RefusedError](err)
	if !ok {
		return err
	}
	switch r.Reason.Class() {
	case ByUser:
		return &ConsentError{Account: g.account, Reason: r.Reason, Code: r.Code, Description: r.Description, ClockOff: r.ClockOff}
	case ByAdmin:
		return &AdminError{Account: g.account, Reason: r.Reason, Code: r.Code, Description: r.Description, ClockOff: r.ClockOff, Err: r}
	}
	return err
}

// SaidIn is what the provider itself said, from an error of this package: its code
// and its words, cleaned; "" where it said nothing.
func SaidIn(err error) string {
	var code, description string
	switch e := firstOf(err).(type) {
	case *ConsentError:
		code, description = e.Code, e.Description
	case *AdminError:
		code, description = e.Code, e.Description
	case *RefusedError:
		code, description = e.Code, e.Description
	case *EndpointError:
		code, description = e.Code, e.Description
	case *ScopeError:
		code, description = e.Code, e.Description
	}
	return quoted(code, description)
}
