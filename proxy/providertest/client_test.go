package providertest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const me = "me@corp.test"

// start starts a provider that ends with the test.
func start(t testing.TB, o Options) *Provider {
	t.Helper()
	p, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if n := p.Counts().Active; n != 0 {
			t.Errorf("%d connections are still counted after Close", n)
		}
	})
	return p
}

// client is the simplest mail client: it sends strings and reads replies.
type client struct {
	testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func dial(t testing.TB, addr string, pool *tls.Config) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(2 * time.Minute)) // ends a test that hangs; nothing is measured by it
	c := &client{TB: t, conn: conn, r: bufio.NewReader(conn)}
	if pool != nil {
		c.tls(pool)
	}
	return c
}

func trust(p *Provider) *tls.Config { return &tls.Config{RootCAs: p.Pool(), ServerName: "127.0.0.1"} }

func (c *client) tls(config *tls.Config) {
	c.Helper()
	t := tls.Client(c.conn, config)
	if err := t.Handshake(); err != nil {
		c.Fatal(err)
	}
	c.conn, c.r = t, bufio.NewReader(t)
}

func (c *client) send(format string, args ...any) {
	c.Helper()
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	if _, err := io.WriteString(c.conn, format); err != nil {
		c.Fatalf("send %.60q: %v", format, err)
	}
}

// reply reads one reply and returns its lines as they came, joined by \n.
func (c *client) reply() string {
	c.Helper()
	var lines []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.Fatalf("read reply: %v after %q", err, lines)
		}
		if !strings.HasSuffix(line, "\r\n") || len(line) < 6 {
			c.Fatalf("malformed reply line %q", line)
		}
		lines = append(lines, strings.TrimSuffix(line, "\r\n"))
		if line[3] == ' ' {
			return strings.Join(lines, "\n")
		}
	}
}

// expect reads one reply, which must begin with want.
func (c *client) expect(prefix string) string {
	c.Helper()
	got := c.reply()
	if !strings.HasPrefix(got, prefix) {
		c.Fatalf("reply %q, want %q", got, prefix)
	}
	return got
}

// do sends a line and reads the reply.
func (c *client) do(line, prefix string) string {
	c.Helper()
	c.send(line + "\r\n")
	return c.expect(prefix)
}

// ended checks that the server has closed the connection.
func (c *client) ended() {
	c.Helper()
	if rest, err := io.ReadAll(c.r); len(rest) > 0 {
		c.Fatalf("connection goes on with %q (%v)", rest, err)
	}
}

// login returns a client that has logged in over implicit TLS.
func login(t testing.TB, p *Provider) *client {
	t.Helper()
	c := dial(t, p.SMTPSAddr, trust(p))
	c.expect("220 ")
	c.do("EHLO client.test", "250-")
	c.do("AUTH XOAUTH2 "+xoauth2(me, p.accessToken(t, me)), "235 2.7.0")
	return c
}

func xoauth2(user, token string) string {
	return base64.StdEncoding.EncodeToString([]byte("user=" + user + "\x01auth=Bearer " + token + "\x01\x01"))
}

func bearer(user, token string) string {
	return base64.StdEncoding.EncodeToString([]byte("n,a=" + user + ",\x01host=h\x01port=587\x01auth=Bearer " + token + "\x01\x01"))
}

// accessToken gets an access token over HTTP, as a client would.
func (p *Provider) accessToken(t testing.TB, account string) string {
	t.Helper()
	status, got := p.post(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {p.Grant(account)}, "client_id": {"c"}})
	if status != 200 {
		t.Fatalf("token: %d %v", status, got)
	}
	return got["access_token"].(string)
}

// post sends a form to the token endpoint and reads its JSON.
func (p *Provider) post(t testing.TB, form url.Values) (status int, got map[string]any) {
	t.Helper()
	status, body := fetch(t, p.TokenURL(), form, nil)
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("%d %q: %v", status, body, err)
	}
	return status, got
}

func fetch(t testing.TB, address string, form url.Values, change func(*http.Request)) (status int, body []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if change != nil {
		change(r)
	}
	resp, err := plain().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// plain is an HTTP client that follows no redirects and leaves no connection open.
func plain() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// arrived checks the last message's body.
func arrived(t testing.TB, p *Provider, want []byte) Message {
	t.Helper()
	all := p.Messages()
	if len(all) == 0 {
		t.Fatal("no message arrived")
	}
	m := all[len(all)-1]
	sum := sha256.Sum256(want)
	if !bytes.Equal(m.Body, want) || m.SHA256 != hex.EncodeToString(sum[:]) || m.Size != int64(len(want)) {
		t.Fatalf("arrived: %d octets %.80q, sum %s; sent: %d octets %.80q", m.Size, m.Body, m.SHA256, len(want), want)
	}
	return m
}
