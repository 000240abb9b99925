package api

import "slices"

// Preflight is what an account's consent takes, known before anything is asked
// for or written.
type Preflight struct {
	// Provider is "" if only the user knows the provider: Unknown says why, and Choices lists
	// those to choose from.
	Provider string   `json:"provider,omitempty"`
	Name     string   `json:"name,omitempty"` // for people
	Unknown  *Problem `json:"unknown,omitempty"`
	Choices  []Choice `json:"choices,omitempty"`

	There    bool   `json:"there,omitempty"`      // the account is there already
	ClientID string `json:"client_id,omitempty"`  // by which the provider knows this program
	NoSignIn bool   `json:"no_sign_in,omitempty"` // an administrator has consented for all
	Device   bool   `json:"device,omitempty"`     // there is a sign-in by code (RFC 8628)

	// Protocols are those that the provider has a server for; none means SMTP alone.
	Protocols []Protocol `json:"protocols,omitempty"`
	// ReadingScopes says that reading takes permissions that sending does not, so that the sign-in
	// page asks for more, and an account that is there signs in again.
	ReadingScopes bool `json:"reading_scopes,omitempty"`

	// NoClientID says that the provider does not know this program yet, and
	// Registration how to change that.
	NoClientID   bool         `json:"no_client_id,omitempty"`
	Registration Registration `json:"registration"`

	PageErrors []PageError `json:"page_errors,omitempty"` // what the sign-in page may say instead
}

// PageError is an error or a warning that a provider's own page shows, and which Waxseal does not
// hear of.
type PageError struct {
	Code  string `json:"code,omitempty"` // as the page shows it, or several with commas; "" if it has none
	Means Text   `json:"means"`
	Cure  Text   `json:"cure"`
	Link  string `json:"link,omitempty"` // where to do it
	Copy  string `json:"copy,omitempty"` // a value to enter, or to send to somebody
}

// Choice is a provider to choose.
type Choice struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Registration says how a person registers Waxseal with a provider, which must know each
// program that asks for consent (RFC 6749 section 2). The window and `waxseal account add` show
// it. It is complete; docs/providers.md explains more.
type Registration struct {
	Steps  []Step `json:"steps"`
	Secret string `json:"secret"` // "none", "needed" or "maybe": whether a client secret comes with the ID
	// Tenant says that a registration may be for one directory only, which must then be named.
	Tenant bool `json:"tenant,omitempty"`
	Closed Text `json:"closed,omitzero"` // why nobody can register, and what to do instead
}

// Step is one step of a registration: one page and what to do there.
type Step struct {
	Text Text   `json:"text"`
	Link string `json:"link,omitempty"` // the page
	Copy string `json:"copy,omitempty"` // a value to enter, or a command to run
}

// Offers reports whether the provider has a server for p.
func (p Preflight) Offers(protocol Protocol) bool {
	return slices.Contains(p.Protocols, protocol) || len(p.Protocols) == 0 && protocol == SMTP
}
