package dialogue

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// server answers each line it hears with what says has for it, and greets with what says has for
// "". "(close)" ends the connection. It remembers the bytes it read.
type server struct {
	says    map[string]string
	running sync.WaitGroup
	mu      sync.Mutex
	heard   strings.Builder
}

func (s *server) open(context.Context, bool) (net.Conn, error) {
	here, there := net.Pipe()
	s.running.Go(func() {
		defer there.Close()
		r := bufio.NewReader(there)
		for line := ""; ; {
			reply := s.says[strings.TrimRight(line, "\r\n")]
			if delay, rest, ok := strings.Cut(reply, " later: "); ok {
				d, _ := time.ParseDuration(delay)
				time.Sleep(d)
				reply = rest
			}
			reply, last := strings.CutSuffix(reply, "(close)")
			var err error
			if reply != "" { // a pipe blocks even for nothing
				_, err = io.WriteString(there, reply)
			}
			if err != nil || last {
				return
			}
			if line, err = r.ReadString('\n'); err != nil {
				return
			}
			s.mu.Lock()
			s.heard.WriteString(line)
			s.mu.Unlock()
		}
	})
	return here, nil
}

func play(p Player, text string) error {
	list, err := Parse("f.txt", text)
	if err != nil {
		return err
	}
	return p.Play(context.Background(), list[0])
}

func TestPlay(t *testing.T) {
	says := map[string]string{
		"": "220 ready\r\n", "EHLO x": "250-Hello x\r\n250-PIPELINING\r\n250 SIZE\r\n", "NOOP": "250 2.0.0 OK\r\n", "BAD": "500 5.5.2 what?\r\n",
		"LF": "250 x\n", "QUIT": "221 2.0.0 Bye\r\n(close)", "HALF": "25(close)", "SLOW": "2s later: 250 2.0.0 OK\r\n",
		"MULTI": "550-5.1.1 no\r\n550 5.1.1 such user\r\n",
	}
	for name, c := range map[string]struct{ text, err string }{
		"replies":             {"<- 220 ready\n-> EHLO x\n<- 250-Hello x\n<- 250-*\n<- 250 SIZE*\n-> NOOP\n<- *OK", ""},
		"regular expressions": {"<~ 220\n-> NOOP\n<~ 25[01] 2\\.0\\.0 (OK|fine)$", ""},
		"a whole reply":       {"<- 220*\n-> EHLO x\n<... 250 SIZE\n-> EHLO x\n<... 250-PIPE\n<- 250 SIZE\n-> NOOP\n<... 250", ""},
		"the end":             {"<- 220*\n-> QUIT\n<- 221*\nclosed", ""},
		"two connections":     {"a <- 220*\nb <- 220*\nb -> NOOP\na -> QUIT\na <- 221*\na closed\nb <- 250*", ""},
		"the same one again":  {"<- 220*\nclose\n<- 220*\ntcp_connect somewhere:25\n<- 220*", ""},
		"in time":             {"<- 220*\nwait 1h\nwithin 3s\n-> SLOW\n<- 250*\n-> SLOW\n<- 250*", ""},

		"another reply":        {"<- 220*\n-> BAD\n<- 250*", `f.txt:3: expected "250*", heard "500 5.5.2 what?", after sending "BAD\r\n"`},
		"another greeting":     {"<- 554*", `f.txt:1: expected "554*", heard "220 ready"`},
		"no such reply":        {"<- 220*\n-> BAD\n<~ 2..", `f.txt:3: expected "2..", heard "500 5.5.2 what?", after sending "BAD\r\n"`},
		"a longer line":        {"<- 220", `f.txt:1: expected "220", heard "220 ready"`},
		"a reply without it":   {"<- 220*\n-> MULTI\n<... 250", `f.txt:3: expected "250", heard "550-5.1.1 no\n550 5.1.1 such user", after sending "MULTI\r\n"`},
		"too late":             {"<- 220*\nwithin 1s\n-> SLOW\n<- 250*", `f.txt:4: expected "250*", heard nothing more within 1s: `},
		"silence":              {"<- 220*\n<- 220*", `f.txt:2: expected "220*", heard nothing more within 20s: `},
		"no end":               {"<- 220*\nclosed", `f.txt:2: expected "the end of the connection", heard nothing more within 20s: `},
		"a line, not the end":  {"closed", `f.txt:1: expected "the end of the connection", heard "220 ready"`},
		"an end, not the line": {"<- 220*\n-> QUIT\n<- 221*\n<- 250*", `f.txt:4: expected "250*", heard the end of the connection, after sending "QUIT\r\n"`},
		"half a line":          {"<- 220*\n-> HALF\n<- 250*", `f.txt:3: expected "250*", heard "25", then the end of the connection, after`},
		"LF alone":             {"<- 220*\n-> LF\n<- 250*", `f.txt:3: expected "250*", heard "250 x\n", then no CR before its LF, after`},
		"nobody to send to":    {"<- 220*\n-> QUIT\n<- 221*\nclosed\n-> NOOP", `f.txt:5: send "NOOP\r\n": io: read/write on closed pipe`},
		"nothing to check":     {"check x", `f.txt:1: this test has nothing to check with`},
		"only in one half":     {"half_close", "f.txt:1: this connection cannot be closed in one direction"},
		"no TLS":               {"<- 220*\nstarttls", "f.txt:2: TLS handshake: "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := server{says: says}
				err := play(Player{Open: s.open}, c.text)
				s.running.Wait()
				if (err == nil) != (c.err == "") || err != nil && !strings.HasPrefix(err.Error(), c.err) {
					t.Errorf("got  %v\nwant %s", err, c.err)
				}
			})
		})
	}
}

