package smtpd

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/proxy/envelope"
)

func TestPut(t *testing.T) {
	for _, tc := range []struct{ verb, arg, want string }{{"NOOP", "", "NOOP\r\n"}, {"EHLO", "x", "EHLO x\r\n"}, {"", "b64", "b64\r\n"}, {"", "", "\r\n"}} {
		p := make([]byte, 64)
		if got := string(p[:put(p, tc.verb, []byte(tc.arg))]); got != tc.want {
			t.Errorf("%+v: %q", tc, got)
		}
	}
	p := []byte("ehlo   long.name\n ")
	if got := string(p[:put(p, "EHLO", p[7:16])]); got != "EHLO long.name\r\n" {
		t.Errorf("in place: %q", got)
	}
}

// A line that ends in CR alone never ended, and its client heard that nothing was heard.
func TestLineThatEndsInCR(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := pipe(t)
		said := lastLine(client)
		go io.WriteString(client, "EHLO x\r")
		start := time.Now()
		io.Copy(io.Discard, readerOnly{c})
		if line := <-said; !strings.HasPrefix(line, "500 5.5.2 Line ends must be CRLF") {
			t.Errorf("it was answered with %q", line)
		}
		if took := time.Since(start); took != wrongEnd {
			t.Errorf("after %v", took)
		}
	})
}

// A user name of 48 KB was kept for as long as AUTH LOGIN lasted.
func TestLongNameIsNotKept(t *testing.T) {
	l := &loginServer{authenticate: func(string, string) error { return nil }}
	l.Next([]byte(strings.Repeat("a", 3000)))
	if len(l.username) > envelope.MaxAddress+1 {
		t.Errorf("%d bytes of a name are kept", len(l.username))
	}
}
