package proxy

import (
	"context"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// Authorize asks the user for consent: show is called with the address of the
// provider's page, then with each stage as it ends. Before success is declared
// the new token is tried at the provider's mail server, so that a mailbox that
// may not send is told now and not at the first message. consented is true from
// where the provider has granted it. With device the user enters a code on
// another device instead (RFC 8628).
func (s *Server) Authorize(ctx context.Context, address string, device bool, show func(api.Prompt) error) (consented bool, err error) {
	box := s.mailbox(address)
	if box == nil {
		return false, unknownAccount(address)
	}
	c := &checker{ctx: ctx, report: func(ch api.Check) { show(api.Prompt{Check: &ch}) }}
	start := time.Now()
	if box.provider.Grant != "" { // an administrator's word; there is nobody to ask
		box.grant.Retry()
		ask := func(ctx context.Context) (string, error) {
			if err := box.grant.Renew(ctx); err != nil { // one that is cached proves nothing
				return "", err
			}
			return box.tokenCheck(ctx)
		}
		if !c.run("token", box, ask) {
			return false, &finding{"no token for " + box.address + " yet", ""}
		}
		return true, s.tryLogin(c, box)
	}
	if device {
		err = box.grant.Device(ctx, func(d oauth.DeviceCode) error { return show(api.Prompt{Device: &d}) })
	} else {
		err = box.grant.Consent(ctx, func(url string) error { return show(api.Prompt{URL: url}) })
	}
	check := api.Check{Name: "consent", OK: err == nil, Result: "given", Took: time.Since(start)}
	if err != nil {
		check.Result = err.Error()
		if ctx.Err() == nil { // else the user stopped it, or signed in another way
			s.log.Warn("no consent", "account", box.address, "err", err)
		}
	} else {
		s.log.Info("consent given", "account", box.address)
	}
	if serr := show(api.Prompt{Check: &check}); serr != nil && err == nil {
		err = serr
	}
	if err != nil {
		return false, err
	}
	if now := s.mailbox(address); now != nil { // it was changed in the last moment
		box = now
	}
	return true, s.tryLogin(c, box)
}

// tryLogin makes sure that the new token can send.
func (s *Server) tryLogin(c *checker, box *mailbox) error {
	box.pool.Drop() // logged in with what was granted before
	box.trouble.Store(nil)
	s.changed.wake()
	if !c.run("login", box, box.loginCheck) {
		return &finding{"the consent is stored, but " + box.providerName() + " does not let " + box.address + " send yet", ""}
	}
	return nil
}
