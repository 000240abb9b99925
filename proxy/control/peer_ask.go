//go:build linux || darwin

package control

import "net"

// ownPeer asks the system who connected, and reports whether that user may.
func ownPeer(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	own := false
	err = raw.Control(func(fd uintptr) {
		uid, err := peerUID(int(fd))
		own = err == nil && mayTalk(int(uid))
	})
	return err == nil && own
}
