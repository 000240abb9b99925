package dial

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
)

// maxTunnelAnswer bounds a proxy's answer, in bytes.
const maxTunnelAnswer = 16 << 10

// ProxyError is an HTTP proxy that does not connect us to the server.
type ProxyError struct {
	Proxy string // its address, or which setting names it; never the user's name or password
	Err   error
}

// Error implements error.
func (e *ProxyError) Error() string { return fmt.Sprintf("the proxy %s: %v", e.Proxy, e.Err) }

// Unwrap gives the cause.
func (e *ProxyError) Unwrap() error { return e.Err }

// TCP connects to addr, host:port, without TLS, directly or through the HTTP proxy that proxy names for it;
// nil names none. See [Server.Proxy].
func TCP(ctx context.Context, proxy func(*url.URL) (*url.URL, error), addr string) (net.Conn, error) {
	return through(ctx, &net.Dialer{}, proxy, addr)
}

func through(ctx context.Context, d *net.Dialer, proxy func(*url.URL) (*url.URL, error), addr string) (net.Conn, error) {
	if proxy == nil {
		return d.DialContext(ctx, "tcp", addr)
	}
	via, err := proxy(&url.URL{Scheme: "https", Host: addr})
	if err != nil {
		return nil, err
	}
	if via == nil {
		return d.DialContext(ctx, "tcp", addr)
	}
	conn, err := tunnel(ctx, d, via, addr)
	if err != nil {
		return nil, &ProxyError{via.Host, err}
	}
	return conn, nil
}

// tunnel asks a proxy for a connection to addr (RFC 9110 section 9.3.6).
func tunnel(ctx context.Context, d *net.Dialer, via *url.URL, addr string) (conn net.Conn, err error) {
	port := map[string]string{"http": "80", "https": "443"}[via.Scheme]
	if port == "" {
		return nil, fmt.Errorf("mail can go through an http or https proxy, not through one of the kind %q", via.Scheme)
	}
	if via.Port() != "" {
		port = via.Port()
	}
	raw, err := d.DialContext(ctx, "tcp", net.JoinHostPort(via.Hostname(), port))
	if err != nil {
		return nil, err
	}
	if conn = raw; via.Scheme == "https" {
		conn = tls.Client(raw, &tls.Config{ServerName: via.Hostname(), MinVersion: tls.VersionTLS12})
	}
	stop := guard(ctx, raw)
	err = connectVia(conn, via, addr)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		raw.Close()
		return nil, untrusted(via.Hostname(), err)
	}
	return conn, nil
}

// connectVia has the dialogue with the proxy. Not a byte after its answer is read: those are the
// server's.
func connectVia(conn net.Conn, via *url.URL, addr string) error {
	ask := "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n"
	if via.User != nil {
		password, _ := via.User.Password()
		ask += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(via.User.Username()+":"+password)) + "\r\n"
	}
	if _, err := conn.Write([]byte(ask + "\r\n")); err != nil {
		return err
	}
	var head []byte
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, one[0]) {
		if len(head) == maxTunnelAnswer {
			return errors.New("its answer is too long")
		}
		if _, err := conn.Read(one); err != nil {
			return err
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return errors.New("its answer is not HTTP")
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return noTunnel(resp.StatusCode)
	}
	return nil
}

// noTunnel is a proxy's refusal. Only the code is kept: the proxy's own words may repeat the password.
func noTunnel(code int) error { return fmt.Errorf("it answered %d %s", code, http.StatusText(code)) }
