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

// Failed reports whether the message was not sent, as far as is known, or the login refused. A
// message that the mail program cancelled has not failed.
func (r Result) Failed() bool { return r != Sent && r != Aborted }

// Results are all results.
var Results = []Result{Sent, Deferred, Refused, Failed, Unclear, Aborted}

// Kind is what an Activity is about.
type Kind string

const (
	Message Kind = "message" // from a mail program
	Test    Kind = "test"    // a test message, from Waxseal itself
	Login   Kind = "login"   // a login of a mail program that failed
	Reading Kind = "reading" // a session of IMAP or POP that ended
)

// Activity is something that happened: a message or a session that ended, or a login that failed. It contains
// neither a message's content nor its recipients, nor its sender other than the account.
type Activity struct {
	ID   uint64 `json:"id"`  // stays the same when a failed login is repeated
	Seq  uint64 `json:"seq"` // counts what happens, repetitions too, from 1
	Kind Kind   `json:"kind"`
	// Time is when it ended or, of a repeated login, the last time.
	Time    time.Time `json:"time"`
	Session string    `json:"session"` // as in the log
	// Protocol is what the mail program spoke; "" means SMTP, as in histories of older versions.
	Protocol Protocol `json:"protocol,omitempty"`
	// Account is the account's address. Of a login with a name that is not an account, it is that
	// name, or "" if that is not an address either.
	Account    string        `json:"account"`
	Recipients int           `json:"recipients"` // accepted by the provider
	Bytes      int64         `json:"bytes"`      // of the body, as far as it was received
	Took       time.Duration `json:"took"`       // from MAIL to the final reply
	// Result is how a message ended. A login is Refused if only a person can help, else Deferred.
	Result Result `json:"result"`
	// Reply is what the mail program was told, by the provider or by Waxseal. Other
	// people's addresses in it are replaced by "…". It is empty if the program had left.
	Reply string `json:"reply"`
	Own   bool   `json:"own,omitempty"` // the reply is Waxseal's, not the provider's
	// Problem explains the reply, if Waxseal knows more about it than it says; else nil.
	Problem *Problem `json:"problem,omitempty"`

	// Of a session only: who ended it, and the bytes after the login; Took is its length and Reply
	// the provider's last words, if there were any.
	Ended EndedBy `json:"ended,omitempty"`
	Down  int64   `json:"bytes_down,omitempty"`
	Up    int64   `json:"bytes_up,omitempty"`

	// Of a login only: the mail program's host, such as "127.0.0.1", how often the same login
	// failed, if more than once, and the first time.
	Client string    `json:"client,omitempty"`
	Times  int       `json:"times,omitempty"`
	Since  time.Time `json:"since,omitzero"`
}

// Spoke is the protocol that the mail program spoke.
func (a Activity) Spoke() Protocol {
	if a.Protocol == "" {
		return SMTP
	}
	return a.Protocol
}

// Label says in a few words what happened.
func (a Activity) Label() Text {
	switch {
	case a.Kind == Login:
		return Say("Login failed")
	case a.Kind == Reading:
		return Say("Reading ended")
	case a.Kind == Test && a.Result == Sent:
		return Say("Test sent")
	case a.Kind == Test && a.Result == Aborted:
		return Say("Test cancelled")
	case a.Kind == Test:
		return Say("Test not sent")
	}
	return a.Result.Label()
}

// Failed reports whether it is something that should not have happened. A session that ended has
// failed if its connection to the provider was lost.
func (a Activity) Failed() bool {
	if a.Kind == Reading {
		return a.Ended == ByNetwork
	}
	return a.Result.Failed()
}

// Cause says in a few words why a login failed or a session ended, and for everything else what
// happened.
func (a Activity) Cause() Text {
	switch {
	case a.Kind == Reading:
		return a.Ended.Label()
	case a.Kind != Login || a.Problem == nil:
		return a.Label()
	case a.Problem.State != "":
		return a.Problem.State.Label()
	}
	return a.Problem.What
}

// Label is a message's result in a few words.
func (r Result) Label() Text {
	switch r {
	case Sent:
		return Say("Sent")
	case Deferred:
		return Say("Deferred")
	case Refused:
		return Say("Refused")
	case Failed:
		return Say("Failed")
	case Unclear:
		return Say("May have been delivered")
	case Aborted:
		return Say("Cancelled by the mail program")
	}
	return Say("{{.Result}}", "Result", string(r))
}
