package mailbox

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/balancer"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/machine"
)

// relayedFrom is a client of a balancer on this computer.
func relayedFrom(t *testing.T, h *Hall, client string) *Client {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { theirs.Close() })
	c := h.Admit(&balancer.Conn{Conn: from{ours, "127.0.0.1:5"}, Client: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(client))}, api.SMTP, false)
	if c != nil {
		t.Cleanup(c.Leave)
	}
	return c
}

// Twenty wrong passwords of one client locked an account for everyone behind the same balancer.
func TestBalancersClientsAreLockedOutApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hallWith(t, me)
		login := func(client, password string) *Refusal {
			c := relayedFrom(t, h, client)
			defer c.Leave()
			_, refusal := h.Login(t.Context(), c, "", me, password, nil)
			return refusal
		}
		for range maxGuesses {
			for _, client := range []string{"203.0.113.5:1", "127.0.0.1:1"} {
				if r := login(client, "wrong"); r == nil || r.Kind != WrongPassword {
					t.Fatalf("a wrong password from %s: %+v", client, r)
				}
			}
		}
		for client, locked := range map[string]bool{"203.0.113.5:2": true, "127.0.0.1:2": true, "127.9.9.9:2": true, "203.0.113.6:2": false} {
			if r := login(client, right); (r != nil) != locked || r != nil && r.Kind != LockedOut {
				t.Errorf("the right password from %s: %+v", client, r)
			}
		}
		own := clientFrom(t, h, api.SMTP, "127.0.0.1:9")
		if _, r := h.Login(t.Context(), own, "", me, right, nil); r != nil {
			t.Errorf("a program on this computer: %s", r.Words())
		}
	})
}

// TestBalancersClientsAreNobodyHere: a client that claims loopback is neither this computer's nor the user
// of the balancer.
func TestBalancersClientsAreNobodyHere(t *testing.T) {
	h := hallWith(t, me)
	local := clientFrom(t, h, api.SMTP, "127.0.0.1:1")
	for _, address := range []string{"127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "203.0.113.5:1"} {
		c := relayedFrom(t, h, address)
		if !c.Remote() || !c.Public() || c.Caller() == local.Caller() || c.Caller().isOwner() || c.Caller().user != "" {
			t.Errorf("%s: remote %v, public %v, %+v", address, c.Remote(), c.Public(), c.Caller())
		}
		if c.Addr.String() == "127.0.0.1:5" || c.TCP.RemoteAddr().String() != "127.0.0.1:5" {
			t.Errorf("%s: address %s, connection from %s", address, c.Addr, c.TCP.RemoteAddr())
		}
	}
}

// TestBalancersClientsMakeRoomApart: the client that has most connections makes room, not the balancer that
// has them all.
func TestBalancersClientsMakeRoomApart(t *testing.T) {
	h := hallWith(t, me)
	few := config.Default()
	few.MaxConnections = 5
	h.Config = func() *config.Config { return &few }
	one := relayedFrom(t, h, "203.0.113.6:1")
	var greedy []*Client
	for range 4 {
		greedy = append(greedy, relayedFrom(t, h, "203.0.113.5:1"))
	}
	if c := relayedFrom(t, h, "203.0.113.7:1"); c == nil || !greedy[0].Evicted() || one.Evicted() {
		t.Errorf("%v is in; the greedy one has made room: %v, the other: %v", c, greedy[0].Evicted(), one.Evicted())
	}
}

// TestHeadersHaveTheirFiles: connections whose header is being read are not among the clients, so they have
// their own share of the files that may be open.
func TestHeadersHaveTheirFiles(t *testing.T) {
	was := machine.OpenFiles
	defer func() { machine.OpenFiles = was }()
	machine.OpenFiles = 4096
	h := hallWith(t)
	cfg := config.Default()
	h.Config = func() *config.Config { return &cfg }
	without := h.Capacity()
	cfg.ProxyProtocol.From = []string{"10.0.0.0/8"}
	if got := h.Capacity(); MaxHeaders() != 512 || got != without-512 {
		t.Errorf("room for %d connections, %d without balancers; %d headers", got, without, MaxHeaders())
	}
}
