package oauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// ErrNotCallback says that an address is not the one at which a sign-in ended.
var ErrNotCallback = errors.New("that is not the address at which this sign-in ended")

// pasteTimeout is a little longer than the exchange that follows may take.
const pasteTimeout = exchangeTimeout + 5*time.Second

// Paste brings a redirect home by hand. A browser on another machine ends at an address of its own
// loopback interface, where nobody listens; the user copies it from there. page is the address that
// [Grant.Consent] opened in this process or another one of this machine, and which still waits.
//
// What matters in the address is its state and its code, which may also be pasted alone, as a query or
// as a browser's tools list a form. Everything else is changed on the way: some browsers insist on https
// or leave out the scheme, terminals break lines, mail programs encode the address once more or put it
// into one of their own. Nothing is believed here: the answer goes where the browser would have brought
// it, and is checked there.
func Paste(ctx context.Context, page, address string) error {
	p, err := url.Parse(page)
	if err != nil {
		return ErrNotCallback
	}
	home, err := url.Parse(p.Query().Get("redirect_uri"))
	if err != nil || home.Host == "" {
		return ErrNotCallback
	}
	query, ok := pasted(address, p.Query().Get("state"))
	switch {
	case !ok && isCode(address):
		return fmt.Errorf("%w; a code alone is not enough, because it does not say which sign-in it is of: copy the whole address", ErrNotCallback)
	case !ok && strings.Contains(address, "code_challenge"):
		return fmt.Errorf("%w, but the page to open in the browser; paste the address that the browser shows after you have approved", ErrNotCallback)
	case !ok:
		return fmt.Errorf("%w; it begins with %s, and has state= and code= in it", ErrNotCallback, home)
	}
	home.RawQuery = query
	ctx, cancel := context.WithTimeout(ctx, pasteTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, home.String(), nil)
	if err != nil {
		return ErrNotCallback
	}
	own := &http.Transport{DisableKeepAlives: true} // and no proxy
	res, err := (&http.Client{Transport: own}).Do(req)
	if err != nil {
		return fmt.Errorf("nothing waits for this sign-in any more: %w", inner(err))
	}
	res.Body.Close()
	if res.StatusCode == http.StatusGone {
		return errors.New("nothing waits for this sign-in any more")
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: it is of another sign-in, or was used already", ErrNotCallback)
	}
	return nil
}

// maxEncodings is how often an address may be encoded: mail filters do it once for each of them.
const maxEncodings = 4

// pasted finds the answer to the sign-in with this state in what somebody pasted.
func pasted(text, state string) (query string, ok bool) {
	for range maxEncodings {
		text = strings.ReplaceAll(text, "&amp;", "&")
		for _, form := range []string{unbroken(text), text} {
			if v := answerIn(form, state); v != nil {
				return v.Encode(), true
			}
		}
		decoded, err := url.PathUnescape(text)
		if err != nil || decoded == text {
			break
		}
		text = decoded
	}
	return "", false
}

const quotes = "\"'`“”„‘’«»"

var (
	// inAddress are the fields of an address, or of a form.
	inAddress = regexp.MustCompile(`(?:^|[?&#\s` + quotes + `<(])(state|code|error|error_description|error_subtype|suberror|iss)=([^&#\s` + quotes + `<>)\]]*)`)
	// inTools are those of a form in a list or in JSON, as the tools of browsers show them.
	inTools = regexp.MustCompile(`(?m)(?:^|[{,])[ \t]*"?(state|code|error|error_description|error_subtype|suberror|iss)"?(?:[ \t]*:[ \t]*|\t)"?([^\s",]+)`)
	escape  = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	// marks are put around a paste by terminals that tell it from typing.
	marks = strings.NewReplacer("\x1b[200~", "", "\x1b[201~", "")
)

// answerIn is the answer with this state in a text; nil if there is none, or more than one.
func answerIn(text, state string) url.Values {
	v := url.Values{}
	for _, fields := range []*regexp.Regexp{inAddress, inTools} {
		for _, m := range fields.FindAllStringSubmatch(text, -1) {
			name, value := m[1], m[2]
			if fields == inAddress {
				value = decodedOnce(value)
			}
			switch name {
			case "state":
				value = strings.TrimRight(value, ".,;:!")
			case "code":
				for again := decodedOnce(value); escape.MatchString(value) && again != value; again = decodedOnce(value) {
					value = again // no code has an escape in it; it was encoded once more
				}
			}
			if old := v.Get(name); old != "" && old != value && (name == "state" || name == "code") {
				return nil
			}
			v.Set(name, value)
		}
	}
	if state == "" || v.Get("code") == "" && v.Get("error") == "" {
		return nil
	}
	if subtle.ConstantTimeCompare([]byte(v.Get("state")), []byte(state)) != 1 {
		return nil
	}
	return v
}

func decodedOnce(value string) string {
	if decoded, err := url.QueryUnescape(value); err == nil {
		return decoded
	}
	return value
}

// unbroken is a text without the line breaks that a terminal put into an address; where its lines have
// words it is left alone.
func unbroken(text string) string {
	var whole strings.Builder
	for line := range strings.Lines(strings.TrimSpace(marks.Replace(text))) {
		line = strings.TrimSpace(line)
		if strings.ContainsAny(line, " \t") || strings.Contains(line, ": ") {
			return text
		}
		whole.WriteString(line)
	}
	return whole.String()
}

// isCode reports whether a text may be the code of an approval without the rest.
func isCode(text string) bool {
	const shortest = 20
	text = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), "code="))
	return len(text) >= shortest && printable(text) && !strings.ContainsAny(text, " =&?")
}
