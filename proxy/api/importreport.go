package api

// ImportReport says what an import did.
type ImportReport struct {
	Imported  int             `json:"imported"`
	Unchanged int             `json:"unchanged"` // were already there and are the same
	Failed    int             `json:"failed"`
	Problems  []ImportProblem `json:"problems,omitempty"` // one for each account that failed

	// Left says what was left behind, or works differently from now on, so that somebody has
	// to do something. Warnings says what else to know.
	Left     []Problem `json:"left,omitempty"`
	Warnings []Problem `json:"warnings,omitempty"`

	// Consent lists the accounts whose users still have to sign in.
	Consent []string `json:"consent,omitempty"`
	// Servers are where their mail programs send to from now on.
	Servers []MailServer `json:"servers,omitempty"`
}

// Complete reports whether everything was carried over.
func (r ImportReport) Complete() bool { return r.Failed == 0 && len(r.Left) == 0 }

// ImportProblem is an account of an import file that could not be imported, and why. It
// contains no secret.
type ImportProblem struct {
	Index   int     `json:"index"`
	Address string  `json:"address,omitempty"`
	Problem Problem `json:"problem"`
}
