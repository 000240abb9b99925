package api

import (
	"github.com/waxseal/waxseal/proxy/oauth"
)

// Prompt is what the user is shown while an account is authorized: the address
// of the provider's page, or a code to enter on any device, or a stage that has
// ended.
type Prompt struct {
	URL    string            `json:"url,omitempty"` // to be opened in the user's own browser
	Device *oauth.DeviceCode `json:"device,omitempty"`
	Check  *Check            `json:"check,omitempty"`
}
