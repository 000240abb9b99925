package oauth

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/waxseal/waxseal/keystore/safeio"
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

// fields are what an answer says, by name. Names are in lower case, without underscores and hyphens:
// some providers write Error or errorDescription.
type fields map[string]json.RawMessage

var plainName = strings.NewReplacer("_", "", "-", "")

func (f fields) add(name string, value json.RawMessage) {
	name = plainName.Replace(strings.ToLower(name))
	if _, there := f[name]; !there || len(value) > 0 {
		f[name] = value
	}
}

func (f fields) get(name string) json.RawMessage { return f[plainName.Replace(name)] }

// text is the first of the fields that is a text or a number and not empty; "" for none.
func (f fields) text(names ...string) string {
	for _, name := range names {
		if s := text(f.get(name)); s != "" {
			return s
		}
	}
	return ""
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

// maxNumbers is how many of Microsoft's codes of one answer are looked at; it gives one or two.
const maxNumbers = 4

// said is what the answer says is wrong (RFC 6749 section 5.2). An error may have its name in other
// fields than those of the RFC; a success may have those for something else.
func (f fields) said(status int) said {
	s := said{code: f.text("error"), description: f.text("error_description"), more: []string{f.text("error_subtype"), f.text("suberror")}}
	for _, name := range []string{"error", "fault"} { // an object at Google's and at Apigee's APIs
		if inner, err := object(f.get(name)); err == nil && s.code == "" {
			s.code = inner.text("status", "type", "error", "code")
			s.description = cmp.Or(s.description, inner.text("message", "error_description", "description", "faultstring"))
		}
	}
	if string(f.get("error")) == "true" {
		s.code = cmp.Or(f.text("code", "error_code"), "error")
	}
	if s.code == "0" {
		s.code = ""
	}
	if status >= 400 || s.code != "" {
		if name := f.text("error_code"); strings.Trim(name, "0123456789") != "" { // numbers are each provider's own
			s.more = append(s.more, name)
		}
		s.description = cmp.Or(s.description, f.text("message", "error_message", "error_summary", "detail", "msg"))
	}
	if status >= 400 {
		s.code = cmp.Or(s.code, f.text("code", "error_code"))
	}
	var numbers []json.RawMessage
	_ = json.Unmarshal(f.get("error_codes"), &numbers)
	for _, raw := range numbers[:min(len(numbers), maxNumbers)] {
		if n, err := strconv.Atoi(text(raw)); err == nil {
			s.numbers = append(s.numbers, n)
		}
	}
	return s
}

// decode reads an answer, or says in plain English what it is instead. Of one that was cut off it
// gives what came whole.
//
// RFC 6749 section 5.1 wants JSON in UTF-8. A byte order mark and UTF-16 do no harm, and GitHub
// answers as HTML forms do:
// https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
func decode(data []byte) (fields, error) {
	if len(data) > maxAnswer {
		return nil, fmt.Errorf("an answer of more than %d KiB", maxAnswer>>10)
	}
	if text, err := safeio.Text(data); err == nil {
		data = []byte(text)
	} else if !utf8.Valid(data) { // Latin-1, as far as it matters
		runes := make([]rune, len(data))
		for i, b := range data {
			runes[i] = rune(b)
		}
		data = []byte(string(runes))
	}
	data = bytes.TrimSpace(data)
	switch {
	case len(data) == 0:
		return nil, errors.New("an empty answer")
	case isPage(data):
		return nil, errors.New("a web page instead of a token; does this network ask you to sign in, or is the address wrong?")
	case data[0] == '{':
		f, err := object(data)
		if err != nil {
			err = errNotJSON
		}
		return f, err
	}
	if f := formFields(string(data)); f != nil {
		return f, nil
	}
	return nil, errNotJSON
}

// errNotJSON takes the place of the decoder's own error, which may quote the answer.
var errNotJSON = errors.New("an answer that is not a JSON object of RFC 6749; is the address right?")

// object reads a JSON object. What follows it does not matter. Of one that was cut off it gives the
// fields that came whole, and an error.
func object(data []byte) (fields, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, errNotJSON
	}
	f := fields{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return f, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return f, err
		}
		f.add(name.(string), value)
	}
	_, err := d.Token()
	return f, err
}

// formFields reads an answer that is written as an HTML form; nil where it is none.
func formFields(data string) fields {
	values, err := url.ParseQuery(data)
	if err != nil || values.Get("access_token") == "" && values.Get("error") == "" {
		return nil
	}
	f := fields{}
	for name := range values {
		value, _ := json.Marshal(values.Get(name)) // a string
		f.add(name, value)
	}
	return f
}

