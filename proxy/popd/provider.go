package popd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

const (
	// maxReply bounds a line from a provider before the login. RFC 2449 section 4 allows 512 bytes; a
	// challenge may be longer.
	maxReply = 8 << 10
	// maxCapabilities is how many lines an answer to CAPA may have.
	maxCapabilities = 200
)

var errReply = errors.New("the server does not speak POP3")

// provider is a connection to a provider's server before its login.
type provider struct {
	conn    net.Conn
	in      *bufio.Reader
	greeted bool
	clean   func(string) string // takes secrets out of what it says
}

func (p *provider) over(conn net.Conn) {
	p.conn, p.in = conn, bufio.NewReaderSize(conn, maxReply)
}

// reply is a status line (RFC 1939 section 3), or the request for a response (RFC 5034 section 4).
type reply struct {
	line string // as it came, without its end
	ok   bool
	asks bool   // it is a challenge
	text string // behind the status; for -ERR and +OK behind a response code too
	code string // the response code, without brackets (RFC 2449 section 8)
}

// greet reads the greeting.
func (p *provider) greet() error {
	if p.greeted {
		return nil // before STLS, and there is no other behind it (RFC 2595 section 4)
	}
	p.greeted = true
	r, err := p.read()
	if err == nil && (!r.ok || r.asks) {
		err = p.refusal("greeting", r)
	}
	return err
}

// startTLS is the dialogue before TLS. Text behind the answer to STLS would be taken for the server's
// first words under TLS, so it ends the connection (CVE-2011-0411).
func (p *provider) startTLS(clear net.Conn) error {
	p.over(clear)
	if err := p.greet(); err != nil {
		return err
	}
	r, err := p.ask("STLS")
	switch {
	case err != nil:
		return err
	case !r.ok || r.asks:
		return dial.ErrNoTLS
	case p.in.Buffered() > 0:
		return dial.ErrInjected
	}
	return nil
}

// capabilities asks for them. A server that knows no CAPA has none.
func (p *provider) capabilities() ([]string, error) {
	r, err := p.ask("CAPA")
	if err != nil || !r.ok || r.asks {
		return []string{}, err
	}
	var lines []string
	for range maxCapabilities {
		line, err := p.line()
		if err != nil {
			return nil, err
		}
		if line == "." {
			return tidied(lines), nil
		}
		lines = append(lines, line)
	}
	return nil, fmt.Errorf("%w: its list of capabilities has no end", errReply)
}

// utf8 is RFC 6856's command, which changes what the server sends later.
func (p *provider) utf8() error {
	r, err := p.ask("UTF8")
	if err == nil && (!r.ok || r.asks) {
		err = p.refusal("UTF8", r)
	}
	return err
}

// auth logs in, always in two steps: a token does not fit into a command of 255 bytes (RFC 2449
// section 4). It returns the line that says that it worked.
func (p *provider) auth(mech, response, token string) (welcome string, err error) {
	r, err := p.ask("AUTH " + mech)
	if err == nil && r.asks {
		r, err = p.ask(response)
	}
	if err != nil {
		return "", err
	}
	if !r.asks {
		if !r.ok {
			return "", p.refusal("AUTH", r)
		}
		return r.line, nil
	}
	// The reason for the refusal. The refusal itself comes only after an answer to it; "*" would
	// cancel the exchange and lose it.
	_, report := dial.ReadReport(r.text, token)
	r, err = p.ask(dial.Acknowledgement(mech))
	switch {
	case err != nil && report != "":
		return "", &mailbox.ServerError{Protocol: api.POP, Op: "AUTH", Status: "-ERR", Report: report}
	case err != nil:
		return "", err
	case r.ok || r.asks:
		return "", fmt.Errorf("%w: it refused the token and went on", errReply)
	}
	refusal := p.refusal("AUTH", r)
	refusal.Report = report
	return "", refusal
}

// release ends the time before the login. It returns what the server has sent ahead.
func (p *provider) release() (ahead []byte) {
	ahead, _ = p.in.Peek(p.in.Buffered())
	ahead = bytes.Clone(ahead)
	p.in = nil
	return ahead
}

func (p *provider) refusal(op string, r reply) *mailbox.ServerError {
	return &mailbox.ServerError{Protocol: api.POP, Op: op, Status: "-ERR", Code: p.clean(r.code), Text: p.clean(r.text)}
}

func (p *provider) ask(line string) (reply, error) {
	if _, err := io.WriteString(p.conn, line+"\r\n"); err != nil {
		return reply{}, err
	}
	return p.read()
}

func (p *provider) read() (reply, error) {
	line, err := p.line()
	if err != nil {
		return reply{}, err
	}
	r, ok := parseReply(line)
	if !ok {
		return reply{}, fmt.Errorf("%w: it said %q", errReply, p.clean(line))
	}
	return r, nil
}

// line is the next line without its end.
func (p *provider) line() (string, error) {
	b, err := p.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("%w: a line has more than %d bytes", errReply, maxReply)
	case errors.Is(err, io.EOF):
		return "", io.ErrUnexpectedEOF
	case err != nil:
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}

// parseReply reads a status line. Some servers ask for a response with "+" alone, or with no blank
// before the challenge.
func parseReply(line string) (r reply, ok bool) {
	status, text, _ := strings.Cut(line, " ")
	r = reply{line: line, text: text}
	switch {
	case status == "+OK":
		r.ok = true
	case status == "-ERR":
	case strings.HasPrefix(line, "+"):
		r.asks, r.text = true, strings.TrimSpace(line[1:])
		return r, true
	default:
		return reply{}, false
	}
	if rest, found := strings.CutPrefix(text, "["); found {
		if code, text, found := strings.Cut(rest, "]"); found {
			r.code, r.text = strings.ToUpper(code), strings.TrimSpace(text)
		}
	}
	return r, true
}

// guard lets ctx cut the connection's reads and writes short until stop is called. stop reports
// whether the connection is whole, and takes deadlines off it.
func guard(ctx context.Context, conn net.Conn) (stop func() bool) {
	unhook := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return func() bool { return unhook() && conn.SetDeadline(time.Time{}) == nil }
}
