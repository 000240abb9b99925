package api

import "time"

// Prompt is what the user is shown while an account is authorized: the address of the
// provider's page, a code to enter on any device, or a stage that has ended.
type Prompt struct {
	URL    string      `json:"url,omitempty"` // to open in the user's own browser
	Device *DeviceCode `json:"device,omitempty"`
	Check  *Check      `json:"check,omitempty"`
}

// DeviceCode is what a user enters on another device (RFC 8628 section 3.2).
type DeviceCode struct {
	UserCode                string    `json:"user_code"`
	VerificationURL         string    `json:"verification_url"`
	VerificationURLComplete string    `json:"verification_url_complete,omitempty"` // contains the code; may be ""
	Expires                 time.Time `json:"expires"`
}
