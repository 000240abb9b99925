package api

import "time"

// Result is how a message ended, and the label of waxseal_messages_total.
type Result string

const (
	Sent     Result = "sent"     // the provider said 2xx
	Deferred Result = "deferred" // the provider said 4xx, or Waxseal while it is paused
	Refused  Result = "refused"  // the provider said 5xx, to the message or to every recipient, or it could not be passed on
	Failed   Result = "failed"   // it never reached the end: no connection, no token, connection lost
	Unclear  Result = "unknown"  // all of it was sent and the answer was lost
	Aborted  Result = "aborted"  // the client left or took it back
)

// Results are all of them.
var Results = []Result{Sent, Deferred, Refused, Failed, Unclear, Aborted}

// Activity is one message that ended, as the windows list it. It holds nothing
// of the message's content, nor whom it went to.
type Activity struct {
	Seq        uint64        `json:"seq"` // 1 for the first message since the start, then upwards
	Time       time.Time     `json:"time"`
	Session    string        `json:"session"` // as the log names it
	Account    string        `json:"account"`
	Recipients int           `json:"recipients"` // accepted by the provider
	Bytes      int64         `json:"bytes"`      // of the body, as far as it came
	Took       time.Duration `json:"took"`       // from MAIL to the final reply
	Result     Result        `json:"result"`
	// Reply is what the mail program was told: the provider's words, or
	// Waxseal's. Other people's addresses in it are "…"; it is empty when the
	// program had left.
	Reply string `json:"reply"`
	// Problem explains answers of providers that are known to mean more than they say;
	// nil for all others.
	Problem *Problem `json:"problem,omitempty"`
}
