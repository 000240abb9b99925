package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// answer is what a token request brought (RFC 6749 section 5.1).
type answer struct {
	access   string
	life     time.Duration
	refresh  string // a new refresh token; "" when the old one stays
	identity string // an ID token (OpenID Connect Core section 3.1.3.3), unverified
	received time.Time
}

// maxLife bounds a token's life, in seconds, so that no sum overflows.
const maxLife = 10 * 365 * 24 * 60 * 60

// body is an answer as it comes, success or error.
type body struct {
	AccessToken  string          `json:"access_token"`
	TokenType    string          `json:"token_type"`
	ExpiresIn    json.RawMessage `json:"expires_in"`
	RefreshToken string          `json:"refresh_token"`
	IDToken      json.RawMessage `json:"id_token"` // nothing depends on it but a consent
	Error        string          `json:"error"`
	Description  string          `json:"error_description"`
}

// parse reads an answer. An error is an *EndpointError, for which the endpoint is
// to blame, or a *RefusedError. A new refresh token is in the answer even then:
// the one it replaces may be worth nothing now. Foreign text passes clean.
func parse(status int, header http.Header, data []byte, clean func(string) string) (answer, error) {
	var b body
	bad := unreadable(data, &b)
	var a answer
	if printable(b.RefreshToken) {
		a.refresh = b.RefreshToken
	}
	if err := b.refusal(status, header, bad, clean); err != nil {
		return a, err
	}
	_ = json.Unmarshal(b.IDToken, &a.identity)
	a.access = b.AccessToken
	fault := &EndpointError{Status: status}
	a.life, fault.Err = tokenLife(b.ExpiresIn)
	switch {
	case b.AccessToken == "":
		fault.Err = errors.New("an answer without access_token")
	case !printable(b.AccessToken) || b.RefreshToken != "" && a.refresh == "":
		fault.Err = errors.New("a token with characters no token may have")
	case b.TokenType != "" && !strings.EqualFold(b.TokenType, "bearer"):
		fault.Err = fmt.Errorf("a token of type %q, want Bearer", clean(b.TokenType))
	}
	if fault.Err != nil {
		a.access = ""
		return a, fault
	}
	return a, nil
}

// refusal is what is wrong with an answer that is no success (RFC 6749 section
// 5.2), nil for one that may be. bad is what unreadable said of it.
func (b *body) refusal(status int, header http.Header, bad error, clean func(string) string) error {
	b.Error, b.Description = clean(b.Error), clean(b.Description)
	fault := &EndpointError{Status: status, Code: b.Error, Description: b.Description}
	switch {
	case transient(status, b.Error):
		fault.RetryAfter = retryAfter(header, time.Now())
	case status >= 300 && status <= 399:
		fault.Err = fmt.Errorf("it sends the request to %s; is its address right?", clean(location(header)))
	case bad != nil:
		fault.Err = bad
	case b.Error != "":
		return &RefusedError{Status: status, Code: b.Error, Description: b.Description}
	case status < 200 || status > 299:
		fault.Err = errors.New("it gives no reason")
	default:
		return nil
	}
	return fault
}

// transient tells the statuses and codes that ask to try later.
func transient(status int, code string) bool {
	return status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests ||
		code == "temporarily_unavailable" || code == "server_error"
}

// unreadable decodes an answer into v, or says in a person's words what it is instead.
func unreadable(data []byte, v any) error {
	if len(data) > maxAnswer {
		return fmt.Errorf("an answer of more than %d KiB", maxAnswer>>10)
	}
	data = bytes.TrimSpace(data)
	switch {
	case len(data) == 0:
		return errors.New("an empty answer")
	case data[0] == '<':
		return errors.New("a web page instead of a token; does this network ask to sign in, or is the address wrong?")
	case data[0] != '{' || json.Unmarshal(data, v) != nil:
		// The decoder's own error may quote the answer.
		return errors.New("an answer that is not a JSON object of RFC 6749; is the address right?")
	}
	return nil
}

// defaultLife is an access token's where the provider does not tell. RFC 6749
// section 5.1 recommends to tell and leaves the rest to documentation; an hour is
// what most give. A token that ends before is refused by the mail server, which
// makes for a refresh and another try.
const defaultLife = time.Hour

// tokenLife reads the expires_in of a token.
func tokenLife(raw json.RawMessage) (time.Duration, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return defaultLife, nil
	}
	return lifetime(raw)
}

// lifetime reads a number of seconds. RFC 6749 section 5.1 makes it a number;
// some providers send it as a string.
func lifetime(raw json.RawMessage) (time.Duration, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(strings.TrimSpace(text))
	}
	var seconds *float64
	if json.Unmarshal(raw, &seconds) != nil || seconds == nil {
		return 0, errors.New("an answer whose expires_in is not a number of seconds")
	}
	if *seconds < 1 {
		return 0, errors.New("a token that has already expired")
	}
	return time.Duration(min(*seconds, maxLife) * float64(time.Second)), nil
}

// printable tells whether s is of VSCHAR alone (RFC 6749 appendix A.12, A.17)
// and not empty. What is not could break out of a SASL message.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return s != ""
}

// location names the host of a redirect: its query may hold anything.
func location(header http.Header) string {
	if u, err := url.Parse(header.Get("Location")); err == nil && u.Host != "" {
		return u.Host
	}
	return "another path"
}
