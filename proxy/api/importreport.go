package api

// ImportReport says what an import did.
type ImportReport struct {
	Imported  int             `json:"imported"`
	Unchanged int             `json:"unchanged"` // were there already, the same
	Failed    int             `json:"failed"`
	Problems  []ImportProblem `json:"problems,omitempty"` // one for each that failed
	Warnings  []string        `json:"warnings,omitempty"`

	// Consent are the accounts whose users must still sign in.
	Consent []string `json:"consent,omitempty"`
	// Servers are where their mail programs send to from now on.
	Servers []MailServer `json:"servers,omitempty"`
}

// ImportProblem is one account of an import file that cannot be taken, and why.
// It holds no secret.
type ImportProblem struct {
	Index   int    `json:"index"`
	Address string `json:"address,omitempty"`
	Problem string `json:"problem"`
}
