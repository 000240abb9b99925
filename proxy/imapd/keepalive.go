package imapd

import (
	"net"
	"time"
)

var (
	// steady keeps a connection to the provider alive through routers that forget, and finds out within three
	// minutes that it is dead. Mail programs may be silent for 29 minutes (RFC 2177).
	steady = net.KeepAliveConfig{Enable: true, Idle: 2 * time.Minute, Interval: 15 * time.Second, Count: 4}
	// probing finds out within seven seconds.
	probing = net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: 2 * time.Second, Count: 3}
)

// probeFor is how long connections are probed after sleep or a change of network.
const probeFor = 15 * time.Second

// keepAlive sets how TCP looks whether the other end is there, below TLS and all wrappers.
func keepAlive(c net.Conn, cfg net.KeepAliveConfig) {
	for {
		switch t := c.(type) {
		case interface {
			SetKeepAliveConfig(net.KeepAliveConfig) error
		}:
			t.SetKeepAliveConfig(cfg)
			return
		case interface{ NetConn() net.Conn }:
			c = t.NetConn()
		default:
			return
		}
	}
}
