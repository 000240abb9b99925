package tcp

import (
	"net"
	"time"
)

// Probe asks now and every two seconds whether the other end of a connection still lives, and ends the
// connection with an error after about 7 seconds without an answer; that is for connections that may have
// died while the machine slept or changed its network. With on false, it is asked as seldom as others
// again. c may be TLS over TCP; Probe does nothing if there is no TCP connection below it.
func Probe(c net.Conn, on bool) {
	t := below(c)
	if t == nil {
		return
	}
	keepAlive := net.KeepAliveConfig{Enable: true} // Go's defaults
	if on {
		keepAlive.Idle, keepAlive.Interval, keepAlive.Count = time.Second, 2*time.Second, 3
	}
	t.SetKeepAliveConfig(keepAlive)
	unacknowledged(t, on)
}

func below(c net.Conn) keptAlive {
	for {
		switch t := c.(type) {
		case keptAlive:
			return t
		case interface{ NetConn() net.Conn }:
			c = t.NetConn()
		default:
			return nil
		}
	}
}

type keptAlive interface {
	net.Conn
	SetKeepAliveConfig(net.KeepAliveConfig) error
}
