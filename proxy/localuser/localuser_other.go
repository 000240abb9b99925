//go:build !linux && !windows

package localuser

import (
	"net"
	"net/netip"
)

// No system call tells this without cgo.
func connected(_, _ netip.AddrPort) ID { return Unknown }

func me() ID { return Unknown }

func isAdministrator(ID) bool { return false }

func name(id ID) string { return string(id) }

func hungUp(net.Conn) bool { return false }
