package proxy

import (
	"context"
	"strconv"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/imapd"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/popd"
)

// ReadTest logs in to an account's mailbox for reading, and says what it finds: the folders with IMAP, the
// number of messages with POP. It reports each stage as it ends. "" as the protocol is the first that
// the account reads with. No message is read.
func (s *Server) ReadTest(ctx context.Context, address string, p api.Protocol, report func(api.Check)) error {
	box := s.hall.Mailbox(address)
	if box == nil {
		return mailbox.UnknownAccount(address)
	}
	if p == "" {
		for _, does := range box.Account.Does() {
			if does.Reads() {
				p = does
				break
			}
		}
	}
	if p == "" {
		return &api.Problem{Account: box.Address, Lasting: true, Do: api.ShowSetup,
			What: api.Say("{{.Account}} only sends mail with Waxseal.", "Account", box.Address), Cure: api.Say("Switch on IMAP or POP for it first.")}
	}
	if err := box.Uses(p); err != nil {
		return err
	}
	c := &checker{ctx: ctx, report: report}
	if c.run(api.CheckToken, "", box, tokenCheck(box)) && c.runFor(p, readCheckName[p], "", box, s.readCheck(box, p)) {
		return nil
	}
	return &api.Problem{Account: box.Address, What: api.Say("The mailbox could not be read.")}
}

// readCheckName is what the check of a protocol finds.
var readCheckName = map[api.Protocol]string{api.IMAP: api.CheckFolders, api.POP: api.CheckMaildrop}

// readCheck checks that the provider lets the account in with a protocol for reading.
func (s *Server) readCheck(b *mailbox.Mailbox, p api.Protocol) func(context.Context) (finding, error) {
	return func(ctx context.Context) (f finding, err error) {
		defer func() { b.Reader(p).Note(err) }()
		if p == api.IMAP {
			folders, err := imapd.Test(ctx, b, nil)
			return found("{{.Server}} accepts the access token. Folders: {{.Count}}", "Server", b.Addr(p), "Count", strconv.Itoa(folders)), err
		}
		drop, err := popd.Test(ctx, b, nil)
		return found("{{.Server}} accepts the access token. Messages: {{.Count}}", "Server", b.Addr(p), "Count", strconv.FormatInt(drop.Messages, 10)), err
	}
}
