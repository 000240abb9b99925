package oauth

// cures say what to do about a reason. Reasons that only time mends have none.
var cures = map[Reason]string{
	ScopeMissing:      "sign in again and tick the box that lets Waxseal send mail",
	WrongUser:         "sign in as the account's own user; for a shared mailbox or an alias set login to the user who signs in",
	UserUnknown:       "sign in with the user that the mailbox belongs to, or check the account's tenant",
	AnsweredTwice:     "sign in again; if it happens again, find out who else uses this computer",
	UserDisabled:      "ask an administrator to enable the user's account",
	UserLocked:        "ask an administrator to unlock the user's account, or try again later",
	PolicyBlocks:      "ask an administrator to allow this sign-in",
	AdminConsent:      "ask an administrator of the organisation to consent to this program, then sign in again",
	DelegationMissing: "for a service account, allow its client ID and these scopes under domain-wide delegation",
	AssertionRefused:  "check that the user exists, that the service account's key was not deleted, and this computer's clock",
	KeyMissing:        "give the service account's key again",
	NotRegistered:     "check the client ID, and that the registration is for this organisation",
	WrongSecret:       "give the secret's value, not its ID",
	SecretExpired:     "create a new client secret at the provider and give it to Waxseal",
	SecretMissing:     "give the client secret, or allow public client flows in the registration",
	SecretUnwanted:    "remove the client secret, or forbid public client flows in the registration",
	RedirectUnknown:   "register http://localhost as a redirect address for mobile and desktop programs",
	WrongTenant:       "use the organisation's own addresses (auth_url, token_url), or a registration for all directories",
	WrongAccountType:  "change the registration's supported account types, or sign in with the other kind of account",
	ScopeRefused:      "check the provider's scopes, and that the registration has them",
	AppDisabled:       "ask whoever registered the program to enable it",
	TestUserMissing:   "add this address to the registration's test users, or publish the registration",
	FlowNotAllowed:    "allow public client flows in the registration",
	ClockWrong:        "set this computer's clock",
	Refused:           "check the client ID, the client secret and the provider's settings",
}

// Cure says what to do about the reason, as a phrase in plain English; "" where only
// time helps.
func (r Reason) Cure() string {
	if cure, ok := cures[r]; ok {
		return cure
	}
	if r.Class() == ByUser {
		return "sign in again"
	}
	return ""
}

// Reasons are all of them.
func Reasons() []Reason {
	all := make([]Reason, 0, len(reasons))
	for r := range reasons {
		all = append(all, r)
	}
	return all
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
	}
	return quoted(code, description)
}