func TestPlaySendsWhatTheFileSays(t *testing.T) {
	s := server{}
	p := Player{Open: s.open, Replace: strings.NewReplacer("$ME", "me@corp.test")}
	err := play(p, "-> MAIL FROM:<$ME>\n.> RCPT \n.> TO:<$ME>\n~> '\\r\\nDATA\\n.\\r\\r\\n' + 'x' * 3 + '\\n'\n->\n-> a\\r b")
	s.running.Wait()
	want := "MAIL FROM:<me@corp.test>\r\nRCPT TO:<me@corp.test>\r\nDATA\n.\r\r\nxxx\n\r\na\\r b\r\n"
	if got := s.heard.String(); got != want || err != nil {
		t.Errorf("got  %q, %v\nwant %q", got, err, want)
	}
}

func TestPlayChecks(t *testing.T) {
	s := server{}
	p := Player{Open: s.open, Replace: strings.NewReplacer("$ME", "me@corp.test"), Check: func(claim string) error {
		if claim == "arrived me@corp.test" {
			return nil
		}
		return errors.New("not so: " + claim)
	}}
	if err := play(p, "check arrived $ME\ncheck arrived you"); err == nil || err.Error() != "f.txt:2: not so: arrived you" {
		t.Error(err)
	}
}

// Another server's words differ, and the lines of its replies too; the classes of replies do not.
func TestPlayLoosely(t *testing.T) {
	says := map[string]string{"": "220 ready\r\n", "EHLO x": "250-Hello x\r\n250 SIZE\r\n", "NOOP": "250 2.0.0 OK\r\n", "BAD": "502 5.5.1 what?\r\n"}
	for text, want := range map[string]string{
		"<- 220 Welcome to another server\n-> EHLO x\n<- 250-there\n<- 250-8BITMIME\n<- 250 DSN\n-> BAD\n<~ 500 5": "",
		"<~ 220\n-> EHLO x\n<... 250 HELP\n-> NOOP\n<- 252 whatever\n-> NOOP\n<- whatever":                         "",
		"<~ 220\n-> BAD\n<- 250 fine": `f.txt:3: expected "2xx, as in 250 fine", heard "502 5.5.1 what?", after`,
	} {
		s := server{says: says}
		err := play(Player{Open: s.open, Loose: true}, text)
		s.running.Wait()
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestPlayCannotConnect(t *testing.T) {
	p := Player{Open: func(context.Context, bool) (net.Conn, error) { return nil, errors.New("refused") }}
	if err := play(p, "-> x"); err == nil || err.Error() != "f.txt:1: connect: refused" {
		t.Error(err)
	}
}

func TestPlayEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	list, err := Parse("f.txt", "wait 1h")
	if err != nil {
		t.Fatal(err)
	}
	if err := (&Player{}).Play(ctx, list[0]); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestLike(t *testing.T) {
	for _, c := range []struct {
		s, pattern string
		want       bool
	}{
		{"250 OK", "250 OK", true}, {"250 OK", "250", false}, {"250 OK", "250*", true}, {"250 OK", "*OK", true}, {"250 OK", "2*0*K", true},
		{"250 OK wx1 queued as wx1", "250 OK * queued as *", true}, {"250 OK queued", "250 OK * queued", false}, {"aba", "ab*ba", false}, {"", "*", true},
	} {
		if like(c.s, c.pattern) != c.want {
			t.Errorf("like(%q, %q) is %t", c.s, c.pattern, !c.want)
		}
	}
}
