package oauth

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxAnswer bounds an answer, in bytes. Tokens run to a few thousand.
const maxAnswer = 256 << 10

// HTTPClient makes a client for [Deps]. The configuration may be nil; TLS is 1.2 or newer whatever
// it says. proxy is that of [http.Transport]; nil means the environment's.
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
	// HTTP/2 would be of no use, as each request has a connection of its own, and its client repeats
	// requests by itself, even after a PROTOCOL_ERROR, when they may have been carried out
	// (golang/go#47635).
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.MaxIdleConnsPerHost = 4
	t.IdleConnTimeout = 30 * time.Second
	return &http.Client{Transport: t}
}

// sharedClient serves all grants that do not bring one.
var sharedClient = sync.OnceValue(func() *http.Client { return HTTPClient(nil, nil) })

// client takes c's transport, and follows no redirects: a token request holds secrets for one
// address (RFC 9700 section 4.12).
func client(c *http.Client) *http.Client {
	if c == nil {
		c = sharedClient()
	}
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// exchange is one HTTP request and what came of it.
type exchange struct {
	status         int // 0 when there was no answer
	header         http.Header
	body           []byte
	sent, received time.Time
	tried          bool // the request may have left this computer
}

// roundTrip makes a request. Until there is a connection for it, ctx ends after connecting.
func roundTrip(ctx context.Context, c *http.Client, connecting time.Duration, now func() time.Time, make func(context.Context) (*http.Request, error)) (exchange, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := time.AfterFunc(connecting, func() { cancel(errNoConnection) })
	defer limit.Stop()
	var tried atomic.Bool
	// What happens after this moment is taken for sent, though nothing may have been written yet.
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		tried.Store(true)
		limit.Stop()
	}})
	x := exchange{sent: now()}
	req, err := make(ctx)
	if err != nil {
		return x, inner(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "waxseal")
	// A connection that was idle may be dead, and then it is not known what became of the request.
	// These are few, so each has a connection of its own.
	req.Close = true
	res, err := c.Do(req)
	if err == nil {
		defer res.Body.Close()
		x.status, x.header = res.StatusCode, res.Header
		x.body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	}
	x.received, x.tried = now(), tried.Load()
	if err != nil && errors.Is(context.Cause(ctx), errNoConnection) {
		err = errNoConnection
	}
	return x, inner(err)
}

var errNoConnection = errors.New("no connection in time")

// inner takes the URL, which the caller names in its own way, off an error.
func inner(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// plainText says in plain English what is wrong with a connection. The error of the system or of
// the peer goes through clean.
func plainText(err error, clean func(string) string) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection broke before the end of the answer"
	}
	return clean(err.Error())
}

// retryAfter reads the header of RFC 9110 section 10.2.3: seconds or a date, which is by the clock of
// whoever answers.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseFloat(v, 64); err == nil && n > 0 {
		return time.Duration(min(n, maxLife) * float64(time.Second))
	}
	if t, err := http.ParseTime(v); err == nil {
		if theirs, err := http.ParseTime(h.Get("Date")); err == nil {
			now = theirs
		}
		return max(0, t.Sub(now))
	}
	return 0
}
