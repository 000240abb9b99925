package upstream

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// maxHello is the longest domain name, in bytes (RFC 5321 section 4.5.3.1.2).
const maxHello = 255

var (
	label    = `[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?`
	domain   = regexp.MustCompile(`^` + label + `(\.` + label + `)*$`)
	numbered = regexp.MustCompile(`^[0-9.]+$`)
)

// privateDomains are the last labels of names that mean something only on their own network: those
// that RFC 6762 appendix G lists, and what systems and home routers use.
var privateDomains = []string{"arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost", "private"}

// CheckHello reports what is wrong with a name for [Config.Hello]: EHLO takes a domain name or an
// address literal (RFC 5321 sections 4.1.1.1 and 4.1.3).
func CheckHello(name string) error {
	if inner, ok := strings.CutPrefix(name, "["); ok {
		address, closed := strings.CutSuffix(inner, "]")
		tag, v6, isV6 := strings.Cut(address, ":")
		if isV6 = isV6 && strings.EqualFold(tag, "IPv6"); !isV6 {
			v6 = address
		}
		if ip, err := netip.ParseAddr(v6); !closed || err != nil || ip.Is4() == isV6 || ip.Zone() != "" {
			return fmt.Errorf("%w: %+q is not an address literal such as [192.0.2.1] or [IPv6:2001:db8::1]", ErrHello, name)
		}
		return nil
	}
	switch {
	case len(name) > maxHello || !domain.MatchString(name):
		return fmt.Errorf("%w: %+q is not a domain name such as mail.example.com", ErrHello, name[:min(len(name), maxHello)])
	case numbered.MatchString(name):
		return fmt.Errorf("%w: write the address %s in brackets: [%s]", ErrHello, name, name)
	}
	return nil
}

// hostName is this machine's name as the system has it. It is not looked up in the DNS, which could
// take long.
var hostName = sync.OnceValue(func() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
})

// helloName is the name to give in EHLO when the configuration has none: the machine's name if it is
// fully qualified, else the address of our end of the connection (RFC 5321 section 4.1.4). A bare
// "localhost" is neither; Postfix refuses it with reject_non_fqdn_helo_hostname.
func helloName(machine string, local net.Addr) string {
	machine = strings.TrimSuffix(machine, ".")
	if fullyQualified(machine) {
		return machine
	}
	ip := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if tcp, ok := local.(*net.TCPAddr); ok {
		if found, ok := netip.AddrFromSlice(tcp.IP); ok {
			ip = found.Unmap()
		}
	}
	if ip.Is4() {
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.String() + "]"
}

// fullyQualified reports whether name can be the machine's name in the whole Internet. Whether the
// DNS knows it is not asked.
func fullyQualified(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	return last != name && CheckHello(name) == nil && !strings.Contains(name, "_") && !numbered.MatchString(last) &&
		!slices.Contains(privateDomains, strings.ToLower(last))
}
