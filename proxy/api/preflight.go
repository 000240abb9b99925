package api

// Preflight is what an account's consent takes, known before anything is asked
// for or written.
type Preflight struct {
	// The provider, or "" where only the user can tell it: Unknown says why, and
	// Choices has those there are.
	Provider string   `json:"provider,omitempty"`
	Name     string   `json:"name,omitempty"` // for people
	Unknown  string   `json:"unknown,omitempty"`
	Choices  []Choice `json:"choices,omitempty"`

	There    bool `json:"there,omitempty"`      // the account is there already
	NoSignIn bool `json:"no_sign_in,omitempty"` // an administrator has consented for all
	Device   bool `json:"device,omitempty"`     // there is a sign-in by code (RFC 8628)

	// NoClientID says that the provider does not know this program yet, and
	// Registration how to change that.
	NoClientID   bool         `json:"no_client_id,omitempty"`
	Registration Registration `json:"registration"`
}

// Choice is a provider to choose.
type Choice struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Registration says how a person makes Waxseal known to a provider, which must
// know each program that asks for consent (RFC 6749 section 2). The window and
// `waxseal account add` show it; it has all that is needed, and docs/providers.md
// more.
type Registration struct {
	Steps  []Text `json:"steps"`           // what to click and what to enter
	Secret string `json:"secret"`          // "none", "needed" or "maybe": whether a client secret comes with the ID
	Page   string `json:"page,omitempty"`  // where to click, a URL
	Closed Text   `json:"closed,omitzero"` // why there is no way, for providers that register nobody
}
