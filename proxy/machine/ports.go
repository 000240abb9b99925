package machine

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"syscall"

	"github.com/waxseal/waxseal/proxy/api"
)

// The errors of an address that cannot be listened on. Windows has its own numbers
// (WSAEADDRINUSE and so on), which package syscall does not map to these.
var (
	InUse     = []error{syscall.EADDRINUSE, syscall.Errno(10048)}
	forbidden = []error{syscall.EACCES, syscall.Errno(10013)}
	NotHere   = []error{syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.Errno(10049), syscall.Errno(10047)}
)

func IsAny(err error, targets []error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

// portError says why an address cannot be listened on and what to do. If another program
// uses the port, it is a *PortTakenError.
func PortError(addr string, err error) error {
	_, port, _ := net.SplitHostPort(addr)
	if IsAny(err, InUse) {
		owner := portOwner(port)
		return &api.PortTakenError{Address: addr, Owner: owner.program, Process: owner.process, User: owner.user, Free: FreeAddress(addr)}
	}
	p := &api.Problem{Lasting: true, What: api.Say("Waxseal can’t listen on {{.Address}}: {{.Why}}.", "Address", addr, "Why", err.Error()),
		Cure: api.Say("Choose another address in the settings."), Do: api.OpenSetting}
	if IsAny(err, forbidden) {
		p.What = api.Say("This user may not open port {{.Port}} ({{.Address}}).", "Port", port, "Address", addr)
		p.Cure = api.Say("Choose a port above 1023 in the settings.")
	}
	return p
}

// owner is who uses a port, as far as this user may know; its fields may be "".
type owner struct {
	program string
	process int
	user    string // if it is not the one that Waxseal runs as
}

// nearPorts is how many ports after a taken one are tried before the system is asked for
// any: people recognize a port that is near the usual one.
const nearPorts = 20

// freeAddress finds an address of the same host that can be listened on now, or "".
func FreeAddress(addr string) string {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return ""
	}
	ports := make([]int, 0, nearPorts+1)
	for n := port + 1; n <= min(port+nearPorts, 65535); n++ {
		ports = append(ports, n)
	}
	for _, n := range append(ports, 0) {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(n)))
		if err != nil {
			continue
		}
		_, free, _ := net.SplitHostPort(l.Addr().String())
		l.Close()
		return net.JoinHostPort(host, free)
	}
	return ""
}
