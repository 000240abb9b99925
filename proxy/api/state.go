package api

// Severity says what a state requires of a person.
type Severity int

const (
	Fine          Severity = iota
	Busy                   // something is being done
	Passing                // a problem that ends by itself; it is shown
	NeedsSomebody          // a problem that only a person can solve; it is shown, with one notification
)

// State is the state of an account. Every part of Waxseal uses these constants; their values
// are part of `waxseal status --json`.
type State string

const (
	Ready      State = "ready"
	Unused     State = "unknown" // nothing has been tried yet
	Refreshing State = "refreshing"

	ProviderBusy   State = "provider_busy" // the provider asks to try later
	TurnedAway     State = "turned_away"   // the mail server refuses the connection itself
	MailServerDown State = "unreachable"   // the mail server does not answer; its breaker may be open
	SignInDown     State = "error"         // the sign-in server does not answer, or not as it should
	Untrusted      State = "untrusted"     // the mail server's certificate is not trusted
	Offline        State = "offline"       // this machine has no network
	LimitReached   State = "limit_reached" // the account may not send before a day's limit of the provider ends
	LastUnsent     State = "last_unsent"   // the last messages were not sent; why is not the account's or a server's

	NeedsConsent        State = "needs_consent" // the user must sign in
	NeedsAdmin          State = "needs_admin"
	NotRegistered       State = "not_registered"       // there is no client ID
	RegistrationRefused State = "registration_refused" // the provider rejects the client ID or its secret
	SMTPDisabled        State = "smtp_disabled"        // the organisation has switched SMTP off
	ReadingDisabled     State = "reading_disabled"     // the provider or the organisation has switched IMAP or POP off for the mailbox
	ReadingNotGranted   State = "reading_not_granted"  // the consent does not allow reading
	WrongIdentity       State = "wrong_identity"       // the user who signed in may not use this mailbox
	PasswordsRetired    State = "basic_retired"
	NotAuthenticated    State = "not_authenticated"
	TokenRefused        State = "token_refused" // the mail server rejects the access token
	Unusable            State = "unusable"      // the mail server offers no TLS, or no OAuth
	NoPassword          State = "no_password"   // the account has no local password
	KeystoreLocked      State = "keystore_locked"
	KeystoreFailed      State = "keystore" // secrets cannot be read, for another reason
)

// States are all states, in order of severity.
var States = []State{
	Ready, Unused, Refreshing,
	ProviderBusy, TurnedAway, MailServerDown, SignInDown, Untrusted, Offline, LimitReached, LastUnsent,
	NeedsConsent, NeedsAdmin, NotRegistered, RegistrationRefused, SMTPDisabled, ReadingDisabled, ReadingNotGranted, WrongIdentity,
	PasswordsRetired, NotAuthenticated, TokenRefused, Unusable, NoPassword, KeystoreLocked, KeystoreFailed,
}

// about is what can be said about a state without knowing the account.
type about struct {
	severity Severity
	label    string // a few words, in lower case
	headline string // for passing problems: one line, with the place Provider
	do       Action // what a person can do about it
}

var abouts = map[State]about{
	Ready:      {Fine, "ready", "", ""},
	Unused:     {Fine, "not used yet", "", ""},
	Refreshing: {Busy, "renewing access", "", ""},

	ProviderBusy:   {Passing, "provider is busy", "{{.Provider}} asks to slow down", ""},
	TurnedAway:     {Passing, "connection refused by the provider", "{{.Provider}} is refusing connections", RunChecks},
	MailServerDown: {Passing, "mail server not responding", "{{.Provider}} isn’t responding", RunChecks},
	SignInDown:     {Passing, "sign-in server not responding", "{{.Provider}} isn’t responding", RunChecks},
	Untrusted:      {Passing, "certificate not trusted", "{{.Provider}}’s certificate isn’t trusted", RunChecks},
	Offline:        {Passing, "no network", "No network connection", ""},
	LimitReached:   {Passing, "daily limit reached", "{{.Provider}}’s daily limit is reached", ""},
	LastUnsent:     {Passing, "problem with the last message", "Problem with the last message", ShowActivity},

	NeedsConsent:        {NeedsSomebody, "sign-in needed", "", SignIn},
	NeedsAdmin:          {NeedsSomebody, "administrator needed", "", SignIn},
	NotRegistered:       {NeedsSomebody, "registration missing", "", RunChecks},
	RegistrationRefused: {NeedsSomebody, "registration rejected", "", Register},
	SMTPDisabled:        {NeedsSomebody, "SMTP switched off by the organisation", "", RunChecks},
	ReadingDisabled:     {NeedsSomebody, "reading switched off at the provider", "", RunChecks},
	ReadingNotGranted:   {NeedsSomebody, "sign-in needed to read mail", "", SignIn},
	WrongIdentity:       {NeedsSomebody, "wrong user for this mailbox", "", SignIn},
	PasswordsRetired:    {NeedsSomebody, "login not accepted", "", RunChecks},
	NotAuthenticated:    {NeedsSomebody, "login not accepted", "", SignIn},
	TokenRefused:        {NeedsSomebody, "access rejected", "", SignIn},
	Unusable:            {NeedsSomebody, "mail server can’t be used", "", RunChecks},
	NoPassword:          {NeedsSomebody, "no local password", "", NewPassword},
	KeystoreLocked:      {NeedsSomebody, "keychain locked", "", Unlock},
	KeystoreFailed:      {NeedsSomebody, "keystore unavailable", "", RunChecks},
}

// Severity says what the state requires of a person. An unknown state, of a newer Waxseal,
// counts as passing: it is shown, without a notification.
func (s State) Severity() Severity {
	if a, ok := abouts[s]; ok {
		return a.severity
	}
	return Passing
}

// OfMessages reports whether the state is about an account's messages, while its server and the network work:
// whoever sends them has been told.
func (s State) OfMessages() bool { return s == LastUnsent || s == LimitReached }

// Label is the state in a few words, in lower case, for a badge, a menu or a table.
func (s State) Label() Text {
	if a, ok := abouts[s]; ok {
		return Say(a.label)
	}
	return Say("{{.State}}", "State", string(s))
}

// Headline is a passing problem as one line.
func (s State) Headline(provider string) Text {
	if a := abouts[s]; a.headline != "" {
		return Say(a.headline, "Provider", provider)
	}
	return Say("{{.Provider}} has a temporary problem", "Provider", provider)
}

// Action is what helps with the state, "" if only waiting does.
func (s State) Action() Action { return abouts[s].do }
