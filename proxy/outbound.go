package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"

	"golang.org/x/net/http/httpproxy"

	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// outbound decides which HTTP proxy, if any, is used to reach a provider. A change applies
// to new connections.
type outbound struct {
	via atomic.Pointer[func(*url.URL) (*url.URL, error)]
}

// set takes the configuration's http_proxy; "" means the environment's. NO_PROXY applies to
// both, and this machine itself is never reached through a proxy.
func (o *outbound) set(httpProxy string) {
	c := httpproxy.FromEnvironment()
	if httpProxy != "" {
		c.HTTPProxy, c.HTTPSProxy, c.CGI = httpProxy, httpProxy, false
	}
	via := c.ProxyFunc()
	if httpProxy == "" && !namesProxy(c.HTTPSProxy) {
		via = refusing(*c)
	}
	o.via.Store(&via)
}

// errHTTPSProxy does not repeat the value, which may contain a password.
var errHTTPSProxy = &upstream.ProxyError{Proxy: "in HTTPS_PROXY", Err: errors.New(
	`the value is not the address of a proxy; write it like "http://user:password@proxy.example.com:3128", with the password percent-encoded`)}

// namesProxy reports whether httpproxy understands the environment's https_proxy, which may
// have no scheme and may contain a password. "" is understood: there is no proxy.
func namesProxy(raw string) bool {
	if raw == "" {
		return true
	}
	via, err := (&httpproxy.Config{HTTPSProxy: raw}).ProxyFunc()(&url.URL{Scheme: "https", Host: "smtp.example.com"})
	return err == nil && via != nil && config.IsProxyAddress(via)
}

// refusing is for an https_proxy that httpproxy does not understand. httpproxy would
// connect directly, which is not what the person who set it wants. The hosts in NO_PROXY
// and this machine are still reached directly.
func refusing(c httpproxy.Config) func(*url.URL) (*url.URL, error) {
	c.HTTPSProxy = "http://unknown.invalid"
	via := c.ProxyFunc()
	return func(u *url.URL) (*url.URL, error) {
		found, err := via(u)
		if found != nil && u.Scheme == "https" {
			return nil, errHTTPSProxy
		}
		return found, err
	}
}

// proxy returns the proxy to u's host, or nil for none.
func (o *outbound) proxy(u *url.URL) (*url.URL, error) { return (*o.via.Load())(u) }

// forRequest is proxy in the form of [http.Transport].
func (o *outbound) forRequest(r *http.Request) (*url.URL, error) { return o.proxy(r.URL) }

// tunnelAnswer says for [http.Transport] what an HTTP proxy answered that makes no tunnel. Its own words
// are left out.
func tunnelAnswer(_ context.Context, via *url.URL, _ *http.Request, res *http.Response) error {
	if res.StatusCode == http.StatusOK {
		return nil
	}
	return &upstream.ProxyError{Proxy: via.Host, Err: fmt.Errorf("it answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))}
}
