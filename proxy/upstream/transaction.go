package upstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/pace"
)

// patience is how long a connection that was warm gets for its first reply, unless the server was
// slower than half of it lately. One that lost its network hears nothing at all, and a new one answers sooner.
const patience = 15 * time.Second

var errChanged = errors.New("the envelope got another answer when it was repeated on a new connection")

// Transaction is one message on a leased connection. Its methods belong to one goroutine at a time;
// Close is called when it is over, whatever happened.
type Transaction struct {
	p    *Pool
	c    *conn // nil when a dead one could not be replaced, and after Close
	from string
	opts *smtp.MailOptions

	ticket pace.Ticket
	ended  pace.Outcome // as far as is known yet

	mailed   bool        // this connection has accepted MAIL
	accepted []Recipient // in the order in which the provider took them
	verdict  *Reply      // the reply that ended it before its body: to MAIL, or a 421
	err      error       // what ended it without a reply
}

// Begin leases a connection for one message, waiting for its turn where the provider's limits require it:
// messages per minute first, then connections. opts may be nil. MAIL goes up with the first recipients.
// A [*pace.Error] says that a limit does not let the message go.
func (p *Pool) Begin(ctx context.Context, from string, opts *smtp.MailOptions) (*Transaction, error) {
	if opts == nil {
		opts = &smtp.MailOptions{}
	}
	if _, err := quotePath(from, opts.UTF8); err != nil {
		return nil, err // before anything is waited for
	}
	ticket, err := p.cfg.Pace.Begin(ctx, p.cfg.WaitTimeout)
	if err != nil {
		return nil, fmt.Errorf("waiting for a turn: %w", err)
	}
	c, err := p.lease(ctx, p.cfg.WaitTimeout-ticket.Waited())
	if err != nil {
		ticket.End(pace.Unused)
		return nil, err
	}
	if _, err := mailLine(from, opts, c.x); err != nil {
		p.release(c)
		ticket.End(pace.Unused)
		return nil, err
	}
	return &Transaction{p: p, c: c, from: from, opts: opts, ticket: ticket}, nil
}

// Close gives the connection back. What Data did not end is taken back by an RSET before the next
// message.
func (t *Transaction) Close() {
	if errors.Is(t.err, errClosed) {
		return
	}
	t.ticket.End(t.ended)
	t.p.release(t.c)
	t.c, t.err = nil, errClosed
}

// Rcpt names recipients and gives the provider's answer to each, in their order. The first call brings
// MAIL along; a refused MAIL is the answer to every recipient, then and later.
//
// An error means that there are no answers. The transaction is then over, unless it is [ErrEnvelope],
// [ErrUTF8] or a [*pace.Error]: nothing was written.
func (t *Transaction) Rcpt(ctx context.Context, rcpts []Recipient) ([]Reply, error) {
	switch {
	case t.err != nil:
		return nil, t.err
	case t.verdict != nil:
		return repeat(*t.verdict, nil, len(rcpts)), nil
	case len(rcpts) == 0:
		return nil, nil
	}
	if err := t.ticket.Recipients(len(rcpts)); err != nil {
		return nil, err
	}
	replies, err := t.envelope(ctx, rcpts)
	if t.dead(ctx) {
		if err = t.replace(ctx, wasDead); err == nil {
			replies, err = t.envelope(ctx, rcpts)
		}
	}
	if err != nil {
		t.ticket.Refused(len(rcpts))
		// Where nothing was accepted before, an address that cannot go up concerns these recipients alone.
		if ours := errors.Is(err, ErrEnvelope) || errors.Is(err, ErrUTF8); !ours || !t.mailed && len(t.accepted) > 0 {
			t.err = err
		}
		return nil, err
	}
	for i, r := range replies {
		if r.ok() {
			t.accepted = append(t.accepted, rcpts[i])
		} else {
			t.ticket.Refused(1)
		}
	}
	if t.c.broken && t.verdict == nil { // by a refusal that broke off, which is this recipient's alone
		t.err = t.c.fail(ctx, "RCPT", errBrokeOff)
	}
	return replies, nil
}

