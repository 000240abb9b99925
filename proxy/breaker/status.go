package breaker

import (
	"encoding/json"
	"fmt"
	"time"
)

// State is a breaker's state; the numbers are those of the metric waxseal_breaker_state.
type State int

const (
	Closed   State = 0 // calls go through
	HalfOpen State = 1 // the wait is over: one call is let through to see
	Open     State = 2 // calls are answered at once
)

var stateNames = [...]string{"closed", "half-open", "open"}

func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return fmt.Sprintf("state %d", int(s))
	}
	return stateNames[s]
}

// MarshalText gives the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *State) UnmarshalText(text []byte) error {
	for i, name := range stateNames {
		if name == string(text) {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a breaker's state", text)
}

// Status is a breaker at one moment.
type Status struct {
	Name        string
	State       State
	RetryIn     time.Duration // until it half-opens; 0 unless open
	Cause       string        // the last failure's text; "" when there was none
	Transitions uint64        // changes of state since the start
	Failures    uint32        // failed calls in a row
}

// statusJSON is a Status for other programs: seconds, rounded up.
type statusJSON struct {
	Name        string `json:"name"`
	State       State  `json:"state"`
	RetryIn     int    `json:"retry_in_seconds"`
	Cause       string `json:"cause"`
	Transitions uint64 `json:"transitions"`
	Failures    uint32 `json:"failures"`
}

// MarshalJSON writes name, state, retry_in_seconds, cause, transitions and failures.
func (s Status) MarshalJSON() ([]byte, error) {
	return json.Marshal(statusJSON{s.Name, s.State, wholeSeconds(s.RetryIn), s.Cause, s.Transitions, s.Failures})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Status) UnmarshalJSON(data []byte) error {
	var j statusJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*s = Status{j.Name, j.State, time.Duration(j.RetryIn) * time.Second, j.Cause, j.Transitions, j.Failures}
	return nil
}

// Status tells how the breaker stands. It never calls OnChange, so it may be called under any lock.
func (b *Breaker) Status() Status {
	b.cb.Load().State() // an open state whose time is over ends here
	b.mu.Lock()
	defer b.mu.Unlock()
	return Status{
		Name:        b.name,
		State:       b.state,
		RetryIn:     b.left(),
		Cause:       b.cause,
		Transitions: b.transitions.Load(),
		Failures:    b.run.Load(),
	}
}

// left is the time until the breaker half-opens. The caller holds b.mu.
func (b *Breaker) left() time.Duration {
	if b.state != Open {
		return 0
	}
	return max(0, time.Until(b.until))
}
