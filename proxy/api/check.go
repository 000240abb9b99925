package api

import (
	"time"
)

// Check is one thing that was looked at, as `waxseal doctor` and
// `waxseal send-test` print it. It holds no secret, so that it can stand in a
// bug report.
type Check struct {
	Name   string        `json:"name"`
	OK     bool          `json:"ok"`
	Result string        `json:"result"`
	Cure   string        `json:"cure,omitempty"` // what to do when it is not OK
	Took   time.Duration `json:"took_ns"`
}
