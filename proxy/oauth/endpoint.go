package oauth

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/foreign"
)

// What an endpoint is for, as errors name it.
const (
	tokenEndpoint         = "token endpoint" // RFC 6749 section 3.2
	authorizationEndpoint = "authorization endpoint"
	deviceEndpoint        = "device endpoint"
	revocationEndpoint    = "revocation endpoint"
	identityEndpoint      = "identity endpoint" // discovery, keys and userinfo of OpenID Connect
)

// endpoint is one of a provider's addresses as one registered client sees it.
type endpoint struct {
	kind      string
	url, host string
	clientID  string // "" where the request itself says who asks
	http      *http.Client
	times     times
	now       func() time.Time
	manners   *manners
}

// times are how long an endpoint may take.
type times struct {
	connect time.Duration // until there is a connection for a request
	answer  time.Duration // until its answer is complete
}

// hostOf is an address' host, and its port where it is not the usual one.
func hostOf(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

// sibling is another endpoint of the same provider, which authenticates clients in the same way.
func (e *endpoint) sibling(kind, address string) *endpoint {
	s := *e
	s.kind, s.url, s.host = kind, address, hostOf(address)
	return &s
}

// within is the endpoint with other limits of time.
func (e *endpoint) within(answer time.Duration) *endpoint {
	s := *e
	s.times.answer = answer
	return &s
}

// reply is an endpoint's answer as it came.
type reply struct {
	status   int
	header   http.Header
	body     []byte
	sent     time.Time           // when it was asked for
	clockOff time.Duration       // see [ClockOff]
	clean    func(string) string // for the provider's words
}

// question is a form that is posted as the client.
type question struct {
	form   url.Values
	secret string // the client's; "" for none
	scope  string // named only where the endpoint wants it; "" where it is part of the form, or not known
}

// post makes one token request, or several while the endpoint refuses the form of it.
//
// The answer may hold a new refresh token even where there is an error.
func (e *endpoint) post(ctx context.Context, q question) (answer, error) {
	return ask(ctx, e, q, func(r reply) (answer, error) {
		a, err := parse(r)
		a.received = r.sent // the earliest moment the token's life can have begun
		return a, err
	})
}

// ask posts a form as the client and reads the answer. Where the endpoint refuses the way in which
// the client authenticates, or wants the scope named, it asks again: a request that was refused so
// had no effect, which holds for a refresh token too. What worked is remembered.
func ask[T any](ctx context.Context, e *endpoint, q question, read func(reply) (T, error)) (T, error) {
	cleaner := e.cleaner(secretsOf(q)...)
	auth, scoped := e.manners.get()
	left := authForms(e.clientID, q.secret)
	var refusal *RefusedError // of the first form of authentication
	changes := 0              // of whether the scope is named
	for {
		a, err := try(ctx, e, e.request(q, auth, scoped && q.scope != ""), cleaner, read)
		refused, ok := errors.AsType[*RefusedError](err)
		if !ok {
			if err == nil {
				e.manners.learn(auth, scoped)
			}
			return a, err
		}
		left = slices.DeleteFunc(left, func(f authForm) bool { return f == auth })
		switch {
		case auth.none && refusal != nil: // says nothing of a client that has a secret, nor of its tokens
			return a, refusal
		case q.scope != "" && !scoped && refused.scope && changes == 0,
			q.scope != "" && scoped && refused.Reason == ScopeRefused && changes == 0:
			scoped = !scoped
			changes++
		case refused.client && refused.Reason == SecretUnwanted && !auth.none && q.secret != "":
			auth, left = authForm{none: true}, nil
		case refused.client && len(left) > 0:
			if refusal == nil {
				refusal = refused
			}
			auth = left[0]
		case refused.client && refusal != nil: // no form will do
			return a, refusal
		default:
			if !refused.client {
				e.manners.learn(auth, scoped && refused.Reason != ScopeRefused)
			}
			return a, err
		}
	}
}

// request makes the request that posts a question.
func (e *endpoint) request(q question, auth authForm, scoped bool) func(context.Context) (*http.Request, error) {
	return func(ctx context.Context) (*http.Request, error) {
		form := url.Values{}
		for k, v := range q.form {
			form[k] = v
		}
		if scoped {
			form.Set("scope", q.scope)
		}
		head := &http.Request{Header: http.Header{}}
		auth.set(head, form, e.clientID, q.secret)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		req.Header = head.Header
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return req, nil
	}
}

// try makes one request. Its errors name the endpoint and show none of the secrets.
func try[T any](ctx context.Context, e *endpoint, make func(context.Context) (*http.Request, error), cleaner *foreign.Cleaner, read func(reply) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, e.times.answer)
	defer cancel()
	var none T
	clean := func(text string) string { return words(text, cleaner) }
	x, err := roundTrip(ctx, e.http, e.times.connect, e.now, make)
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return none, ctx.Err() // says nothing about the endpoint
		}
		reason := Unreachable
		if x.tried {
			reason = Lost
		}
		// What came of an answer may be all that matters, and its new refresh token counts in any case. Only
		// JSON shows where it was cut off.
		came := none
		if bytes.HasPrefix(bytes.TrimSpace(x.body), []byte("{")) {
			var unread error
			came, unread = read(reply{x.status, x.header, x.body, x.sent, 0, clean})
			if x.status == http.StatusOK && unread == nil {
				return came, nil
			}
		}
		return came, &EndpointError{
			URL: e.host, Status: x.status, Reason: reason, Sent: x.tried, RetryAfter: retryAfter(x.header, e.now()),
			Err: &foreignError{plainText(err, clean), err}, kind: e.kind,
		}
	}
	off := clockOff(x.header, x.sent, x.received)
	a, err := read(reply{x.status, x.header, x.body, x.sent, off, clean})
	switch err := err.(type) {
	case *EndpointError:
		err.URL, err.kind, err.Sent, err.ClockOff = e.host, e.kind, true, off
	case *RefusedError:
		err.URL, err.kind, err.ClockOff = e.host, e.kind, off
	}
	return a, err
}

// cleaner is for what is heard of a request with these secrets. An HTTP proxy on the way was sent its
// own.
func (e *endpoint) cleaner(secrets ...string) *foreign.Cleaner {
	t, ok := e.http.Transport.(*http.Transport)
	if !ok || t.Proxy == nil {
		return foreign.New(secrets...)
	}
	req, err := http.NewRequest(http.MethodGet, e.url, nil)
	if err != nil {
		return foreign.New(secrets...)
	}
	if via, err := t.Proxy(req); err == nil && via != nil && via.User != nil {
		password, _ := via.User.Password()
		secrets = append(secrets, password)
	}
	return foreign.New(secrets...)
}

// secretsOf are the strings of a request that no error may show.
func secretsOf(q question) []string {
	all := []string{q.secret}
	for _, name := range []string{"refresh_token", "code", "code_verifier", "device_code", "token", "assertion"} {
		all = append(all, q.form.Get(name))
	}
	return all
}
