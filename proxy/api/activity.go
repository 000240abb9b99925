package api

import "time"

// Result is how a message ended, and the label of waxseal_messages_total.
type Result string

const (
	Sent     Result = "sent"     // the provider said 2xx
	Deferred Result = "deferred" // the provider said 4xx, or Waxseal was paused
	Refused  Result = "refused"  // the provider said 5xx to the message or to every recipient, or it could not be passed on
	Failed   Result = "failed"   // it was not sent: no connection, no token, connection lost
	Unclear  Result = "unknown"  // the whole message was sent, but the answer was lost
	Aborted  Result = "aborted"  // the mail program left or cancelled the message
)

// Results are all results.
var Results = []Result{Sent, Deferred, Refused, Failed, Unclear, Aborted}

// Activity is one message that ended, as the window lists it. It contains neither the
// message's content nor its recipients.
type Activity struct {
	Seq        uint64        `json:"seq"` // counts the messages since the start, from 1
	Time       time.Time     `json:"time"`
	Session    string        `json:"session"` // as in the log
	Account    string        `json:"account"`
	Recipients int           `json:"recipients"` // accepted by the provider
	Bytes      int64         `json:"bytes"`      // of the body, as far as it was received
	Took       time.Duration `json:"took"`       // from MAIL to the final reply
	Result     Result        `json:"result"`
	// Reply is what the mail program was told, by the provider or by Waxseal. Other
	// people's addresses in it are replaced by "…". It is empty if the program had left.
	Reply string `json:"reply"`
	// Problem explains the provider's reply, if Waxseal knows more about it than it says;
	// else nil.
	Problem *Problem `json:"problem,omitempty"`
}
