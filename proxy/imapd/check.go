package imapd

import (
	"context"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// Test logs in at the account's provider and counts the folders. After each step ("token", "connection", "login",
// "folders"), ended is called with its name; of a step that is tried again, more than once. It may be nil.
func Test(ctx context.Context, b *mailbox.Mailbox, ended func(step string)) (folders int, err error) {
	return test(ctx, boxed{b}, ended)
}

func test(ctx context.Context, b account, ended stage) (folders int, err error) {
	ctx, cancel := context.WithTimeout(ctx, mailbox.LoginTimeout)
	defer cancel()
	l, err := new(connector).connect(ctx, b, ended)
	if err != nil {
		return 0, err
	}
	defer l.logOut()
	unhook := context.AfterFunc(ctx, func() { l.conn.SetDeadline(time.Unix(1, 0)) })
	defer unhook()
	p := newProvider(l.conn, b.Addr(api.IMAP))
	r, err := p.ask("LIST", `LIST "" "*"`, func(r response) error {
		if status, _, _ := r.status(); r.tag == "*" && status == "LIST" {
			folders++
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case err != nil:
		return 0, err
	}
	if status, _, _ := r.status(); status != "OK" {
		return 0, p.refused("LIST", r)
	}
	ended.done("folders")
	return folders, nil
}
