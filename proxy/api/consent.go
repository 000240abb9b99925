package api

import "time"

// ConsentRequest is a request to sign in to an account.
type ConsentRequest struct {
	Account Account `json:"account"` // if it is there: its address, and its Login if that changes
	// New adds the account first, with ClientSecret. If nobody signs in, it is removed again.
	New          bool   `json:"new,omitempty"`
	ClientSecret string `json:"client_secret,omitempty"`

	// Protocols changes what an account that is there does, if not empty: the consent asks for all of it.
	Protocols []Protocol `json:"protocols,omitempty"`

	Device bool `json:"device,omitempty"` // with a code on another device
	Window bool `json:"window,omitempty"` // a window asks, and comes to the front after the approval
}

// Prompt is what the user is shown while an account is authorized: the address of the
// provider's page, a code to enter on any device, or a stage that has ended.
type Prompt struct {
	// Joined says that the sign-in was going on already. What has been shown of it comes again.
	Joined bool        `json:"joined,omitempty"`
	URL    string      `json:"url,omitempty"` // to open in the user's own browser
	Device *DeviceCode `json:"device,omitempty"`
	Check  *Check      `json:"check,omitempty"`
	Ends   time.Time   `json:"ends,omitzero"` // when the user has to have approved
}

// DeviceCode is what a user enters on another device (RFC 8628 section 3.2).
type DeviceCode struct {
	UserCode                string    `json:"user_code"`
	VerificationURL         string    `json:"verification_url"`
	VerificationURLComplete string    `json:"verification_url_complete,omitempty"` // contains the code; may be ""
	Expires                 time.Time `json:"expires"`
}
