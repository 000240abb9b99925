package machine

import (
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
)

// FirewallRule returns a command that lets computers of a network connect to TCP ports of this
// one: for firewalld or ufw on Linux, for an administrator's PowerShell on Windows. It is "" if
// none of them is there, and on macOS, which asks by itself.
func FirewallRule(network netip.Prefix, ports []string) string {
	return firewallRule(runtime.GOOS, func(name string) bool {
		_, err := exec.LookPath(name)
		return err == nil
	}, network.Masked(), ports)
}

func firewallRule(system string, installed func(string) bool, network netip.Prefix, ports []string) string {
	list := strings.Join(ports, ",")
	switch {
	case system == "windows":
		return "New-NetFirewallRule -DisplayName Waxseal -Direction Inbound -Action Allow -Protocol TCP -LocalPort " + list + " -RemoteAddress LocalSubnet"
	case system != "linux":
		return ""
	case installed("firewall-cmd"):
		family := "ipv4"
		if network.Addr().Is6() {
			family = "ipv6"
		}
		commands := make([]string, 0, len(ports)+1)
		for _, port := range ports {
			commands = append(commands, fmt.Sprintf(`sudo firewall-cmd --permanent --add-rich-rule='rule family="%s" source address="%s" port port="%s" protocol="tcp" accept'`, family, network, port))
		}
		return strings.Join(append(commands, "sudo firewall-cmd --reload"), " && ")
	case installed("ufw"):
		return fmt.Sprintf("sudo ufw allow proto tcp from %s to any port %s", network, list)
	}
	return ""
}
