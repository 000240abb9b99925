//go:build !linux

package tcp

import "net"

func direct(c net.Conn) net.Conn { return c }

func quickAck(net.Conn) {}

func unacknowledged(keptAlive, bool) {}
