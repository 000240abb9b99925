package api

import "time"

// Release is a release of Waxseal that is newer than the running one.
type Release struct {
	Version string    `json:"version"` // without "v": "1.2.0"
	Page    string    `json:"page"`    // where to read about it and get it; https
	Found   time.Time `json:"found"`   // when this computer first heard of it
}
