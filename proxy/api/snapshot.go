package api

import "time"

// Snapshot is the state of a Server at one moment, as plain values. The window shows it,
// `waxseal status --json` prints it, and the metrics have the same figures. It contains no
// secret.
type Snapshot struct {
	Version   string      `json:"version"`
	Instance  string      `json:"instance,omitempty"` // the machine's name among several
	PID       int         `json:"pid"`
	Started   time.Time   `json:"started"`
	State     ServerState `json:"state"`
	Listeners []Listener  `json:"listeners"`
	Metrics   string      `json:"metrics,omitempty"` // address of /metrics, "" if they are off
	// Update is a newer release of Waxseal; nil if none is known.
	Update *Release `json:"update,omitempty"`
	// PortTaken says why the server accepts no mail yet: see Options.WaitForPort.
	PortTaken *PortTakenError `json:"port_taken,omitempty"`

	Connections  int64            `json:"smtp_connections_active"` // of programs that send
	Clients      int64            `json:"connections_active"`      // of all mail programs
	Messages     int64            `json:"concurrent_messages"`
	Upstream     UpstreamGauges   `json:"upstream_connections"`
	Totals       map[Result]int64 `json:"messages_total"`
	AuthFailures int64            `json:"auth_failures_total"`
	Refused      int64            `json:"connections_refused_total"` // because of a limit

	// Reading are the gauges and totals of IMAP and POP, in that order; none if no account reads.
	Reading []ReadGauges `json:"reading,omitempty"`

	// PerMinute counts the messages sent in each of the last 60 minutes, oldest first; the
	// last one is the current minute.
	PerMinute []int64 `json:"messages_per_minute"`
	// LastActivity is the Seq of the newest Activity, 0 if there is none.
	LastActivity uint64 `json:"last_activity"`
	// Failures are the latest messages and logins of the last hour that failed, newest first and
	// at most five.
	Failures []Activity `json:"recent_failures,omitempty"`

	// Fleet are the machines that share the accounts; nil if this one is alone.
	Fleet *Fleet `json:"fleet,omitempty"`

	Keystore KeystoreStatus  `json:"keystore"`
	Accounts []AccountStatus `json:"accounts"`
	Breakers []Breaker       `json:"breakers"`
}

// ServerState is what a server is doing.
type ServerState string

const (
	Starting ServerState = "starting"
	Serving  ServerState = "serving"
	Paused   ServerState = "paused"
	Draining ServerState = "draining" // serves as before, but wants no more connections; see proxy.Server.Drain
	Stopping ServerState = "stopping"
)

// Passing finds a problem that should end by itself: a server's or the network's, which an account
// or an open breaker tells of, or else that an account's messages are not sent. provider is
// the name of the provider that has it, for people.
func (s Snapshot) Passing() (state State, provider string, ok bool) {
	for _, a := range s.Accounts {
		if state, _, _ := a.Overall(); state.Severity() == Passing && !state.OfMessages() {
			return state, a.Name, true
		}
	}
	for _, b := range s.Breakers {
		if b.State == Open {
			state = SignInDown
			if b.Mail {
				state = MailServerDown
			}
			if b.Provider == "" {
				return state, b.Name, true
			}
			return state, b.Provider, true
		}
	}
	for _, a := range s.Accounts {
		if state, _, _ := a.Overall(); state.OfMessages() {
			return state, a.Name, true
		}
	}
	return "", "", false
}

// Listener is an address on which mail programs are served.
type Listener struct {
	Protocol Protocol `json:"protocol"`
	Address  string   `json:"address"` // host:port
	TLS      bool     `json:"tls"`     // from the first byte (RFC 8314); else STARTTLS (RFC 3207)
}

// Security names the listener's kind of TLS in the words of mail programs.
func (l Listener) Security() string {
	if l.TLS {
		return "TLS"
	}
	return "STARTTLS"
}

// UpstreamGauges counts the connections to providers by what they are doing.
type UpstreamGauges struct {
	Dialling int64 `json:"dialling"`
	Warm     int64 `json:"warm"`  // authenticated, waiting for a message
	Busy     int64 `json:"busy"`  // carrying a message
	Limit    int64 `json:"limit"` // how many the providers of all accounts allow
}

// KeystoreStatus says where secrets are kept and whether the last attempt to read one
// worked.
type KeystoreStatus struct {
	Kind    string   `json:"kind"`              // "system", "file" or "memory"
	Problem *Problem `json:"problem,omitempty"` // why it could not be read; nil if it could
}

// AccountStatus is the status of one account.
type AccountStatus struct {
	Address  string `json:"address"`
	Provider string `json:"provider"`
	Name     string `json:"provider_name"`       // the provider's name, for people
	ClientID string `json:"client_id,omitempty"` // of the registration that it uses
	State    State  `json:"state"`
	// Problem says what is wrong and what to do, if the severity of State is Passing or
	// NeedsSomebody; else nil.
	Problem *Problem `json:"problem,omitempty"`

	Protocols []Protocol   `json:"protocols"`         // what it does
	Reading   []ReadStatus `json:"reading,omitempty"` // IMAP and POP, where the account does them

	Connections int64      `json:"connections"` // of mail programs that send
	Messages    int64      `json:"messages"`    // in flight
	Sent        int64      `json:"sent"`        // accepted by the provider since the start
	Failed      int64      `json:"failed"`      // not accepted
	LastMessage time.Time  `json:"last_message,omitzero"`
	LastResult  Result     `json:"last_result,omitempty"` // how the last message ended
	SentToday   int64      `json:"sent_today"`            // messages since midnight in local time; without a history, since the start at the earliest
	Recipients  int64      `json:"recipients_today"`      // of those messages
	Limits      []LimitUse `json:"limits,omitempty"`      // those that the provider has
	Upstream    PoolStatus `json:"upstream"`
	Token       Token      `json:"token"`

	ConsentUsed time.Time `json:"consent_used,omitzero"` // the last refresh that worked
	ConsentEnds time.Time `json:"consent_ends,omitzero"` // unless it is used again; zero if the provider does not say
}

