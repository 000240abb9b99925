// Package tcp makes TCP connections cheaper and quicker to use, because system calls
// are most of what a small message costs.
package tcp

import "net"

// Direct returns a connection that reads and writes as c does, with the same
// deadlines and errors, but with less work for Go's scheduler on Linux. On other
// systems, and if c is not a TCP connection, it returns c itself.
//
// When a thread has been in a system call for more than about 20 µs, Go hands its
// processor to another thread. A write to a socket on the same machine takes about
// that long, because the system carries the bytes all the way to the reader, and
// never longer, because the socket does not block. So threads woke each other for
// nothing, which took up to a fifth of the CPU time of a small message. Direct does
// not announce its calls to the scheduler; it waits in Go's poller, as package net
// does.
func Direct(c net.Conn) net.Conn { return direct(c) }

// QuickAck makes the system acknowledge at once what has arrived and what arrives
// next. It does not last, so call it before each read. On systems without
// TCP_QUICKACK it does nothing.
//
// Many mail programs write a body in small pieces with Nagle's algorithm on. Each
// piece then waits until the previous one has been acknowledged. Since the server has
// nothing to answer yet, the system holds that acknowledgement back for 40 ms (tcp(7),
// TCP_QUICKACK).
func QuickAck(c net.Conn) { quickAck(c) }