// parse reads an answer. An error is an *EndpointError, for which the endpoint is to blame, or a
// *RefusedError. A new refresh token is in the answer even then: the one it replaces may be worth
// nothing now.
func parse(r reply) (answer, error) {
	f, bad := decode(r.body)
	a := answer{clockOff: r.clockOff}
	given := f.text("refresh_token")
	if printable(given) {
		a.refresh = given
	}
	if err := f.refusal(r, bad); err != nil {
		return a, err
	}
	_ = json.Unmarshal(f.get("id_token"), &a.identity) // only a consent depends on it
	a.access, a.scopes = f.text("access_token"), scopeList(f.get("scope"))
	a.life = lifetime(f.get("expires_in"), defaultLife)
	kind := strings.TrimSpace(f.text("token_type"))
	fault := &EndpointError{Status: r.status, Reason: OddAnswer}
	switch {
	case a.access == "":
		fault.Err = errors.New("an answer without access_token")
	case !printable(a.access) || given != a.refresh:
		fault.Err = errors.New("a token with characters that no token may have")
	case kind != "" && !strings.EqualFold(kind, "bearer"):
		fault.Err = fmt.Errorf("a token of type %q, want Bearer", r.clean(kind))
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
	all := text(raw)
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		all = strings.Join(list, " ")
	}
	return strings.FieldsFunc(all, func(r rune) bool { return unicode.IsSpace(r) || r == ',' })
}

// refusal is what is wrong with an answer that is not a success (RFC 6749 section 5.2), nil for one
// that may be. bad is the error of decode.
func (f fields) refusal(r reply, bad error) error {
	s := f.said(r.status)
	if s.code == "" && s.description != "" && r.status >= 400 {
		s.code = fold(http.StatusText(r.status))
	}
	reason, exact := s.reason()
	if r.status == http.StatusUnauthorized && reason == DeniedByUser && !exact {
		// Auth0's answer to a wrong secret, or one in another form than it wants: auth0/node-auth0#134
		// and nextjs-auth0#66. Nobody was asked, so nobody declined.
		reason = Refused
	}
	code, description := r.clean(s.code), r.clean(s.description)
	fault := &EndpointError{Status: r.status, Reason: Passing, Code: code, Description: description, name: fold(s.code)}
	switch {
	case r.status == http.StatusNetworkAuthenticationRequired: // RFC 6585 section 6
		fault.Reason = WebPage
		return fault
	case transient(r.status) || code != "" && reason.Class() == ByTime:
		fault.RetryAfter = retryAfter(r.header, time.Now())
		return fault
	case r.status >= 300 && r.status <= 399:
		fault.Err = fmt.Errorf("it sends the request to %s; is its address right?", r.clean(location(r.header)))
	case code != "", asksForClient(r):
		code = cmp.Or(code, fold(http.StatusText(r.status)))
		return &RefusedError{
			Status: r.status, Reason: reason, Code: code, Description: description, name: fold(s.code), exact: exact,
			client: wantsOtherClient(r.status, r.header, s.code, s.description, reason, exact),
			scope:  wantsScope(s.code, s.description, reason),
		}
	case bad != nil:
		fault.Err = bad
	case r.status < 200 || r.status > 299:
		fault.Err = errors.New("it gives no reason")
	default:
		return nil
	}
	fault.Reason = OddAnswer
	if isPage(r.body) || r.status >= 300 && r.status <= 399 { // of a hotel's network, a filter, or another address
		fault.Reason = WebPage
	}
	return fault
}

// asksForClient reports whether an answer without a code is about who asks: 401, or one that asks for HTTP
// Basic. As a page it comes from whatever stands on the way, unless both are so.
func asksForClient(r reply) bool {
	unauthorized, basic := r.status == http.StatusUnauthorized, r.status >= 400 && offersBasic(r.header)
	return unauthorized && basic || (unauthorized || basic) && !isPage(r.body)
}

// transient reports whether a status asks to try later.
func transient(status int) bool {
	return status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status == http.StatusTooEarly
}

// isPage reports whether an answer is a web page. Those come from whatever stands on the way, too.
func isPage(data []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(data), []byte("<")) }

// defaultLife is an access token's life where the provider does not give it. RFC 6749 section 5.1
// recommends giving it and leaves the rest to documentation; most give an hour. A token that ends
// sooner is refused by the mail server, which leads to a refresh and another try.
const defaultLife = time.Hour

// lifetime reads a number of seconds. RFC 6749 section 5.1 makes it a number; some providers send a
// string. A value that is not a number, or less than a second, says nothing: a token that is issued now
// is good for something, and some providers write zero for one that does not end.
func lifetime(raw json.RawMessage, otherwise time.Duration) time.Duration {
	seconds, err := strconv.ParseFloat(strings.TrimSpace(text(raw)), 64)
	if errors.Is(err, strconv.ErrRange) && seconds > 0 {
		seconds, err = maxLife, nil
	}
	if err != nil || !(seconds >= 1) {
		return otherwise
	}
	return time.Duration(min(seconds, maxLife) * float64(time.Second))
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
