package providertest

import (
	"strings"
	"testing"
	"time"
)

// multi reads a multi-line response of POP and undoes its dots.
func (c *client) multi() string {
	c.Helper()
	var all strings.Builder
	for {
		line := c.readLine()
		if line == "." {
			return all.String()
		}
		all.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
	}
}

// popper returns a client that has logged in to POP.
func popper(t testing.TB, p *Provider) *client {
	t.Helper()
	c := dial(t, p.POPAddr, trust(p))
	c.begins("+OK")
	c.send("AUTH XOAUTH2\r\n")
	c.begins("+ ")
	c.send(xoauth2(me, p.accessToken(t, me)) + "\r\n")
	c.begins("+OK")
	return c
}

// TestPOP reads and deletes messages. "…" ends a line after which a multi-line response is read.
func TestPOP(t *testing.T) {
	p := start(t, Options{})
	for _, l := range letters {
		p.Deliver(me, []byte(l))
	}
	c := popper(t, p)
	for _, tt := range [][3]string{
		{"CAPA", "+OK", "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nSASL XOAUTH2 OAUTHBEARER\r\n"},
		{"STAT", "+OK 2 "},
		{"LIST 2", "+OK 2 35"},
		{"UIDL", "+OK", "1 1-1\r\n2 1-2\r\n"},
		{"RETR 1", "+OK", letters[0]},
		{"RETR 2", "+OK 35 octets", letters[1] + "\r\n"},
		{"TOP 2 1", "+OK", "Subject: plain\r\n\r\n.dots\r\n"},
		{"DELE 2", "+OK"},
		{"RETR 2", "-ERR"},
		{"STAT", "+OK 1 "},
		{"RSET", "+OK"},
		{"STAT", "+OK 2 "},
		{"DELE 1", "+OK"},
		{"NOOP", "+OK"},
		{"USER me", "-ERR"},
		{"LIST", "+OK", "2 35\r\n"},
		{"QUIT", "+OK"},
	} {
		c.send(tt[0] + "\r\n")
		c.begins(tt[1])
		if tt[2] != "" {
			if got := c.multi(); got != tt[2] {
				t.Errorf("%s: %q, want %q", tt[0], got, tt[2])
			}
		}
	}
	c.ended()
	c = popper(t, p)
	c.send("STAT\r\n")
	c.begins("+OK 1 35")
}

// TestPOPLogin lists ways to log in that are accepted and refused.
func TestPOPLogin(t *testing.T) {
	tests := []struct {
		name  string
		opts  Options
		act   Action // at StepAuth
		lines []string
	}{
		{"two steps", Options{}, Action{}, []string{"AUTH XOAUTH2|+ ", "%X|+OK"}},
		{"one step", Options{TokenSize: 60}, Action{}, []string{"AUTH XOAUTH2 %X|+OK"}},
		{"long line", Options{TokenSize: 300}, Action{}, []string{"AUTH XOAUTH2 %X|-ERR", "AUTH XOAUTH2|+ ", "%X|+OK"}},
		{"oauthbearer", Options{}, Action{}, []string{"AUTH OAUTHBEARER|+ ", "%B|+OK"}},
		{"refused", Options{}, Action{}, []string{"AUTH XOAUTH2|+ ", "%Y|+ ey", "|-ERR [AUTH]", "AUTH XOAUTH2|+ ", "%X|+OK"}},
		{"password", Options{}, Action{}, []string{"USER me|+OK", "PASS x|-ERR [AUTH]"}},
		{"too early", Options{}, Action{}, []string{"STAT|-ERR", "AUTH NTLM|-ERR", "AUTH|+OK", "|XOAUTH2", "|OAUTHBEARER", "|."}},
		{"switched off", Options{}, Action{Text: "-ERR [SYS/TEMP] Try again later"}, []string{"AUTH XOAUTH2|+ ", "%X|-ERR [SYS/TEMP]"}},
		{"other words", Options{}, Action{Text: "+OK Hi"}, []string{"AUTH XOAUTH2|+ ", "%X|+OK Hi"}},
		{"no scope", Options{Scopes: map[Protocol]string{POP: "pop"}}, Action{}, []string{"AUTH XOAUTH2|+ ", "%N|+ ey", "|-ERR [AUTH]"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, tt.opts)
			token := p.accessToken(t, me)
			_, narrow := p.refresh(t, p.GrantScope(me, "other"))
			replace := strings.NewReplacer("%X", xoauth2(me, token), "%B", bearer(me, token), "%Y", xoauth2(me, "bad"),
				"%N", xoauth2(me, narrow["access_token"].(string)))
			p.SetFaults(Faults{POP: func(e Event) Action {
				if e.Step == StepAuth {
					return tt.act
				}
				return Action{}
			}})
			c := dial(t, p.POPPlainAddr, nil)
			c.begins("+OK")
			talk(c, replace, tt.lines)
		})
	}
}

// TestPOPLocked shows that a mailbox has one POP session at a time, and not too often.
func TestPOPLocked(t *testing.T) {
	p := start(t, Options{LoginDelay: time.Hour})
	first := popper(t, p)
	second := dial(t, p.POPAddr, trust(p))
	second.begins("+OK")
	again := func(want string) {
		t.Helper()
		second.send("AUTH XOAUTH2\r\n")
		second.begins("+ ")
		second.send(xoauth2(me, p.accessToken(t, me)) + "\r\n")
		second.begins(want)
	}
	again("-ERR [IN-USE]")
	first.send("QUIT\r\n")
	first.begins("+OK")
	again("-ERR [LOGIN-DELAY]")
	if n := p.Counts().POP; n.Auths != 1 || n.Connections != 2 {
		t.Errorf("counts %+v", n)
	}
}

// TestPOPFaults refuses at the greeting, and cuts a message off.
func TestPOPFaults(t *testing.T) {
	p := start(t, Options{})
	p.Deliver(me, []byte("a: b\r\n"))
	p.SetFaults(Faults{POP: func(e Event) Action {
		if e.Step == StepLiteral {
			return Action{Cut: 3}
		}
		return Action{}
	}})
	c := popper(t, p)
	c.send("RETR 1\r\n")
	if got := c.rest(); got != "+OK 6 octets\r\na: " {
		t.Errorf("read %q", got)
	}
	p.SetFaults(Faults{POP: func(Event) Action { return Action{Text: "-ERR [SYS/TEMP] Not now"} }})
	c = dial(t, p.POPPlainAddr, nil)
	c.begins("-ERR [SYS/TEMP]")
	c.ended()
}

func TestSTLS(t *testing.T) {
	p := start(t, Options{})
	c := dial(t, p.POPStartAddr, nil)
	c.begins("+OK")
	c.send("CAPA\r\n")
	c.begins("+OK")
	if got := c.multi(); !strings.HasSuffix(got, "STLS\r\n") || strings.Contains(got, "SASL") {
		t.Errorf("capabilities %q", got)
	}
	c.send("STLS\r\n")
	c.begins("+OK")
	c.tls(trust(p))
	c.send("AUTH XOAUTH2\r\n")
	c.begins("+ ")
}
