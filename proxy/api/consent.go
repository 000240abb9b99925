package api

import "time"

// Prompt is what the user is shown while an account is authorized: the address
// of the provider's page, or a code to enter on any device, or a stage that has
// ended.
type Prompt struct {
	URL    string      `json:"url,omitempty"` // to be opened in the user's own browser
	Device *DeviceCode `json:"device,omitempty"`
	Check  *Check      `json:"check,omitempty"`
}

// DeviceCode is what a user enters on another device (RFC 8628 section 3.2).
type DeviceCode struct {
	UserCode                string    `json:"user_code"`
	VerificationURL         string    `json:"verification_url"`
	VerificationURLComplete string    `json:"verification_url_complete,omitempty"` // with the code in it; may be ""
	Expires                 time.Time `json:"expires"`
}
