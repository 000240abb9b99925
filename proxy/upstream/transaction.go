package upstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/emersion/go-smtp"
)

// patience is how long a connection that was warm gets for its first reply. One
// that lost its network hears nothing at all, and a new one answers sooner.
const patience = 15 * time.Second

var errChanged = errors.New("said again on a new connection, the envelope got another answer")

// Transaction is one message on a leased connection. Its methods belong to one
// goroutine at a time; Close is called when it is over, whatever happened.
type Transaction struct {
	p    *Pool
	c    *conn // nil when a dead one could not be replaced, and behind Close
	from string
	opts *smtp.MailOptions

	mailed   bool        // this connection has accepted MAIL
	accepted []Recipient // in the order the provider took them
	verdict  *Reply      // the reply that ended it before its body: to MAIL, or a 421
	err      error       // what ended it without a reply
}

// Begin leases a connection for one message, waiting for its turn where the
// provider's limit asks for it. opts may be nil. MAIL goes up with the first
// recipients.
func (p *Pool) Begin(ctx context.Context, from string, opts *smtp.MailOptions) (*Transaction, error) {
	if opts == nil {
		opts = &smtp.MailOptions{}
	}
	if _, err := quotePath(from, opts.UTF8); err != nil {
		return nil, err // before anybody waits for it
	}
	c, err := p.lease(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := mailLine(from, opts, c.x); err != nil {
		p.release(c)
		return nil, err
	}
	return &Transaction{p: p, c: c, from: from, opts: opts}, nil
}

// Close gives the connection back. What Data did not end is taken back by an
// RSET before the next message.
func (t *Transaction) Close() {
	if errors.Is(t.err, errClosed) {
		return
	}
	t.p.release(t.c)
	t.c, t.err = nil, errClosed
}

// Rcpt names recipients and gives the provider's answer to each, in their order.
// The first call brings MAIL along; a refused MAIL is the answer to every
// recipient, then and later.
//
// An error means that there are no answers. The transaction is then over, unless
// it is [ErrEnvelope]: nothing was written.
func (t *Transaction) Rcpt(ctx context.Context, rcpts []Recipient) ([]Reply, error) {
	switch {
	case t.err != nil:
		return nil, t.err
	case t.verdict != nil:
		return repeat(*t.verdict, nil, len(rcpts)), nil
	case len(rcpts) == 0:
		return nil, nil
	}
	replies, err := t.envelope(ctx, rcpts)
	if t.dead(ctx) {
		if err = t.replace(ctx); err == nil {
			replies, err = t.envelope(ctx, rcpts)
		}
	}
	if err != nil {
		if !errors.Is(err, ErrEnvelope) {
			t.err = err
		}
		return nil, err
	}
	for i, r := range replies {
		if r.ok() {
			t.accepted = append(t.accepted, rcpts[i])
		}
	}
	return replies, nil
}

// dead reports whether the connection was warm when it was leased and turned out
// to be of no use, so that a new one may take its place.
func (t *Transaction) dead(ctx context.Context) bool {
	return t.c.reused && t.c.broken && ctx.Err() == nil
}

// replace puts a new connection in the place of a dead one. It has heard nothing
// of the envelope yet.
func (t *Transaction) replace(ctx context.Context) (err error) {
	t.p.cfg.Log.DebugContext(ctx, "replacing a warm connection that was dead", "login", t.p.cfg.Login)
	t.p.discard(t.c)
	t.mailed, t.verdict = false, nil
	t.c, err = t.p.renew(ctx)
	return err
}

// revive replaces a dead connection and says the envelope again.
func (t *Transaction) revive(ctx context.Context) error {
	if err := t.replace(ctx); err != nil {
		return err
	}
	_, err := t.envelope(ctx, nil)
	return err
}

// envelope says what the connection has not heard: an RSET that is due, MAIL,
// the recipients accepted on a connection before this one, and rcpts, whose
// replies it gives.
func (t *Transaction) envelope(ctx context.Context, rcpts []Recipient) ([]Reply, error) {
	c, op, wait, again := t.c, "RCPT", t.c.timeout, 0
	if !t.mailed {
		op, again = "MAIL", len(t.accepted)
		rcpts = append(t.accepted[:again:again], rcpts...)
		if c.reused {
			wait = min(wait, patience)
		}
	}
	lines, err := t.lines(rcpts)
	if err != nil {
		return nil, err
	}
	defer c.guard(ctx)()
	c.pending = true
	replies, err := c.exchange(ctx, op, wait, lines)
	if err != nil {
		return nil, err
	}
	if c.broken {
		t.verdict = &replies[len(replies)-1] // the 421
	}
	if t.mailed {
		return replies, nil
	}
	if lines[0] == reset {
		if !replies[0].ok() { // no server has a reason to; this one is out of step
			return nil, c.fail(ctx, reset, &ReplyError{replies[0]})
		}
		replies = replies[1:]
	}
	return t.judge(ctx, replies[0], replies[1:], again)
}

const reset = "RSET"

// lines are the commands for these recipients, with MAIL before them where it
// was not said.
func (t *Transaction) lines(rcpts []Recipient) (lines []string, err error) {
	if !t.mailed {
		mail, err := mailLine(t.from, t.opts, t.c.x)
		if err != nil {
			return nil, err
		}
		if t.c.pending {
			lines = append(lines, reset)
		}
		lines = append(lines, mail)
	}
	for _, r := range rcpts {
		line, err := rcptLine(r, t.opts.UTF8, t.c.x)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// judge reads the replies to MAIL and to the recipients behind it, the first of
// which were said again and must be accepted again: the client was told so.
func (t *Transaction) judge(ctx context.Context, mail Reply, replies []Reply, again int) ([]Reply, error) {
	for _, r := range append([]Reply{mail}, replies[:again]...) {
		if again > 0 && !r.ok() {
			return nil, t.c.fail(ctx, "RCPT", fmt.Errorf("%w: %w", errChanged, &ReplyError{r}))
		}
	}
	if !mail.ok() {
		t.verdict = &mail
		return repeat(mail, nil, len(replies)), nil
	}
	t.mailed = true
	return replies[again:], nil
}
