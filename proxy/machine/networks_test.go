package machine

import (
	"net/netip"
	"slices"
	"testing"
)

func TestOrderNetworks(t *testing.T) {
	var all []netip.Prefix
	for _, s := range []string{"fd00::5/64", "172.17.0.1/16", "192.168.1.20/24"} {
		all = append(all, netip.MustParsePrefix(s))
	}
	want := []netip.Prefix{all[2], all[1], all[0]}
	if got := orderNetworks(slices.Clone(all), netip.MustParseAddr("192.168.1.20")); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := orderNetworks(slices.Clone(all), netip.Addr{}); !slices.Equal(got, []netip.Prefix{all[1], all[2], all[0]}) {
		t.Errorf("without a route: %v", got)
	}
}

func TestNetworksAreNotLoopback(t *testing.T) {
	for _, n := range Networks() {
		if n.Addr().IsLoopback() || n.Addr().IsLinkLocalUnicast() || n.Bits() <= 0 {
			t.Errorf("%v is not an address that others reach", n)
		}
	}
}
