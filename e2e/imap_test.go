//go:build e2e

package e2e

import (
	"bufio"
	"compress/flate"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// imapClient speaks IMAP command by command, so that a test can stop anywhere.
type imapClient struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	out  io.Writer
	last int // the number in the last tag
}

// dialIMAP connects and reads the greeting. With a certificate's path it uses TLS.
func dialIMAP(t *testing.T, address, certificate string) *imapClient {
	t.Helper()
	conn := dial(t, address, certificate)
	c := &imapClient{t: t, conn: conn, in: bufio.NewReader(conn), out: conn}
	if greeting := c.line(); !strings.HasPrefix(greeting, "* OK") {
		t.Fatalf("the greeting is %q", greeting)
	}
	return c
}

func dial(t *testing.T, address, certificate string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	if certificate != "" {
		conn = tls.Client(conn, trust(t, certificate))
	}
	return conn
}

// trust accepts localhost with one certificate.
func trust(t *testing.T, certificate string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{ServerName: "localhost", RootCAs: roots}
}

// startTLS goes on with TLS.
func (c *imapClient) startTLS(certificate string) {
	c.t.Helper()
	c.do("STARTTLS")
	conn := tls.Client(c.conn, trust(c.t, certificate))
	c.conn, c.in, c.out = conn, bufio.NewReader(conn), conn
}

// compress goes on with COMPRESS=DEFLATE (RFC 4978).
func (c *imapClient) compress() {
	c.t.Helper()
	c.do("COMPRESS DEFLATE")
	deflate, err := flate.NewWriter(c.conn, flate.DefaultCompression)
	if err != nil {
		c.t.Fatal(err)
	}
	c.in, c.out = bufio.NewReader(flate.NewReader(c.in)), flushing{deflate}
}

// flushing sends each Write at once.
type flushing struct{ *flate.Writer }

func (f flushing) Write(b []byte) (int, error) {
	n, err := f.Writer.Write(b)
	if err == nil {
		err = f.Flush()
	}
	return n, err
}

// line reads a line without its end.
func (c *imapClient) line() string {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("after %q: %v", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// logout ends the session as mail programs do.
func (c *imapClient) logout() {
	c.t.Helper()
	c.do("LOGOUT")
	c.conn.Close()
}

// ended checks that the server has closed the connection.
func (c *imapClient) ended() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.in); len(rest) > 0 || os.IsTimeout(err) {
		c.t.Errorf("the connection goes on with %q, %v", rest, err)
	}
}

var literal = regexp.MustCompile(`\{(\d+)\}$`)

// response reads a response with its literals.
func (c *imapClient) response() string {
	c.t.Helper()
	var all strings.Builder
	for {
		line := c.line()
		all.WriteString(line)
		size := literal.FindStringSubmatch(line)
		if size == nil {
			return all.String()
		}
		n, _ := strconv.ParseInt(size[1], 10, 64)
		all.WriteString("\r\n")
		if _, err := io.CopyN(&all, c.in, n); err != nil {
			c.t.Fatal(err)
		}
	}
}

// send sends a command and returns its tag.
func (c *imapClient) send(command string) (tag string) {
	c.t.Helper()
	c.last++
	tag = fmt.Sprint("t", c.last)
	c.write(tag + " " + command + "\r\n")
	return tag
}

func (c *imapClient) write(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.out, text); err != nil {
		c.t.Fatal(err)
	}
}

// try sends a command and returns all responses, the tagged one last, without its tag.
func (c *imapClient) try(command string) (responses []string) {
	c.t.Helper()
	return c.answers(c.send(command))
}

// answers reads up to the tagged response.
func (c *imapClient) answers(tag string) (responses []string) {
	c.t.Helper()
	for {
		r := c.response()
		if after, tagged := strings.CutPrefix(r, tag+" "); tagged {
			return append(responses, after)
		}
		responses = append(responses, r)
	}
}

// do sends a command that must succeed, and returns all responses.
func (c *imapClient) do(command string) (responses []string) {
	c.t.Helper()
	responses = c.try(command)
	if last := responses[len(responses)-1]; !strings.HasPrefix(last, "OK") {
		c.t.Fatalf("%s: %s", command, last)
	}
	return responses
}

// append puts a message into a mailbox.
func (c *imapClient) append(mailbox, flags, message string) {
	c.t.Helper()
	tag := c.send(fmt.Sprintf("APPEND %s (%s) {%d}", mailbox, flags, len(message)))
	if line := c.line(); !strings.HasPrefix(line, "+") {
		c.t.Fatalf("APPEND: %s", line)
	}
	c.write(message + "\r\n")
	if all := c.answers(tag); !strings.HasPrefix(all[len(all)-1], "OK") {
		c.t.Fatalf("APPEND: %s", all[len(all)-1])
	}
}

// sees reads untagged responses until one matches.
func (c *imapClient) sees(pattern string) string {
	c.t.Helper()
	for re := regexp.MustCompile(pattern); ; {
		if r := c.response(); re.MatchString(r) {
			return r
		}
	}
}

// quoted is a quoted string (RFC 9051 section 4.3).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
