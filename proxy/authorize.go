package proxy

import (
	"context"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// Authorize asks the user for consent. It calls show with the address of the provider's
// page, then with each stage as it ends. Before it reports success it tries the new
// token at the provider's mail server, so that a mailbox that may not send is reported
// now and not at the first message. consented is true once the provider has granted the
// consent. With device the user enters a code on another device instead (RFC 8628).
func (s *Server) Authorize(ctx context.Context, address string, device bool, show func(api.Prompt) error) (consented bool, err error) {
	box := s.mailbox(address)
	if box == nil {
		return false, unknownAccount(address)
	}
	c := &checker{ctx: ctx, report: func(ch api.Check) { show(api.Prompt{Check: &ch}) }}
	if box.provider.Grant != "" { // an administrator has consented; there is nobody to ask
		box.grant.Retry()
		renew := func(ctx context.Context) (finding, error) {
			if err := box.grant.Renew(ctx); err != nil { // a cached token proves nothing
				return finding{}, err
			}
			return box.tokenCheck(ctx)
		}
		if !c.run(api.CheckToken, "", box, renew) {
			return false, &api.Problem{Account: box.address, What: api.Say("There is no access token for {{.Account}} yet.", "Account", box.address)}
		}
		return true, s.tryLogin(c, box)
	}
	start := time.Now()
	if device {
		err = box.grant.Device(ctx, func(d oauth.DeviceCode) error {
			code := api.DeviceCode(d)
			return show(api.Prompt{Device: &code})
		})
	} else {
		err = box.grant.Consent(ctx, func(url string) error { return show(api.Prompt{URL: url}) })
	}
	check := api.Check{Name: api.CheckConsent, OK: true, Result: api.Say("Approved."), Took: time.Since(start)}
	if err != nil {
		check = failedCheck(check, box, err)
	}
	switch {
	case err != nil && ctx.Err() != nil: // ended by the user, or approved another way
		s.log.Info("sign-in ended", "account", box.address)
	case err != nil:
		s.log.Warn("sign-in failed", "account", box.address, "err", err)
	default:
		s.log.Info("signed in", "account", box.address)
	}
	if serr := show(api.Prompt{Check: &check}); serr != nil && err == nil {
		err = serr
	}
	if err != nil {
		return false, err
	}
	if now := s.mailbox(address); now != nil { // the account may have been changed in the meantime
		box = now
	}
	return true, s.tryLogin(c, box)
}

// tryLogin checks that mail can be sent with the new token.
func (s *Server) tryLogin(c *checker, box *mailbox) error {
	box.pool.Drop() // these connections logged in with the previous token
	box.trouble.Store(nil)
	s.changed.wake()
	if !c.run(api.CheckLogin, "", box, box.loginCheck) {
		return &api.Problem{Account: box.address, What: api.Say("You are signed in, but {{.Provider}} does not let {{.Account}} send yet.", "Provider", box.providerName(), "Account", box.address)}
	}
	return nil
}