// dead reports whether the connection was warm when it was leased and turned out to be of no use, so
// that a new one may take its place.
func (t *Transaction) dead(ctx context.Context) bool {
	return t.c.reused && t.c.broken && ctx.Err() == nil
}

// Why a connection is replaced, for the log.
const (
	wasDead     = "replacing a warm connection that was dead"
	knowsNoBDAT = "replacing a connection that does not know BDAT"
)

// replace puts a new connection in the place of one that is of no use. It has heard nothing of the
// envelope yet.
func (t *Transaction) replace(ctx context.Context, why string) (err error) {
	t.p.cfg.Log.DebugContext(ctx, why, "login", t.p.cfg.Login)
	t.p.discard(t.c)
	t.mailed, t.verdict = false, nil
	t.c, err = t.p.renew(ctx)
	return err
}

// revive replaces a connection and repeats the envelope.
func (t *Transaction) revive(ctx context.Context, why string) error {
	if err := t.replace(ctx, why); err != nil {
		return err
	}
	_, err := t.envelope(ctx, nil)
	return err
}

// envelope says what the connection has not heard: an RSET that is due, MAIL, the recipients accepted
// on a connection before this one, and rcpts, whose replies it gives.
func (t *Transaction) envelope(ctx context.Context, rcpts []Recipient) ([]Reply, error) {
	c, op, wait, again := t.c, "RCPT", t.c.timeout, 0
	if !t.mailed {
		op, again = "MAIL", len(t.accepted)
		rcpts = append(t.accepted[:again:again], rcpts...)
		wait = t.p.patience(c)
	}
	lines, err := t.lines(rcpts)
	if err != nil {
		return nil, err
	}
	defer c.guard(ctx)()
	fresh := !c.served
	c.pending, c.served = true, true
	t.ended = pace.NotSent // unless it is
	replies, err := c.exchange(ctx, op, wait, lines)
	if err != nil {
		if fresh && errors.Is(err, context.DeadlineExceeded) {
			c.reused = false // it is slow, not dead: it had all the time that there is
		}
		return nil, err
	}
	if last := &replies[len(replies)-1]; last.Code == 421 {
		t.verdict = last
	}
	if t.mailed {
		return replies, nil
	}
	t.p.noteLag(c.lag)
	if lines[0] == reset {
		if !replies[0].ok() { // no server has a reason to refuse it; this one is out of step
			return nil, c.fail(ctx, reset, &ReplyError{replies[0]})
		}
		replies = replies[1:]
	}
	return t.judge(ctx, replies[0], replies[1:], again)
}

// patience is how long c gets for the first reply to an envelope. A connection that has carried none,
// such as that of the login just before, is not suspected of being dead.
func (p *Pool) patience(c *conn) time.Duration {
	if !c.served {
		return c.timeout
	}
	return min(c.timeout, max(patience, 2*time.Duration(p.slowest.Load())))
}

// noteLag remembers how long a server takes that holds every MAIL for a while, so that its warm
// connections are not taken for dead. One that was slow once is forgotten after a few messages.
func (p *Pool) noteLag(lag time.Duration) {
	was := time.Duration(p.slowest.Load())
	if lag > was || was > patience/4 {
		p.slowest.Store(int64(max(lag, was/2)))
	}
}

const reset = "RSET"

// lines are the commands for these recipients, with MAIL before them where it was not said.
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

// judge reads the replies to MAIL and to the recipients after it. The first again of these were
// repeated and must be accepted again, because the client was told so.
func (t *Transaction) judge(ctx context.Context, mail Reply, replies []Reply, again int) ([]Reply, error) {
	for _, r := range append([]Reply{mail}, replies[:again]...) {
		if again > 0 && !r.ok() {
			return nil, t.c.fail(ctx, "RCPT", fmt.Errorf("%w: %w", errChanged, &ReplyError{r}))
		}
	}
	if !mail.ok() {
		// "Authentication required" on a connection that has logged in: the server has ended the
		// login, and not the connection.
		t.c.broken = t.c.broken || mail.Code == 530
		t.verdict = &mail
		return repeat(mail, nil, len(replies)), nil
	}
	t.mailed = true
	return replies[again:], nil
}
