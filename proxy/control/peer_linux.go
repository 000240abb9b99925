package control

import (
	"net"

	"golang.org/x/sys/unix"
)

// ownPeer asks the system who connected (unix(7), SO_PEERCRED).
func ownPeer(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	own := false
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		own = err == nil && mayTalk(int(cred.Uid))
	})
	return err == nil && own
}
