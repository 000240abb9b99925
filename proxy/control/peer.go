package control

import (
	"net"
	"os"
)

// ownPeers is a unix socket's listener that hands on none but connections of this
// user and of root. The socket's mode lets nobody else in to begin with; this is
// for when the mode was changed, or the file system has none.
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

// mayTalk reports whether a user may.
func mayTalk(uid int) bool { return uid == os.Getuid() || uid == 0 }
