package oauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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
// What matters in the address is its state and its code, which may also be pasted alone, as a query.
// Browsers change the rest: some insist on https, or show the address without its scheme. Nothing is
// believed here: the answer goes where the browser would have brought it, and is checked there.
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
	if !ok {
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
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: it is of another sign-in, or was used already", ErrNotCallback)
	}
	return nil
}

// pasted finds the answer to the sign-in with this state in what somebody pasted.
func pasted(address, state string) (query string, ok bool) {
	address = strings.Trim(strings.TrimSpace(address), `"'<>`)
	for _, part := range []string{after(address, "?"), after(address, "#"), address} {
		part, _, _ = strings.Cut(part, "#")
		v, err := url.ParseQuery(part)
		if err != nil || state == "" || v.Get("code") == "" && v.Get("error") == "" {
			continue
		}
		if subtle.ConstantTimeCompare([]byte(v.Get("state")), []byte(state)) == 1 {
			return v.Encode(), true
		}
	}
	return "", false
}

// after is the part of s after the first sep, or "".
func after(s, sep string) string {
	_, rest, _ := strings.Cut(s, sep)
	return rest
}
