package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

// reader is a mail program that reads, with IMAP or POP, and can send anything.
type reader struct {
	t        testing.TB
	protocol api.Protocol
	conn     net.Conn
	r        *bufio.Reader
	tags     int
}

// read connects a mail program that reads. It has heard the greeting.
func (r *rig) read(p api.Protocol) *reader {
	r.t.Helper()
	x := r.readRaw(p, false)
	if got := x.line(); !strings.HasPrefix(got, map[api.Protocol]string{api.IMAP: "* OK", api.POP: "+OK"}[p]) {
		r.t.Fatalf("greeting: %q", got)
	}
	return x
}

// readRaw connects a mail program that has not heard the greeting.
func (r *rig) readRaw(p api.Protocol, implicit bool) *reader {
	r.t.Helper()
	c, err := net.Dial("tcp", r.at(p, implicit))
	if err != nil {
		r.t.Fatal(err)
	}
	if implicit {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &reader{t: r.t, protocol: p, conn: c, r: bufio.NewReader(c)}
}

// reading connects a mail program that has logged in.
func (r *rig) reading(p api.Protocol, address string) *reader {
	r.t.Helper()
	x := r.read(p)
	if got := x.login(address, password); !x.ok(got) {
		r.t.Fatalf("login: %q", got)
	}
	return x
}

// ok reports whether an answer says that it worked.
func (x *reader) ok(answer string) bool {
	return strings.HasPrefix(answer, map[api.Protocol]string{api.IMAP: "OK", api.POP: "+OK"}[x.protocol])
}

// login gives the answer to a login: of IMAP without its tag.
func (x *reader) login(address, password string) string {
	x.t.Helper()
	if x.protocol == api.IMAP {
		return x.do(fmt.Sprintf("LOGIN %q %q", address, password))
	}
	if got := x.do("USER " + address); !strings.HasPrefix(got, "+OK") {
		return got
	}
	return x.do("PASS " + password)
}

// do sends a command and gives the line that says how it ended, of IMAP without its tag. An answer of several lines
// in POP goes on after it. Where the connection ends first, it is the last line.
func (x *reader) do(command string) string {
	x.t.Helper()
	answer, _ := x.ask(command)
	return answer
}

// ask is do, with the untagged lines before the answer.
func (x *reader) ask(command string) (answer string, untagged []string) {
	x.t.Helper()
	if x.protocol == api.POP {
		x.send(command + "\r\n")
		return x.line(), nil
	}
	x.tags++
	tag := "t" + strconv.Itoa(x.tags) + " "
	x.send(tag + command + "\r\n")
	for last := ""; ; {
		line := x.line()
		if answer, ok := strings.CutPrefix(line, tag); ok {
			return answer, untagged
		}
		if line == gone {
			return last, untagged
		}
		last, untagged = line, append(untagged, line)
	}
}

func (x *reader) send(text string) {
	x.t.Helper()
	if _, err := io.WriteString(x.conn, text); err != nil {
		x.t.Fatalf("write: %v", err)
	}
}

// gone is what a reader hears of a connection that has ended.
const gone = "(the end)"

// line is the next line without its end, or gone.
func (x *reader) line() string {
	line, err := x.r.ReadString('\n')
	if err != nil && line == "" {
		return gone
	}
	return strings.TrimRight(line, "\r\n")
}

// lines are the lines up to the one with a dot, of POP.
func (x *reader) lines() (all []string) {
	for {
		switch line := x.line(); line {
		case ".", gone:
			return all
		default:
			all = append(all, line)
		}
	}
}

// ended waits for the end of the connection, and fails if more comes before it.
func (x *reader) ended() {
	x.t.Helper()
	if rest, err := io.ReadAll(x.r); err != nil || len(rest) > 0 {
		x.t.Errorf("before the end: %q, %v", rest, err)
	}
	x.conn.Close()
}

// idle begins IDLE in INBOX.
func (x *reader) idle() {
	x.t.Helper()
	x.do("SELECT INBOX")
	x.send("i IDLE\r\n")
	if got := x.line(); !strings.HasPrefix(got, "+") {
		x.t.Fatalf("IDLE: %q", got)
	}
}

// gauges are those of a protocol for reading.
func (r *rig) gauges(p api.Protocol) (found api.ReadGauges) {
	for _, g := range r.server.Snapshot().Reading {
		if g.Protocol == p {
			found = g
		}
	}
	return found
}

// readStatus is what the account me does with a protocol, and its state.
func (r *rig) readStatus(p api.Protocol) (found api.ReadStatus, account api.AccountStatus) {
	for _, a := range r.server.Snapshot().Accounts {
		if a.Address != me {
			continue
		}
		for _, s := range a.Reading {
			if s.Protocol == p {
				found = s
			}
		}
		account = a
	}
	return found, account
}

// events are the activities of a kind, oldest first.
func (r *rig) events(kind api.Kind) (found []api.Activity) {
	for _, a := range r.server.Activity(0) {
		if a.Kind == kind {
			found = append(found, a)
		}
	}
	return found
}

// bothWays runs a test for both protocols for reading.
func bothWays(t *testing.T, test func(t *testing.T, p api.Protocol)) {
	for _, p := range []api.Protocol{api.IMAP, api.POP} {
		t.Run(string(p), func(t *testing.T) { test(t, p) })
	}
}

var both = []api.Protocol{api.IMAP, api.POP}
