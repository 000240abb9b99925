package mailbox

import (
	"errors"
	"net"

	"github.com/waxseal/waxseal/proxy/upstream"
)

// proxyOf names the HTTP proxy that an error is about.
func proxyOf(err error) (name string, ok bool) {
	if via, ok := errors.AsType[*upstream.ProxyError](err); ok {
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
