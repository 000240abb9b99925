package oauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrScope is what errors.Is finds in every [*ScopeError].
var ErrScope = errors.New("the sign-in does not cover all that the account does")

// ScopeError says that something the account does is not granted, while the rest is. It is neither an
// [ErrConsent] nor an [ErrAdmin]: the account goes on with what it may do.
type ScopeError struct {
	Account string
	Uses    []string // what is not granted, such as "imap"
	Missing []string // the scopes, or a program's application permissions, that are missing
	// Reason says who can help: ScopeMissing and ConsentMissing the user, AdminConsent and RoleMissing an
	// administrator, ScopeRefused whoever registered the program.
	Reason            Reason
	Code, Description string // the provider's own words, cleaned; "" when it was not asked
}

func (e *ScopeError) Error() string {
	switch e.Reason.Class() {
	case ByAdmin:
		return fmt.Sprintf("an administrator must act for %s: %s", e.Account, e.Why())
	case ByRegistration:
		return e.Why()
	}
	return fmt.Sprintf("sign in again with `waxseal account reauthorize %s`: %s", e.Account, e.Why())
}

// Why says in plain English what is missing.
func (e *ScopeError) Why() string {
	text := notGranted(e.Uses)
	if e.Reason == ScopeRefused {
		text += "; " + e.Reason.Cure()
	}
	return text + " (not granted: " + strings.Join(e.Missing, " ") + ")" + e.Reason.evidence(e.Code, e.Description)
}

// Is makes it an [ErrScope].
func (e *ScopeError) Is(target error) bool { return target == ErrScope }

// Protocols are the protocols for reading that are not granted, for people.
func (e *ScopeError) Protocols() string { return reading(e.Uses) }

// reading names the protocols for reading among uses.
func reading(uses []string) string {
	var protocols []string
	for _, use := range uses {
		if use != useSMTP {
			protocols = append(protocols, strings.ToUpper(use))
		}
	}
	return strings.Join(protocols, " and ")
}

// notGranted says which permission is missing, in plain English.
func notGranted(uses []string) string {
	protocols := reading(uses)
	switch {
	case protocols == "":
		return "permission to send mail was not granted"
	case !slices.Contains(uses, useSMTP):
		return "permission to read mail with " + protocols + " was not granted"
	}
	return "permission to send mail, and to read it with " + protocols + ", was not granted"
}
