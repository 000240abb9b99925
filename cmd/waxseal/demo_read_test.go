package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestIMAPClient fetches a message with the demo's client, from the demo's provider.
func TestIMAPClient(t *testing.T) {
	p, err := providertest.Start(demoProvider)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	text := "Subject: x\r\n\r\na OK in the text {3}\r\n"
	p.Deliver(demoAddress, []byte(text))
	resp, err := http.PostForm(p.TokenURL(), url.Values{"grant_type": {"refresh_token"}, "refresh_token": {p.Grant(demoAddress)}, "client_id": {"waxseal-demo"}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var token struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil {
		t.Fatal(err)
	}

	conn, err := net.Dial("tcp", p.IMAPPlainAddr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := imapClient{conn, bufio.NewReader(conn)}
	if line, err := c.line(); err != nil || !strings.HasPrefix(line, "* OK ") {
		t.Fatalf("greeting %q (%v)", line, err)
	}
	if _, err := c.do("LOGIN me " + imapQuoted(`a"\b`)); err == nil || !strings.HasPrefix(err.Error(), "NO [ALERT] Passwords") {
		t.Errorf("LOGIN: %v", err)
	}
	response := base64.StdEncoding.EncodeToString([]byte("user=" + demoAddress + "\x01auth=Bearer " + token.Access + "\x01\x01"))
	for _, command := range []string{"AUTHENTICATE XOAUTH2 " + response, "SELECT INBOX"} {
		if _, err := c.do(command); err != nil {
			t.Fatalf("%.12s: %v", command, err)
		}
	}
	if got, err := c.do("FETCH 1 BODY.PEEK[]"); err != nil || string(got) != text {
		t.Errorf("FETCH: %q (%v)", got, err)
	}
}
