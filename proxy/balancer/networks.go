package balancer

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Networks are the addresses of balancers.
type Networks []netip.Prefix

// ParseNetworks reads addresses and networks in CIDR notation (RFC 4632). Names are refused: whoever
// answers for a name would decide whose headers are believed.
func ParseNetworks(list []string) (Networks, error) {
	networks := make(Networks, 0, len(list))
	for _, text := range list {
		n, err := parseNetwork(text)
		if err != nil {
			return nil, err
		}
		networks = append(networks, n)
	}
	return networks, nil
}

func parseNetwork(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf(`%q is not an address or a network; write it like "10.0.0.7" or "10.0.0.0/8"`, text)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	n, err := netip.ParsePrefix(text)
	if err != nil || n.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf(`%q is not a network; write it like "10.0.0.0/8" or "2001:db8::/64"`, text)
	}
	if n.Masked() != n {
		return netip.Prefix{}, fmt.Errorf("%q is an address in a network; write %q for that address alone, or %q for the network", text, n.Addr(), n.Masked())
	}
	return n, nil
}

// Contain reports whether a connection from this address is a balancer's.
func (n Networks) Contain(from net.Addr) bool {
	tcp, ok := from.(*net.TCPAddr)
	if !ok || len(n) == 0 {
		return false
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	return slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Everybody returns the first network that holds every address of its kind, "" if there is none: with it
// anyone can claim to be anyone.
func (n Networks) Everybody() string {
	for _, p := range n {
		if p.Bits() == 0 {
			return p.String()
		}
	}
	return ""
}

// Own returns the first network that this machine's programs use to reach it, "" if there is none: they
// send no header, and are refused.
func (n Networks) Own() string {
	for _, p := range n {
		if p.Contains(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || p.Contains(netip.IPv6Loopback()) {
			return p.String()
		}
	}
	return ""
}

func (n Networks) String() string {
	texts := make([]string, len(n))
	for i, p := range n {
		texts[i] = p.String()
		if p.IsSingleIP() {
			texts[i] = p.Addr().String()
		}
	}
	return strings.Join(texts, ", ")
}
