package popd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/waxseal/waxseal/proxy/mailbox"
)

// Found is what there is in a maildrop.
type Found struct {
	Messages int64
	Bytes    int64
}

// Test logs in to an account's maildrop at the provider, asks how many messages there are, and logs out. After each
// step ("token", "connection", "login", "maildrop"), ended is called with its name; of a step that is tried
// again, more than once. It may be nil. Providers let one session at a time into a maildrop, so while a mail
// program reads, the answer may be that it is in use.
func Test(ctx context.Context, b *mailbox.Mailbox, ended func(step string)) (Found, error) {
	a := accountOf(b, new(memory))
	a.ended = ended
	return a.test(ctx)
}

func (a *account) test(ctx context.Context) (found Found, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, mailbox.LoginTimeout, errSlow)
	defer cancel()
	drop, err := a.login(ctx)
	if err != nil {
		return Found{}, err
	}
	defer drop.conn.Close()
	if found, err = drop.count(ctx); err == nil {
		a.done("maildrop")
	}
	return found, err
}

// count asks for the number of messages (RFC 1939 section 5) and logs out.
func (d *maildrop) count(ctx context.Context) (found Found, err error) {
	stop := guard(ctx, d.conn)
	defer stop()
	p := &provider{conn: d.conn, in: bufio.NewReaderSize(io.MultiReader(strings.NewReader(string(d.ahead)), d.conn), maxReply), clean: d.clean}
	r, err := p.ask("STAT")
	switch {
	case err != nil && ctx.Err() != nil:
		return Found{}, context.Cause(ctx)
	case err != nil:
		return Found{}, err
	case !r.ok || r.asks:
		return Found{}, p.refusal("STAT", r)
	}
	if n, err := fmt.Sscan(r.text, &found.Messages, &found.Bytes); n != 2 {
		return Found{}, fmt.Errorf("%w: it answered STAT with %q: %w", errReply, p.clean(r.line), err)
	}
	p.ask("QUIT") // whatever it says, the maildrop is free
	return found, nil
}
