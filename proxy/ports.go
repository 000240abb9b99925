package proxy

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"syscall"

	"github.com/waxseal/waxseal/proxy/api"
)

// Why an address cannot be listened on. Windows has numbers of its own
// (WSAEADDRINUSE and so on), which package syscall does not map to these.
var (
	inUse     = []error{syscall.EADDRINUSE, syscall.Errno(10048)}
	forbidden = []error{syscall.EACCES, syscall.Errno(10013)}
	notHere   = []error{syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.Errno(10049), syscall.Errno(10047)}
)

func is(err error, any []error) bool {
	return slices.ContainsFunc(any, func(target error) bool { return errors.Is(err, target) })
}

// portError says why an address cannot be listened on and how to go on. It is a
// *PortTakenError where another program has it.
func portError(addr string, err error) error {
	_, port, _ := net.SplitHostPort(addr)
	switch {
	case is(err, inUse):
		return &api.PortTakenError{Address: addr, Owner: portOwner(port), Free: freeAddress(addr)}
	case is(err, forbidden):
		return fmt.Errorf("port %s may not be opened by this user: set one above 1023 for %q in the configuration (listen, listen_tls, metrics): %w", port, addr, err)
	}
	return fmt.Errorf("cannot listen on %q: %w", addr, err)
}

// nearPorts is how many ports behind a taken one are tried before the system is
// asked for any: people know a port near the usual one again.
const nearPorts = 20

// freeAddress finds an address of the same host that can be listened on now; ""
// where there is none.
func freeAddress(addr string) string {
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
