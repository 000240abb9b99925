package dial

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// maxField bounds what is kept of a report's field, in bytes, and maxReport of a whole one.
const (
	maxField  = 200
	maxReport = 1000
)

// Report is the JSON with which a server refuses a token, in a challenge (RFC 7628 section 3.2.2;
// Google's XOAUTH2 has the same fields).
type Report struct {
	Status  string `json:"status"` // Google: an HTTP status such as "400"; RFC 7628: a word such as "invalid_token"
	Schemes string `json:"schemes,omitempty"`
	Scope   string `json:"scope,omitempty"` // what the token should allow
}

// ReadReport reads a challenge that comes instead of a login, and gives its text fit to be shown. The token
// is taken out of both. A challenge that cannot be read gives an empty report.
//
// The refusal itself comes only after an answer to the challenge, the [Acknowledgement].
func ReadReport(challenge, token string) (r Report, text string) {
	text = string(reportText(challenge))
	if c := Cleaner(token); c.Holds(text) {
		text = c.Hide(text)
	}
	var fields map[string]any
	if json.Unmarshal([]byte(text), &fields) == nil {
		field := func(name string) string {
			v, ok := fields[name]
			if !ok || v == nil {
				return ""
			}
			return shown(fmt.Sprint(v), maxField) // a status may be a number
		}
		r = Report{Status: field("status"), Schemes: field("schemes"), Scope: field("scope")}
	}
	return r, shown(text, maxReport)
}

// reportText is the text of a challenge: JSON in base64, whatever the alphabet and padding, or
// plain. It is empty where it cannot be read.
func reportText(challenge string) []byte {
	text := strings.Join(strings.Fields(challenge), "")
	if strings.HasPrefix(text, "{") {
		return []byte(challenge)
	}
	text = strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(text)
	decoded, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return decoded
}
