// Package tcp makes the most of a TCP connection where the system calls on it
// are what a message costs.
package tcp

import "net"

// Direct returns a connection that reads and writes as c does, with the same
// deadlines and errors, but on Linux with less work for Go's scheduler. Any
// connection that is not TCP, and any on another system, is returned as it is.
//
// Go lets another thread have the processor of one that is in a system call for
// more than some 20 µs. A write to a socket of the same machine takes about that
// long, as the system carries the bytes all the way to the reader meanwhile, and
// never longer: the socket does not block. So threads woke each other for
// nothing, up to a fifth of all CPU time of a small message. Direct's calls are not
// announced to the scheduler; waiting is done where Go does it, in its poller.
func Direct(c net.Conn) net.Conn { return direct(c) }

// QuickAck makes the system acknowledge at once what has come and what comes
// next; it does not last, and is asked for before a read. It does nothing where
// there is no such thing.
//
// Many mail programs write a body in small pieces with Nagle's algorithm on: each
// piece then waits for the acknowledgement of the last, and that, since there is
// nothing to answer yet, for a timer of 40 ms (tcp(7), TCP_QUICKACK).
func QuickAck(c net.Conn) { quickAck(c) }
