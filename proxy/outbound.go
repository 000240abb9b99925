package proxy

import (
	"net/http"
	"net/url"
	"sync/atomic"

	"golang.org/x/net/http/httpproxy"
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
	o.via.Store(&via)
}

// proxy is the proxy to u's host, nil for none.
func (o *outbound) proxy(u *url.URL) (*url.URL, error) { return (*o.via.Load())(u) }

// forRequest is proxy in the form of [http.Transport].
func (o *outbound) forRequest(r *http.Request) (*url.URL, error) { return o.proxy(r.URL) }
