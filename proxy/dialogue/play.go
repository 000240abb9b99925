package dialogue

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Player plays dialogues with one server.
type Player struct {
	// Open connects to the server, with TLS from the first byte if implicit is set.
	Open func(ctx context.Context, implicit bool) (net.Conn, error)
	// TLS is the configuration for starttls.
	TLS *tls.Config
	// Replace changes what is sent with -> and .> and what <- expects: for names such as $AUTH,
	// and for the addresses of other suites. Nil changes nothing.
	Replace *strings.Replacer
	// Check returns an error if what a check line claims is not so.
	Check func(claim string) error
	// Patience is how long to wait for a reply or the end of the connection; 0 is 20 seconds.
	Patience time.Duration
	// Loose compares replies by the first digit of their codes alone.
	Loose bool
}

// Play plays a dialogue and closes its connections. Its error names the file and the line, what
// was expected there and what the server said.
func (p *Player) Play(ctx context.Context, d Dialogue) error {
	g := game{Player: p, conns: map[string]*conn{}}
	defer func() {
		for _, c := range g.conns {
			c.Close()
		}
	}()
	for _, s := range d.steps {
		if err := g.step(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.at, err)
		}
	}
	return nil
}

// game is one run of a dialogue.
type game struct {
	*Player
	conns  map[string]*conn
	within time.Duration // for the next reply; 0: Patience
}

func (g *game) step(ctx context.Context, s step) error {
	switch s.op {
	case "wait":
		return pause(ctx, s.time)
	case "within":
		g.within = s.time
		return nil
	case "check":
		if g.Check == nil {
			return errors.New("this test has nothing to check with")
		}
		return g.Check(g.replace(s.text))
	case "tcp_connect", "tls_connect":
		_, err := g.open(ctx, s.conn, s.op == "tls_connect")
		return err
	}
	c, err := g.conn(ctx, s.conn)
	if err != nil {
		return err
	}
	switch s.op {
	case "->":
		return c.send(g.replace(s.text)+"\r\n", g.patience())
	case ".>":
		return c.send(g.replace(s.text), g.patience())
	case "~>":
		return c.send(s.text, g.patience())
	case "starttls":
		return c.startTLS(ctx, g.TLS, g.patience())
	case "half_close":
		return c.halfClose()
	case "close":
		delete(g.conns, s.conn)
		return c.Close()
	}
	return g.hear(c, s)
}

func (g *game) replace(text string) string {
	if g.Replace == nil {
		return text
	}
	return g.Replace.Replace(text)
}

func (g *game) patience() time.Duration {
	if g.Patience == 0 {
		return 20 * time.Second
	}
	return g.Patience
}

// conn returns a connection by its name, and opens it if it is not open.
func (g *game) conn(ctx context.Context, name string) (*conn, error) {
	if c := g.conns[name]; c != nil {
		return c, nil
	}
	return g.open(ctx, name, false)
}

// open opens a connection in place of one of the same name.
func (g *game) open(ctx context.Context, name string, implicit bool) (*conn, error) {
	if old := g.conns[name]; old != nil {
		old.Close()
		delete(g.conns, name)
	}
	raw, err := g.Open(ctx, implicit)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := &conn{Conn: raw, r: bufio.NewReader(raw)}
	g.conns[name] = c
	return c, nil
}

// hear compares what the server says next with what is expected.
func (g *game) hear(c *conn, s step) error {
	limit := g.patience()
	if g.within > 0 {
		limit, g.within = g.within, 0
	}
	c.SetReadDeadline(time.Now().Add(limit)) // where that fails, reading fails too
	want := s.text
	switch {
	case s.op == "closed":
		return c.hearEnd(limit)
	case g.Loose:
		return c.hearClass(want, limit)
	case s.op == "<-":
		want = g.replace(want)
		return c.hearLine(want, func(line string) bool { return like(line, want) }, limit)
	case s.op == "<~":
		return c.hearLine(want, s.match.MatchString, limit)
	}
	return c.hearReply(want, s.match.MatchString, limit)
}

// like compares with "*" for any run of characters.
func like(s, pattern string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return s == pattern
	}
	s, ok := strings.CutPrefix(s, first)
	parts := strings.Split(rest, "*")
	last := len(parts) - 1
	for _, part := range parts[:last] {
		if !ok {
			return false
		}
		_, s, ok = strings.Cut(s, part)
	}
	return ok && strings.HasSuffix(s, parts[last])
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
