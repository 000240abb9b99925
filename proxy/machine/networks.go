package machine

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// virtual are the beginnings of the names of interfaces to containers and virtual machines, as
// Docker, Podman, LXC, libvirt and Hyper-V name them.
var virtual = []string{"docker", "br-", "veth", "podman", "cni", "lxc", "lxd", "virbr", "vEthernet (Default", "vEthernet (WSL"}

// Networks returns this computer's addresses in its networks, each with the length of the
// network's prefix: the addresses at which scanners and printers reach it. The address from
// which packets leave for the Internet comes first, then IPv4 before IPv6. Addresses of
// loopback, link-local and point-to-point interfaces (VPNs) are left out, and so are the
// networks inside this computer that containers and virtual machines have.
func Networks() []netip.Prefix {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var all []netip.Prefix
	for _, i := range interfaces {
		inside := func(prefix string) bool { return strings.HasPrefix(i.Name, prefix) }
		if i.Flags&net.FlagUp == 0 || i.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 || slices.ContainsFunc(virtual, inside) {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
				all = append(all, p)
			}
		}
	}
	return orderNetworks(all, outward())
}

func orderNetworks(all []netip.Prefix, first netip.Addr) []netip.Prefix {
	rank := func(p netip.Prefix) int {
		switch {
		case p.Addr() == first:
			return 0
		case p.Addr().Is4():
			return 1
		}
		return 2
	}
	slices.SortStableFunc(all, func(a, b netip.Prefix) int { return rank(a) - rank(b) })
	return all
}

// outward is the address from which a packet to the Internet would leave. Nothing is sent:
// connecting a UDP socket only chooses a route. 192.0.2.1 is for documentation (RFC 5737).
func outward() netip.Addr {
	c, err := net.Dial("udp4", "192.0.2.1:9")
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}
