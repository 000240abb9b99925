// Package localuser tells which user of this computer is at the other end of a TCP
// connection, so that one user's connections, wrong passwords and requests need not
// count as another's: on loopback, everybody has the same address.
//
// Linux tells for every connection (sock_diag(7)), and no rights are needed. Windows
// tells for processes that this user may look at, which leaves out most processes of
// other users. Elsewhere nobody is known. Whoever asks must treat an unknown user as
// well as before there was this package: a browser in a container or a relay in
// between must still work.
package localuser

import (
	"net"
	"net/netip"
)

// ID is a user's identifier: the user ID on Unix, the SID on Windows, and "" if it is
// not known.
type ID string

// Unknown is the ID of a user whom the system does not name.
const Unknown ID = ""

// Gone is the ID that takes the user's place if the program has closed its connection:
// from then on the system no longer tells whose it was. Somebody who wants an answer
// waits for it.
const Gone ID = "gone"

// Me is the user that this program runs as.
func Me() ID { return me() }

// Of returns the user whose program connected to this one with c, a TCP connection or
// one with a connection's addresses. It costs a few microseconds on Linux. The answer
// is Unknown unless both ends are on this computer's loopback interface.
func Of(c net.Conn) ID {
	theirs, ours := addressOf(c.RemoteAddr()), addressOf(c.LocalAddr())
	if !theirs.Addr().IsLoopback() || !ours.Addr().IsLoopback() {
		return Unknown
	}
	id := connected(theirs, ours)
	if id == Unknown && hungUp(c) {
		return Gone
	}
	return id
}

// IsAnother reports whether this is certainly neither this program's own user nor the
// administrator, or nobody any more. The administrator can do everything that this
// user can, and programs that pass on other people's connections often run as the
// administrator: those of a container's published ports, or of WSL.
func (id ID) IsAnother() bool {
	return id != Unknown && id != Me() && !isAdministrator(id)
}

// Name is the user's name, or the ID if the system has no name for it.
func (id ID) Name() string { return name(id) }

// addressOf is the address of one end, in which an IPv4 address has one form only. It is the
// zero AddrPort if there is none.
func addressOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
