package api

import "slices"

// Label says who ended a session, as a phrase that may stand by itself.
func (e EndedBy) Label() Text {
	switch e {
	case ByProgram:
		return Say("Ended by the mail program")
	case ByProvider:
		return Say("Ended by the provider")
	case ByWaxseal:
		return Say("Ended by Waxseal")
	case ByNetwork:
		return Say("Connection lost")
	}
	return Say("{{.Ended}}", "Ended", string(e))
}

// Meaning explains why a session ended, and whether anybody has to do anything; it is zero if
// there is nothing to explain.
func (e EndedBy) Meaning() Text {
	switch e {
	case ByProvider:
		return Say("This is normal: the provider ends a session when its access token expires. Mail programs log in again by themselves.")
	case ByWaxseal:
		return Say("Waxseal was stopped, or the account was changed. Mail programs log in again by themselves.")
	case ByNetwork:
		return Say("This happens when the computer was asleep or has changed its network. Mail programs log in again by themselves. If it happens often, check the network.")
	}
	return Text{}
}

// Reads reports whether the account reads mail.
func (a AccountStatus) Reads() bool { return len(a.Reading) > 0 }

// Sends reports whether the account sends mail, as all do of an instance that names no protocols.
func (a AccountStatus) Sends() bool { return len(a.Protocols) == 0 || a.Uses(SMTP) }

// Uses reports whether the account does p.
func (a AccountStatus) Uses(p Protocol) bool {
	return slices.Contains(a.Protocols, p)
}

// Overall is the account as a whole: the state of the protocol that is worst off, with its
// problem, and the protocol: SMTP for the account's own State.
func (a AccountStatus) Overall() (State, *Problem, Protocol) {
	state, problem, protocol := a.State, a.Problem, SMTP
	for _, r := range a.Reading {
		worse := r.State.Severity() > state.Severity()
		if worse || state == Unused && r.State == Ready {
			state, problem, protocol = r.State, r.Problem, r.Protocol
		}
	}
	return state, problem, protocol
}

// Severity is that of the account as a whole.
func (a AccountStatus) Severity() Severity {
	state, _, _ := a.Overall()
	return state.Severity()
}

// Trouble returns what is wrong with the account as a whole. If no Problem says it, it makes one
// from the state alone, so that there is always something to show.
func (a AccountStatus) Trouble() *Problem {
	state, problem, protocol := a.Overall()
	if problem != nil {
		return problem
	}
	what := Say("{{.Account}}: {{.Provider}} does not accept mail at the moment.", "Account", a.Address, "Provider", a.Name)
	if protocol.Reads() {
		what = Say("{{.Account}}: mail programs can’t read mail from {{.Provider}} at the moment.", "Account", a.Address, "Provider", a.Name)
	}
	return &Problem{State: state, Account: a.Address, Lasting: state.Severity() == NeedsSomebody, What: what, Do: state.Action()}
}

// Reads reports whether some account reads mail.
func (s Snapshot) Reads() bool { return len(s.Reading) > 0 }

// Programs is how many connections mail programs have, each counted once.
func (s Snapshot) Programs() int64 {
	if s.Reads() {
		return s.Clients
	}
	return s.Connections
}
