//go:build linux

package main_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// localPassword is the local password of every account from importFor.
const localPassword = "local-password"

// configFor is a configuration whose one provider, "test", is p.
func configFor(p *providertest.Provider, caFile string) string {
	return fmt.Sprintf(`listen = ["127.0.0.1:0"]
listen_tls = []
metrics = ""

[[provider]]
id = "test"
name = "Test"
domains = ["corp.example"]
auth_url = %q
token_url = %q
scopes = ["mail"]
client_id = "waxseal"
smtp = %q
smtp_tls = "starttls"
ca_file = %q
`, p.AuthURL(), p.TokenURL(), p.SMTPAddr, caFile)
}

// importFor is an import file of one account whose user has consented at p.
func importFor(t *testing.T, p *providertest.Provider, address string) string {
	t.Helper()
	data, err := json.Marshal([]map[string]string{{
		"email":         address,
		"provider":      "test",
		"client_id":     "waxseal",
		"refresh_token": p.Grant(address),
		"smtp_password": localPassword,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// smtpClient speaks SMTP line by line, so that a test can stop in the middle of a message.
type smtpClient struct {
	t    *testing.T
	conn net.Conn
	text *textproto.Conn
}

func dialSMTP(t *testing.T, address string) *smtpClient {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(3 * time.Minute))
	return &smtpClient{t, conn, textproto.NewConn(conn)}
}

// login reads the greeting and logs in.
func (c *smtpClient) login(address string) {
	c.t.Helper()
	c.want(220, "")
	c.want(250, "EHLO client.test")
	response := base64.StdEncoding.EncodeToString([]byte("\x00" + address + "\x00" + localPassword))
	c.want(235, "AUTH PLAIN "+response)
}

// want sends a command, unless it is empty, and reads the reply, which must have the code.
func (c *smtpClient) want(code int, command string) (text string) {
	c.t.Helper()
	if command != "" {
		c.send([]byte(command + "\r\n"))
	}
	got, text, err := c.text.ReadResponse(0)
	if err != nil {
		c.t.Fatalf("reply to %q: %v", command, err)
	}
	if got != code {
		c.t.Fatalf("%q was answered with %d %s, want %d", command, got, text, code)
	}
	return text
}

func (c *smtpClient) send(data []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(data); err != nil {
		c.t.Fatal(err)
	}
}
