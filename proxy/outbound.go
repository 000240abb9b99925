package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"

	"golang.org/x/net/http/httpproxy"

	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// outbound decides which HTTP proxy, if any, leads to a provider. It may change
// at any time, for what is connected from then on.
type outbound struct {
	via atomic.Pointer[func(*url.URL) (*url.URL, error)]
}

// set takes the configuration's http_proxy; "" is the environment's. NO_PROXY
// holds for both, and nothing on this machine is reached through a proxy.
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

// errHTTPSProxy does not repeat what it refuses: that may hold a password.
var errHTTPSProxy = &upstream.ProxyError{Proxy: "in HTTPS_PROXY", Err: errors.New(
	`that is not the address of a proxy; write it like "http://user:password@proxy.example.com:3128", with the password percent-encoded`)}

// namesProxy reports whether the environment's https_proxy is one that httpproxy
// takes: it goes without a scheme, too, and may hold a password. "" names none.
func namesProxy(raw string) bool {
	if raw == "" {
		return true
	}
	via, err := (&httpproxy.Config{HTTPSProxy: raw}).ProxyFunc()(&url.URL{Scheme: "https", Host: "smtp.example.com"})
	return err == nil && via != nil && config.IsProxyAddress(via)
}

// refusing is for an https_proxy that names no proxy. httpproxy would connect
// directly, which whoever set it does not want. What NO_PROXY names, and this
// machine, is reached as ever.
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

// proxy is the proxy to u's host, nil for none.
func (o *outbound) proxy(u *url.URL) (*url.URL, error) { return (*o.via.Load())(u) }

// forRequest is proxy in the form of [http.Transport].
func (o *outbound) forRequest(r *http.Request) (*url.URL, error) { return o.proxy(r.URL) }
