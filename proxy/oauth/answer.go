package oauth

import (
	"bytes"
	"cmp"
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
	refresh  string   // a new refresh token; "" when the old one stays
	identity string   // an ID token (OpenID Connect Core section 3.1.3.3), unverified
	scopes   []string // that were granted; nil when the answer does not say
	received time.Time
	clockOff time.Duration // see [ClockOff]
}

// maxLife bounds a token's life, in seconds, so that no sum overflows.
const maxLife = 10 * 365 * 24 * 60 * 60

// body is an answer as it comes, success or error.
type body struct {
	AccessToken  string          `json:"access_token"`
	TokenType    string          `json:"token_type"`
	ExpiresIn    json.RawMessage `json:"expires_in"`
	RefreshToken string          `json:"refresh_token"`
	IDToken      json.RawMessage `json:"id_token"` // only a consent depends on it
	Scope        json.RawMessage `json:"scope"`
	refusalBody
}

// refusalBody is the part of an answer that says what is wrong (RFC 6749 section 5.2), with the
// fields that providers have instead, or in addition.
type refusalBody struct {
	Error       json.RawMessage `json:"error"` // some have an object
	Description json.RawMessage `json:"error_description"`
	Numbers     json.RawMessage `json:"error_codes"`   // Microsoft
	Subtype     json.RawMessage `json:"error_subtype"` // Google
	Suberror    json.RawMessage `json:"suberror"`      // Microsoft
	Message     json.RawMessage `json:"message"`
	Code        json.RawMessage `json:"code"`
}

// said is what the answer says is wrong. An error may have its name in other fields than those of
// the RFC, a success may have those fields for something else.
func (b *refusalBody) said(status int) said {
	s := said{code: text(b.Error), description: text(b.Description), more: []string{text(b.Subtype), text(b.Suberror)}}
	var nested struct{ Code, Status, Type, Message json.RawMessage }
	if s.code == "" && json.Unmarshal(b.Error, &nested) == nil {
		s.code = cmp.Or(text(nested.Status), text(nested.Type), text(nested.Code))
		s.description = cmp.Or(s.description, text(nested.Message))
	}
	if s.code == "0" {
		s.code = ""
	}
	if status >= 400 {
		s.code, s.description = cmp.Or(s.code, text(b.Code)), cmp.Or(s.description, text(b.Message))
	}
	_ = json.Unmarshal(b.Numbers, &s.numbers)
	return s
}

// text is a JSON string or number, or "".
func text(raw json.RawMessage) string {
	var s string
	var n json.Number
	switch {
	case json.Unmarshal(raw, &s) == nil:
		return s
	case json.Unmarshal(raw, &n) == nil:
		return n.String()
	}
	return ""
}

// parse reads an answer. An error is an *EndpointError, for which the endpoint is to blame, or a
// *RefusedError. A new refresh token is in the answer even then: the one it replaces may be worth
// nothing now.
func parse(r reply) (answer, error) {
	var b body
	bad := unreadable(r.body, &b)
	a := answer{clockOff: r.clockOff}
	if printable(b.RefreshToken) {
		a.refresh = b.RefreshToken
	}
	if err := b.refusal(r, bad); err != nil {
		return a, err
	}
	_ = json.Unmarshal(b.IDToken, &a.identity)
	a.access, a.scopes = b.AccessToken, scopeList(b.Scope)
	fault := &EndpointError{Status: r.status, Reason: OddAnswer}
	a.life, fault.Err = tokenLife(b.ExpiresIn)
	switch {
	case b.AccessToken == "":
		fault.Err = errors.New("an answer without access_token")
	case !printable(b.AccessToken) || b.RefreshToken != "" && a.refresh == "":
		fault.Err = errors.New("a token with characters that no token may have")
	case b.TokenType != "" && !strings.EqualFold(b.TokenType, "bearer"):
		fault.Err = fmt.Errorf("a token of type %q, want Bearer", r.clean(b.TokenType))
	}
	if fault.Err != nil {
		a.access = ""
		return a, fault
	}
	return a, nil
}

// scopeList reads the scope of an answer: a list in a string (RFC 6749 section 3.3), with commas at
// some providers, or in JSON.
func scopeList(raw json.RawMessage) []string {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	return strings.FieldsFunc(text(raw), func(r rune) bool { return r == ' ' || r == ',' })
}

// refusal is what is wrong with an answer that is not a success (RFC 6749 section 5.2), nil for one
// that may be. bad is the error of unreadable.
func (b *refusalBody) refusal(r reply, bad error) error {
	s := b.said(r.status)
	reason, exact := s.reason()
	code, description := r.clean(s.code), r.clean(s.description)
	fault := &EndpointError{Status: r.status, Reason: Passing, Code: code, Description: description}
	switch {
	case transient(r.status) || code != "" && reason.Class() == ByTime:
		fault.RetryAfter = retryAfter(r.header, time.Now())
		return fault
	case r.status >= 300 && r.status <= 399:
		fault.Err = fmt.Errorf("it sends the request to %s; is its address right?", r.clean(location(r.header)))
	case code != "", r.status == http.StatusUnauthorized && (offersBasic(r.header) || !isPage(r.body)):
		if code == "" {
			code = "unauthorized"
		}
		return &RefusedError{
			Status: r.status, Reason: reason, Code: code, Description: description, exact: exact,
			client: wantsOtherClient(r.status, r.header, code, s.description, reason, exact),
			scope:  wantsScope(code, s.description),
		}
	case bad != nil:
		fault.Err = bad
	case r.status < 200 || r.status > 299:
		fault.Err = errors.New("it gives no reason")
	default:
		return nil
	}
	fault.Reason = OddAnswer
	return fault
}

// transient reports whether a status asks to try later.
func transient(status int) bool {
	return status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
}

// unreadable decodes an answer into v, or says in plain English what it is instead.
func unreadable(data []byte, v any) error {
	if len(data) > maxAnswer {
		return fmt.Errorf("an answer of more than %d KiB", maxAnswer>>10)
	}
	page := isPage(data)
	data = bytes.TrimSpace(data)
	switch {
	case len(data) == 0:
		return errors.New("an empty answer")
	case page:
		return errors.New("a web page instead of a token; does this network ask you to sign in, or is the address wrong?")
	case data[0] != '{' || json.Unmarshal(data, v) != nil:
		// The decoder's own error may quote the answer.
		return errors.New("an answer that is not a JSON object of RFC 6749; is the address right?")
	}
	return nil
}

// isPage reports whether an answer is a web page. Those come from whatever stands on the way, too.
func isPage(data []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(data), []byte("<")) }

// defaultLife is an access token's life where the provider does not give it. RFC 6749 section 5.1
// recommends giving it and leaves the rest to documentation; most give an hour. A token that ends
// sooner is refused by the mail server, which leads to a refresh and another try.
const defaultLife = time.Hour

// tokenLife reads the expires_in of a token.
func tokenLife(raw json.RawMessage) (time.Duration, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return defaultLife, nil
	}
	return lifetime(raw)
}

// lifetime reads a number of seconds. RFC 6749 section 5.1 makes it a number; some providers send a
// string.
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

// printable reports whether s is not empty and has VSCHAR alone (RFC 6749 appendix A.12, A.17). Other
// characters could break out of a SASL message.
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
