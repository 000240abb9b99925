package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ErrNotCallback says that an address is not the one a sign-in ended at.
var ErrNotCallback = errors.New("that is not the address this sign-in ended at")

// pasteTimeout is a little more than the exchange behind the callback may take.
const pasteTimeout = refreshTimeout + 5*time.Second

// Paste brings a redirect home by hand. A browser on another machine ends at an
// address of its own loopback interface, where nobody listens; the user copies it
// from there. page is the address that [Grant.Consent] opened in this process or
// another one of this machine, and which still waits. Nothing is believed here:
// the address is asked for like the browser would have, and checked as its
// callback would have been.
func Paste(ctx context.Context, page, address string) error {
	p, err := url.Parse(page)
	if err != nil {
		return ErrNotCallback
	}
	want, err := url.Parse(p.Query().Get("redirect_uri"))
	if err != nil || want.Host == "" {
		return ErrNotCallback
	}
	got, err := url.Parse(strings.TrimSpace(address))
	if err != nil || got.Scheme != want.Scheme || got.Host != want.Host || strings.TrimSuffix(got.Path, "/") != strings.TrimSuffix(want.Path, "/") || got.RawQuery == "" {
		return fmt.Errorf("%w; it begins with %s", ErrNotCallback, want)
	}
	want.RawQuery = got.RawQuery
	ctx, cancel := context.WithTimeout(ctx, pasteTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, want.String(), nil)
	if err != nil {
		return ErrNotCallback
	}
	own := &http.Transport{DisableKeepAlives: true} // and no proxy
	res, err := client(&http.Client{Transport: own}).Do(req)
	if err != nil {
		return fmt.Errorf("nothing waits for this sign-in any more: %w", inner(err))
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: it is of another sign-in, or was used already", ErrNotCallback)
	}
	return nil
}
