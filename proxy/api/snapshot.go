package api

import (
	"time"

	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// Snapshot is the state of a Server at one moment, as plain values: what the
// windows draw, what `waxseal status --json` prints and what the metrics are
// made of. It holds no secret.
type Snapshot struct {
	Version   string     `json:"version"`
	PID       int        `json:"pid"`
	Started   time.Time  `json:"started"`
	State     string     `json:"state"` // "starting", "serving", "paused" or "stopping"
	Listeners []Listener `json:"listeners"`
	Metrics   string     `json:"metrics,omitempty"` // address of /metrics, empty when it is off
	// PortTaken is why the server accepts no mail yet: see Options.WaitForPort.
	PortTaken *PortTakenError `json:"port_taken,omitempty"`

	Connections  int64            `json:"smtp_connections_active"`
	Messages     int64            `json:"concurrent_messages"`
	Upstream     UpstreamGauges   `json:"upstream_connections"`
	Totals       map[string]int64 `json:"messages_total"` // by result
	AuthFailures int64            `json:"auth_failures_total"`
	Refused      int64            `json:"connections_refused_total"` // over a limit

	// PerMinute counts the messages sent in each of the last 60 minutes, oldest
	// first; the last is the minute under way.
	PerMinute []int64 `json:"messages_per_minute"`
	// LastActivity is the Seq of the newest Activity, 0 when there is none.
	LastActivity uint64 `json:"last_activity"`

	Keystore KeystoreStatus   `json:"keystore"`
	Accounts []AccountStatus  `json:"accounts"`
	Breakers []breaker.Status `json:"breakers"`
}

// Listener is one address on which mail programs are served.
type Listener struct {
	Address  string `json:"address"`
	Security string `json:"security"` // "starttls" (plain until asked) or "tls"
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
	Kind  string `json:"kind"`            // "system", "file" or "memory"
	Error string `json:"error,omitempty"` // why it could not be read
	Cure  string `json:"cure,omitempty"`
}

// AccountStatus is what is known of one account.
type AccountStatus struct {
	Address  string `json:"address"`
	Provider string `json:"provider"`
	Name     string `json:"provider_name"`    // the provider's, for people
	State    string `json:"state"`            // an oauth.Status', or of a login that was refused "smtp_disabled", "provider_busy" or another kind
	Detail   string `json:"detail,omitempty"` // what is wrong and what to do

	Connections int64        `json:"connections"`
	Messages    int64        `json:"messages"` // in flight
	Sent        int64        `json:"sent"`     // accepted by the provider since the start
	Failed      int64        `json:"failed"`   // anything else
	LastMessage time.Time    `json:"last_message,omitzero"`
	LastResult  string       `json:"last_result,omitempty"` // how that ended: a key of Totals
	SentToday   int64        `json:"sent_today"`            // since midnight here; a new start counts from 0
	DailyLimit  int64        `json:"daily_limit,omitempty"` // the provider's; 0 when it does not say
	Upstream    PoolStatus   `json:"upstream"`
	Token       oauth.Status `json:"token"`

	ConsentUsed time.Time `json:"consent_used,omitzero"` // the last refresh that worked
	ConsentEnds time.Time `json:"consent_ends,omitzero"` // unless it is used again; zero when the provider does not say
}

// PoolStatus is the part of the provider's connection limit that an account uses.
type PoolStatus struct {
	Warm    int `json:"warm"`
	Busy    int `json:"busy"`
	Waiting int `json:"waiting"`
	Limit   int `json:"limit"`
}
