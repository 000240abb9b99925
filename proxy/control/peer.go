package control

import (
	"net"
	"os"
)

// ownPeers is a unix socket's listener that accepts connections from this user and
// from root only. The socket's mode already keeps others out; this helps if the
// mode was changed, or if the file system has no modes.
type ownPeers struct{ net.Listener }

func (l ownPeers) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if u, ok := c.(*net.UnixConn); !ok || ownPeer(u) {
			return c, nil
		}
		c.Close()
	}
}

// mayTalk reports whether a user may connect.
func mayTalk(uid int) bool { return uid == os.Getuid() || uid == 0 }
