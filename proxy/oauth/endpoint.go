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
// or newer whatever it says. proxy is that of [http.Transport]; nil goes by the
// environment.
func HTTPClient(cfg *tls.Config, proxy func(*http.Request) (*url.URL, error)) *http.Client {
	cfg = cfg.Clone()
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = cfg
	if proxy != nil {
		t.Proxy = proxy
	}
	t.MaxIdleConnsPerHost = 4
	t.IdleConnTimeout = 30 * time.Second
	return &http.Client{Transport: t}
}

// sharedClient serves all grants that bring none: one pool of connections.
var sharedClient = sync.OnceValue(func() *http.Client { return HTTPClient(nil, nil) })

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

// What an endpoint is for, as errors name it.
const (
	tokenEndpoint      = "token endpoint" // RFC 6749 section 3.2
	deviceEndpoint     = "device endpoint"
	revocationEndpoint = "revocation endpoint"
	identityEndpoint   = "identity endpoint" // discovery, keys and userinfo of OpenID Connect
)

// endpoint is one of a provider's addresses as one registered client sees it.
type endpoint struct {
	kind      string
	url, host string
	clientID  string // "" where the request itself says who asks
	http      *http.Client
	timeout   time.Duration // of one request
	now       func() time.Time
	basic     atomic.Bool // it wants the secret in a header
}

func newEndpoint(kind, address, clientID string, c *http.Client) *endpoint {
	return &endpoint{kind: kind, url: address, host: hostOf(address), clientID: clientID, http: c, timeout: tryTimeout, now: time.Now}
}

// hostOf is an address' host, and its port where it is not the usual one.
func hostOf(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

// sibling is another endpoint of the same provider, which authenticates clients
// in the same way.
func (e *endpoint) sibling(kind, address string) *endpoint {
	s := newEndpoint(kind, address, e.clientID, e.http)
	s.timeout, s.now = e.timeout, e.now
	s.basic.Store(e.basic.Load())
	return s
}

// reply is an endpoint's answer as it came.
type reply struct {
	status int
	header http.Header
	body   []byte
	sent   time.Time           // when it was asked for
	clean  func(string) string // for foreign text that goes into an error
}

// post makes one token request, two at most.
//
// The answer may hold a new refresh token even where there is an error.
func (e *endpoint) post(ctx context.Context, form url.Values, secret string) (answer, error) {
	return ask(ctx, e, form, secret, func(r reply) (answer, error) {
		a, err := parse(r.status, r.header, r.body, r.clean)
		a.received = r.sent // the earliest moment the token's life can have begun
		return a, err
	})
}

// ask posts a form as the client and reads the answer. The secret goes into the body,
// which Google insists on; an endpoint that takes it by HTTP Basic only, as RFC
// 6749 section 2.3.1 would have it, is known by its answer and remembered.
func ask[T any](ctx context.Context, e *endpoint, form url.Values, secret string, read func(reply) (T, error)) (T, error) {
	basic := secret != "" && e.basic.Load()
	a, err := try(ctx, e, e.form(form, secret, basic), secretsOf(form, secret), read)
	if secret == "" || basic || !badClient(err) {
		return a, err
	}
	a, again := try(ctx, e, e.form(form, secret, true), secretsOf(form, secret), read)
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

// try makes one request. Its errors name the endpoint and show none of the
// secrets.
func try[T any](ctx context.Context, e *endpoint, make func(context.Context) (*http.Request, error), secrets []string, read func(reply) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	var none T
	sent := e.now()
	res, body, err := e.do(ctx, make)
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return none, ctx.Err() // says nothing about the endpoint
		}
		fault := &EndpointError{URL: e.host, Err: &foreignError{clean(err.Error(), secrets), err}, kind: e.kind}
		if res != nil {
			fault.Status = res.StatusCode
		}
		return none, fault
	}
	a, err := read(reply{res.StatusCode, res.Header, body, sent, func(s string) string { return clean(s, secrets) }})
	switch err := err.(type) {
	case *EndpointError:
		err.URL, err.kind = e.host, e.kind
	case *RefusedError:
		err.URL, err.kind = e.host, e.kind
	}
	return a, err
}

// form makes the request that posts a form as the client.
func (e *endpoint) form(form url.Values, secret string, basic bool) func(context.Context) (*http.Request, error) {
	return func(ctx context.Context) (*http.Request, error) {
		sent := url.Values{}
		for k, v := range form {
			sent[k] = v
		}
		if e.clientID != "" {
			sent.Set("client_id", e.clientID)
		}
		if secret != "" && !basic {
			sent.Set("client_secret", secret)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, strings.NewReader(sent.Encode()))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if basic {
			req.SetBasicAuth(url.QueryEscape(e.clientID), url.QueryEscape(secret))
		}
		return req, nil
	}
}

func (e *endpoint) do(ctx context.Context, make func(context.Context) (*http.Request, error)) (*http.Response, []byte, error) {
	req, err := make(ctx)
	if err != nil {
		return nil, nil, inner(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "waxseal")
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
	for _, s := range []string{
		form.Get("refresh_token"), form.Get("code"), form.Get("code_verifier"),
		form.Get("device_code"), form.Get("token"), form.Get("assertion"), secret,
	} {
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
