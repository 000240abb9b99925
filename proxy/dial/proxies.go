package dial

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"unicode"

	"golang.org/x/net/http/httpproxy"
)

// Proxies decides which HTTP proxy, if any, is used to reach a provider. Set comes first, and
// again with each change, which applies to new connections.
type Proxies struct {
	via atomic.Pointer[func(*url.URL) (*url.URL, error)]
}

// Set takes the configuration's http_proxy; "" means the environment's. NO_PROXY applies to
// both, and this machine itself is never reached through a proxy.
func (p *Proxies) Set(httpProxy string) {
	c := httpproxy.FromEnvironment()
	if httpProxy != "" {
		c.HTTPProxy, c.HTTPSProxy, c.CGI = httpProxy, httpProxy, false
	}
	via := c.ProxyFunc()
	if httpProxy == "" && !namesProxy(c.HTTPSProxy) {
		via = refusing(*c)
	}
	p.via.Store(&via)
}

// errHTTPSProxy does not repeat the value, which may contain a password.
var errHTTPSProxy = &ProxyError{Proxy: "in HTTPS_PROXY", Err: errors.New(
	`the value is not the address of a proxy; write it like "http://user:password@proxy.example.com:3128", with the password percent-encoded`)}

// namesProxy reports whether httpproxy understands the environment's https_proxy, which may
// have no scheme and may contain a password. "" is understood: there is no proxy.
func namesProxy(raw string) bool {
	if raw == "" {
		return true
	}
	via, err := (&httpproxy.Config{HTTPSProxy: raw}).ProxyFunc()(&url.URL{Scheme: "https", Host: "smtp.example.com"})
	return err == nil && via != nil && IsProxyAddress(via)
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

// For returns the proxy to u's host, or nil for none. [Server.Proxy] takes it.
func (p *Proxies) For(u *url.URL) (*url.URL, error) { return (*p.via.Load())(u) }

// ForRequest is For in the form of [http.Transport].
func (p *Proxies) ForRequest(r *http.Request) (*url.URL, error) { return p.For(r.URL) }

// tunnelAnswer says for [http.Transport] what an HTTP proxy answered that makes no tunnel. Its own words
// are left out.
func tunnelAnswer(_ context.Context, via *url.URL, _ *http.Request, res *http.Response) error {
	if res.StatusCode == http.StatusOK {
		return nil
	}
	return &ProxyError{Proxy: via.Host, Err: noTunnel(res.StatusCode)}
}

// ProxyOf names the HTTP proxy that an error is about.
func ProxyOf(err error) (name string, ok bool) {
	if via, ok := errors.AsType[*ProxyError](err); ok {
		return via.Proxy, true
	}
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "proxyconnect" { // of net/http, around what kept it from the proxy
		return "", false
	}
	if lookup, ok := errors.AsType[*net.DNSError](op.Err); ok {
		return lookup.Name, true
	}
	if dial, ok := errors.AsType[*net.OpError](op.Err); ok && dial.Addr != nil {
		return dial.Addr.String(), true
	}
	return "", false
}

// IsProxyAddress reports whether a URL is nothing but the address of a proxy. A path is
// usually the rest of a password that was not percent-encoded.
func IsProxyAddress(u *url.URL) bool {
	return ValidHost(u.Hostname()) && strings.TrimPrefix(u.Path, "/")+u.RawQuery+u.Fragment == ""
}

// ValidHost reports whether a host is an IP address or looks like a host name.
func ValidHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if host == "" || len(host) > 253 || strings.HasPrefix(host, ".") || strings.Contains(host, "..") {
		return false
	}
	for _, r := range host {
		letter := r == '-' || r == '.' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
		if !letter {
			return false
		}
	}
	return true
}
