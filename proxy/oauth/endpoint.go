package oauth

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tryTimeout = 10 * time.Second
	// maxAnswer bounds an answer, in bytes. Tokens run to a few thousand.
	maxAnswer = 256 << 10
)

// HTTPClient makes a client for [Deps]. The configuration may be nil; TLS is 1.2
// or newer whatever it says.
func HTTPClient(cfg *tls.Config) *http.Client {
	cfg = cfg.Clone()
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = cfg
	t.MaxIdleConnsPerHost = 4
	t.IdleConnTimeout = 30 * time.Second
	return &http.Client{Transport: t}
}

// sharedClient serves all grants that bring none: one pool of connections.
var sharedClient = sync.OnceValue(func() *http.Client { return HTTPClient(nil) })

// client takes c's transport, and follows no redirects: a token request holds
// secrets for one address (RFC 9700 section 4.12).
func client(c *http.Client) *http.Client {
	if c == nil {
		c = sharedClient()
	}
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// endpoint is a provider's token endpoint (RFC 6749 section 3.2) as one
// registered client sees it.
type endpoint struct {
	url, host string
	clientID  string
	http      *http.Client
	basic     atomic.Bool // it wants the secret in a header
}

// post makes one token request, two at most. The secret goes into the body,
// which Google insists on; an endpoint that takes it by HTTP Basic only, as RFC
// 6749 section 2.3.1 would have it, is known by its answer and remembered.
//
// The answer may hold a new refresh token even where there is an error.
func (e *endpoint) post(ctx context.Context, form url.Values, secret string) (answer, error) {
	basic := secret != "" && e.basic.Load()
	a, err := e.try(ctx, form, secret, basic)
	if secret == "" || basic || !badClient(err) {
		return a, err
	}
	a, again := e.try(ctx, form, secret, true)
	if badClient(again) {
		return a, err
	}
	var fault *EndpointError
	if !errors.As(again, &fault) {
		e.basic.Store(true)
	}
	return a, again
}

func badClient(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused) && refused.Status == http.StatusUnauthorized && refused.Code == "invalid_client"
}

func (e *endpoint) try(ctx context.Context, form url.Values, secret string, basic bool) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	sent := time.Now()
	res, body, err := e.do(ctx, form, secret, basic)
	secrets := secretsOf(form, secret)
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return answer{}, ctx.Err() // says nothing about the endpoint
		}
		fault := &EndpointError{URL: e.host, Err: &foreignError{clean(err.Error(), secrets), err}}
		if res != nil {
			fault.Status = res.StatusCode
		}
		return answer{}, fault
	}
	a, err := parse(res.StatusCode, res.Header, body, func(s string) string { return clean(s, secrets) })
	a.received = sent // the earliest moment the token's life can have begun
	switch err := err.(type) {
	case *EndpointError:
		err.URL = e.host
	case *RefusedError:
		err.URL = e.host
	}
	return a, err
}

func (e *endpoint) do(ctx context.Context, form url.Values, secret string, basic bool) (*http.Response, []byte, error) {
	sent := url.Values{}
	for k, v := range form {
		sent[k] = v
	}
	sent.Set("client_id", e.clientID)
	if secret != "" && !basic {
		sent.Set("client_secret", secret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, strings.NewReader(sent.Encode()))
	if err != nil {
		return nil, nil, inner(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "waxseal")
	if basic {
		req.SetBasicAuth(url.QueryEscape(e.clientID), url.QueryEscape(secret))
	}
	res, err := e.http.Do(req)
	if err != nil {
		return nil, nil, inner(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	return res, body, err
}

// inner takes the URL, which the caller names in its own way, off an error.
func inner(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// secretsOf are the strings of a request that no error may show, longest first
// as one may contain another.
func secretsOf(form url.Values, secret string) []string {
	var all []string
	for _, s := range []string{form.Get("refresh_token"), form.Get("code"), form.Get("code_verifier"), secret} {
		if s != "" {
			all = append(all, s, url.QueryEscape(s))
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}

// retryAfter reads the header of RFC 9110 section 10.2.3: seconds or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
