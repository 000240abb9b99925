package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"
)

const (
	// doubtAfter is how long the first answer may take before Waxseal looks at the nodes itself.
	doubtAfter = 2 * time.Second
	reachLimit = 5 * time.Second
	// refusalLimit is how long a node may take to refuse our certificate. With TLS 1.3 that comes after the handshake.
	refusalLimit = 500 * time.Millisecond
)

// unreachable finds out why no node can be talked to: nobody listens, a name is wrong, or one side does not trust the
// other's certificate. etcd's client tries again in silence, and knows only that there was no answer in time. It is
// nil if there is one that answers.
func (c Config) unreachable(ctx context.Context) error {
	secure, err := c.tls()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	var first error
	for _, endpoint := range c.Endpoints {
		err := reach(ctx, endpoint, secure)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if first == nil {
			first = fmt.Errorf("%s: %w", endpoint, err)
		}
	}
	return first
}

func reach(ctx context.Context, endpoint string, secure *tls.Config) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return errors.New("it is not a URL")
	}
	var conn net.Conn
	if u.Scheme == "https" {
		secure = secure.Clone()
		secure.NextProtos = []string{"h2"}
		conn, err = (&tls.Dialer{Config: secure}).DialContext(ctx, "tcp", u.Host)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(refusalLimit)); err != nil {
		return err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}
