package api

import (
	"time"
)

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
	Result     string        `json:"result"`     // a key of Snapshot.Totals
	// Reply is what the mail program was told: the provider's words, or
	// Waxseal's. Other people's addresses in it are "…"; it is empty when the
	// program had left.
	Reply string `json:"reply"`
	Cure  string `json:"cure,omitempty"` // for answers of providers that are known to mean more than they say
}
