package imapd

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/waxseal/waxseal/proxy/tcp"
)

// Below TLS and other wrappers, TCP looks for the other end as configured.
func TestKeepAlive(t *testing.T) {
	c, _ := tcpPair(t)
	for _, cfg := range []net.KeepAliveConfig{steady, probing} {
		keepAlive(&replayed{Conn: tcp.Direct(c)}, cfg)
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			for option, want := range map[int]int{
				unix.TCP_KEEPIDLE: int(cfg.Idle.Seconds()), unix.TCP_KEEPINTVL: int(cfg.Interval.Seconds()), unix.TCP_KEEPCNT: cfg.Count,
			} {
				if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option); got != want || err != nil {
					t.Errorf("option %d is %d, want %d", option, got, want)
				}
			}
		})
	}
	keepAlive(nil, steady) // nothing to set
}