// ReadGauges are the gauges and totals of one protocol for reading, of all accounts.
type ReadGauges struct {
	Protocol    Protocol          `json:"protocol"`
	Connections int64             `json:"connections"`      // of mail programs, logged in or not
	Sessions    int64             `json:"sessions"`         // that a provider has let in
	Spares      int64             `json:"spares"`           // connections to providers that wait for a mail program
	Logins      int64             `json:"logins_total"`     // that a provider has let in
	Down        int64             `json:"bytes_down_total"` // to mail programs, after their login
	Up          int64             `json:"bytes_up_total"`
	Ended       map[EndedBy]int64 `json:"ended_total"`
}

// ReadStatus is what an account does with IMAP or POP.
type ReadStatus struct {
	Protocol  Protocol  `json:"protocol"`
	State     State     `json:"state"`             // Unused, Ready, or why the last login at the provider failed
	Problem   *Problem  `json:"problem,omitempty"` // explains State, where its severity is Passing or NeedsSomebody
	Sessions  int64     `json:"sessions"`
	Spare     bool      `json:"spare,omitempty"`
	Limit     int64     `json:"limit,omitempty"` // of connections, the provider's; 0 if it does not say
	Logins    int64     `json:"logins"`          // since the start
	Down      int64     `json:"bytes_down"`
	Up        int64     `json:"bytes_up"`
	LastLogin time.Time `json:"last_login,omitzero"`
}

// EndedBy says who ended a session of reading, and is the label of waxseal_read_sessions_ended_total.
type EndedBy string

const (
	ByProgram  EndedBy = "program"  // the mail program logged out or left
	ByProvider EndedBy = "provider" // such as at the end of a token, or for maintenance; programs log in again
	ByWaxseal  EndedBy = "waxseal"  // a stop, or the account was removed
	ByNetwork  EndedBy = "network"  // the connection to the provider was dead
)

// EndedBys are all values of EndedBy.
var EndedBys = []EndedBy{ByProgram, ByProvider, ByWaxseal, ByNetwork}

// LimitKind is one of the sending limits that a provider may have.
type LimitKind string

const (
	MessagesPerMinute LimitKind = "messages_per_minute"
	MessagesPerDay    LimitKind = "messages_per_day"
	RecipientsPerDay  LimitKind = "recipients_per_day" // a message to five people counts as five
)

// LimitUse is how much of a sending limit an account has used: in the last minute, or in the last 24 hours.
type LimitUse struct {
	Kind  LimitKind `json:"kind"`
	Used  int64     `json:"used"`
	Limit int64     `json:"limit"`
	Until time.Time `json:"until,omitzero"` // of a day's limit that is reached: when the account can send again
}

// Limit is how much the account has used of a limit; ok is false if the provider has no such limit.
func (a AccountStatus) Limit(k LimitKind) (u LimitUse, ok bool) {
	for _, u := range a.Limits {
		if u.Kind == k {
			return u, true
		}
	}
	return u, false
}

// Token is the status of an account's access token.
type Token struct {
	Expiry      time.Time `json:"expiry,omitzero"`
	LastRefresh time.Time `json:"last_refresh,omitzero"` // the last refresh that worked
	Unsaved     bool      `json:"unsaved,omitempty"`     // a new refresh token is in memory only
}

// PoolStatus is the part of the provider's connection limit that an account uses.
type PoolStatus struct {
	Warm    int `json:"warm"`
	Busy    int `json:"busy"`
	Waiting int `json:"waiting"` // messages that wait for their turn, or for a connection
	Limit   int `json:"limit"`
}

// BreakerState is the state of a circuit breaker.
type BreakerState string

const (
	Closed   BreakerState = "closed"    // requests go through
	HalfOpen BreakerState = "half-open" // one request is let through to see whether the server is back
	Open     BreakerState = "open"      // requests fail at once
)

// Breaker is a circuit breaker in front of one of a provider's servers.
type Breaker struct {
	Name        string       `json:"name"`               // "token HOST/PATH", or the protocol and HOST:PORT as in "smtp HOST:PORT"
	Provider    string       `json:"provider,omitempty"` // the provider's name, for people; "" if no account uses the server now
	Mail        bool         `json:"mail"`               // for a mail server; else for a sign-in server
	Protocol    Protocol     `json:"protocol,omitempty"` // of a mail server; "" means SMTP
	State       BreakerState `json:"state"`
	RetryIn     int          `json:"retry_in_seconds"` // until it lets a request through, rounded up; 0 unless open
	Cause       string       `json:"cause"`            // the last failure; "" if there was none
	Transitions uint64       `json:"transitions"`      // changes of state since the start
	Failures    uint32       `json:"failures"`         // in a row
}
