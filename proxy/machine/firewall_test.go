package machine

import (
	"net/netip"
	"strings"
	"testing"
)

func TestFirewallRule(t *testing.T) {
	network := netip.MustParsePrefix("192.168.1.20/24").Masked()
	for _, c := range []struct{ system, tools, want string }{
		{"linux", "firewall-cmd ufw", `source address="192.168.1.0/24" port port="2587" protocol="tcp" accept' && sudo firewall-cmd --reload`},
		{"linux", "ufw", "sudo ufw allow proto tcp from 192.168.1.0/24 to any port 2465,2587"},
		{"linux", "", ""},
		{"windows", "", "-LocalPort 2465,2587 -RemoteAddress LocalSubnet"},
		{"darwin", "ufw", ""},
	} {
		got := firewallRule(c.system, func(name string) bool { return strings.Contains(" "+c.tools+" ", " "+name+" ") }, network, []string{"2465", "2587"})
		if !strings.HasSuffix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s with %q: %q, want %q at the end", c.system, c.tools, got, c.want)
		}
	}
}
