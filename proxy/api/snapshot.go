package api

import "time"

// Snapshot is the state of a Server at one moment, as plain values: what the
// windows draw, what `waxseal status --json` prints and what the metrics are
// made of. It holds no secret.
type Snapshot struct {
	Version   string      `json:"version"`
	PID       int         `json:"pid"`
	Started   time.Time   `json:"started"`
	State     ServerState `json:"state"`
	Listeners []Listener  `json:"listeners"`
	Metrics   string      `json:"metrics,omitempty"` // address of /metrics, empty when it is off
	// PortTaken is why the server accepts no mail yet: see Options.WaitForPort.
	PortTaken *PortTakenError `json:"port_taken,omitempty"`

	Connections  int64            `json:"smtp_connections_active"`
	Messages     int64            `json:"concurrent_messages"`
	Upstream     UpstreamGauges   `json:"upstream_connections"`
	Totals       map[Result]int64 `json:"messages_total"`
	AuthFailures int64            `json:"auth_failures_total"`
	Refused      int64            `json:"connections_refused_total"` // over a limit

	// PerMinute counts the messages sent in each of the last 60 minutes, oldest
	// first; the last is the minute under way.
	PerMinute []int64 `json:"messages_per_minute"`
	// LastActivity is the Seq of the newest Activity, 0 when there is none.
	LastActivity uint64 `json:"last_activity"`

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
	Stopping ServerState = "stopping"
)

// Passing finds trouble that should end by itself: an account's, else a breaker's
// that is open. provider is whose it is, for people.
func (s Snapshot) Passing() (state State, provider string, ok bool) {
	for _, a := range s.Accounts {
		if a.State.Severity() == Passing {
			return a.State, a.Name, true
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
	return "", "", false
}

// Listener is one address on which mail programs are served.
type Listener struct {
	Protocol string `json:"protocol"` // "smtp"
	Address  string `json:"address"`  // host:port
	TLS      bool   `json:"tls"`      // from the first byte (RFC 8314); else plain, with STARTTLS (RFC 3207)
}

// Security names the listener's way of TLS in the words of mail programs.
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
	Limit    int64 `json:"limit"` // as many as all accounts' providers allow
}

// KeystoreStatus says where secrets are kept and whether they could be read
// when that was last tried.
type KeystoreStatus struct {
	Kind    string   `json:"kind"`              // "system", "file" or "memory"
	Problem *Problem `json:"problem,omitempty"` // why it could not be read; nil when it could
}

// AccountStatus is what is known of one account.
type AccountStatus struct {
	Address  string `json:"address"`
	Provider string `json:"provider"`
	Name     string `json:"provider_name"` // the provider's, for people
	State    State  `json:"state"`
	// Problem is what is wrong and what to do, where the state is passing trouble or
	// needs somebody; nil for other states.
	Problem *Problem `json:"problem,omitempty"`

	Connections int64      `json:"connections"`
	Messages    int64      `json:"messages"` // in flight
	Sent        int64      `json:"sent"`     // accepted by the provider since the start
	Failed      int64      `json:"failed"`   // anything else
	LastMessage time.Time  `json:"last_message,omitzero"`
	LastResult  Result     `json:"last_result,omitempty"` // how that ended
	SentToday   int64      `json:"sent_today"`            // since midnight here; a new start counts from 0
	DailyLimit  int64      `json:"daily_limit,omitempty"` // the provider's; 0 when it does not say
	Upstream    PoolStatus `json:"upstream"`
	Token       Token      `json:"token"`

	ConsentUsed time.Time `json:"consent_used,omitzero"` // the last refresh that worked
	ConsentEnds time.Time `json:"consent_ends,omitzero"` // unless it is used again; zero when the provider does not say
}

// Trouble is the account's Problem; where it has none it is made of the state alone,
// so that there are always words to show.
func (a AccountStatus) Trouble() *Problem {
	if a.Problem != nil {
		return a.Problem
	}
	return &Problem{State: a.State, Account: a.Address, Lasting: a.State.Severity() == NeedsSomebody,
		What: Say("{{.Account}}: {{.Provider}} does not accept mail at the moment.", "Account", a.Address, "Provider", a.Name), Do: a.State.Action()}
}

// Token is how an account's access token is.
type Token struct {
	Expiry      time.Time `json:"expiry,omitzero"`
	LastRefresh time.Time `json:"last_refresh,omitzero"` // that worked
	Unsaved     bool      `json:"unsaved,omitempty"`     // a new refresh token is in memory only
}

// PoolStatus is the part of the provider's connection limit that an account uses.
type PoolStatus struct {
	Warm    int `json:"warm"`
	Busy    int `json:"busy"`
	Waiting int `json:"waiting"`
	Limit   int `json:"limit"`
}

// BreakerState is how a circuit breaker is.
type BreakerState string

const (
	Closed   BreakerState = "closed"    // requests go through
	HalfOpen BreakerState = "half-open" // one request may try
	Open     BreakerState = "open"      // requests are answered at once
)

// Breaker is a circuit breaker in front of one of a provider's servers.
type Breaker struct {
	Name        string       `json:"name"`               // "token HOST/PATH" or "smtp HOST:PORT"
	Provider    string       `json:"provider,omitempty"` // whose server it is, for people; "" where no account uses it now
	Mail        bool         `json:"mail"`               // it is the mail server; else the sign-in server
	State       BreakerState `json:"state"`
	RetryIn     int          `json:"retry_in_seconds"` // until it lets a request try, rounded up; 0 unless open
	Cause       string       `json:"cause"`            // the last failure; "" when there was none
	Transitions uint64       `json:"transitions"`      // changes of state since the start
	Failures    uint32       `json:"failures"`         // in a row
}
