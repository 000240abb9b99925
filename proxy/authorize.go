package proxy

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/signin"
)

// Authorize asks the user for consent, once the provider has taken the registration. It
// calls show with the address of the provider's page, then with each stage as it ends.
// Before it reports success it tries the new token at the provider's mail server, so that a
// mailbox that may not send is reported now and not at the first message. consented is true
// once the provider has granted the consent. With to.Device the user enters a code on another device instead (RFC 8628).
//
// The sign-in belongs to the server: if ctx ends, or show fails, it goes on. Whoever asks for
// the same account in the same way joins it. It ends after [oauth.ConsentTimeout], or when
// the code expires, and with [Server.CancelSignIn]. An account that it added and that nobody
// has signed in to is removed again.
func (s *Server) Authorize(ctx context.Context, to api.ConsentRequest, show func(api.Prompt) error) (consented bool, err error) {
	way := "browser"
	if to.Device {
		way = "code"
	}
	var did []api.Protocol // before this sign-in, as configured
	return s.signIns.Join(ctx, config.Fold(to.Account.Address), way, signin.Work{
		Begin: func(ctx context.Context) error {
			switch {
			case to.New:
				_, err := s.Add(ctx, to.Account, to.ClientSecret)
				return err
			case s.hall.Mailbox(to.Account.Address) == nil:
				return mailbox.UnknownAccount(to.Account.Address)
			}
			did = s.hall.Mailbox(to.Account.Address).Account.Protocols
			return s.amend(ctx, to.Account.Address, func(a *api.Account) {
				a.Login = cmp.Or(to.Account.Login, a.Login)
				if len(to.Protocols) > 0 {
					a.Protocols = to.Protocols
				}
			})
		},
		Run: func(ctx context.Context, show func(api.Prompt)) (bool, error) { return s.signIn(ctx, to, show) },
		Undo: func(ctx context.Context) {
			switch {
			case to.New:
				s.removeUnapproved(ctx, to.Account.Address)
			case len(to.Protocols) > 0:
				if err := s.SetProtocols(ctx, to.Account.Address, did); err != nil {
					s.log.Error("could not take back what the account does", "account", to.Account.Address, "err", err)
				}
			}
		},
	}, show)
}

// CancelSignIn ends the sign-in of an account, if there is one, and waits until it has ended.
func (s *Server) CancelSignIn(ctx context.Context, address string) error {
	return s.signIns.Cancel(ctx, config.Fold(address))
}

// OnApproved has f called with the account when the user has approved a sign-in that a window
// asked for.
func (s *Server) OnApproved(f func(address string)) { s.approved.Store(&f) }

// removeTimeout limits the removal of an account that nobody has approved.
const removeTimeout = 10 * time.Second

// removeUnapproved removes an account that was added for a sign-in, unless it has got a token
// in the meantime, as from an import.
func (s *Server) removeUnapproved(ctx context.Context, address string) {
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	box := s.hall.Mailbox(address)
	if box == nil {
		return
	}
	if granted, err := box.Grant.Granted(ctx); granted && err == nil {
		return
	}
	if _, err := s.Remove(ctx, address); err != nil {
		s.log.Error("could not remove an account that nobody has signed in to", "account", address, "err", err)
	}
}

// signIn asks the user in one way.
func (s *Server) signIn(ctx context.Context, to api.ConsentRequest, show func(api.Prompt)) (consented bool, err error) {
	box := s.hall.Mailbox(to.Account.Address)
	if box == nil {
		return false, mailbox.UnknownAccount(to.Account.Address)
	}
	c := &checker{ctx: ctx, report: func(ch api.Check) { show(api.Prompt{Check: &ch}) }}
	if box.Provider.Grant != "" { // an administrator has consented; there is nobody to ask
		box.Grant.Retry()
		renew := func(ctx context.Context) (finding, error) {
			if err := box.Grant.Renew(ctx); err != nil { // a cached token proves nothing
				return finding{}, err
			}
			return tokenCheck(box)(ctx)
		}
		if !c.run(api.CheckToken, "", box, renew) {
			return false, &api.Problem{Account: box.Address, What: api.Say("There is no access token for {{.Account}} yet.", "Account", box.Address)}
		}
		return true, s.tryLogin(c, box)
	}
	if len(to.Protocols) > 0 { // the provider may grant it without asking anybody
		err := box.Grant.Widen(ctx, nil)
		if err == nil {
			c.run(api.CheckConsent, "", box, func(context.Context) (finding, error) { return found("Approved before."), nil })
			return true, s.tryLogin(c, box)
		}
		s.log.Info("the provider wants to ask the user", "account", box.Address, "err", err)
	}
	start := time.Now()
	fail := func(name string, err error) {
		check := failedCheck(api.Check{Name: name, Took: time.Since(start)}, box, err)
		if to.New {
			p := *check.Problem
			p.Do = "" // the account is not going to be there
			check.Problem = &p
		}
		show(api.Prompt{Check: &check})
	}
	if !to.Device { // the code's way begins by asking the provider
		if err := box.Grant.TryClient(ctx); err != nil {
			s.log.Warn("the provider does not take the registration", "account", box.Address, "err", err)
			fail(api.CheckRegistration, err)
			return false, err
		}
	}
	start = time.Now()
	var notReady error
	tryIt := func(context.Context) error {
		show(api.Prompt{Check: &api.Check{Name: api.CheckConsent, OK: true, Result: api.Say("Approved."), Took: time.Since(start)}})
		s.log.Info("signed in", "account", box.Address)
		if tell := s.approved.Load(); tell != nil && to.Window {
			(*tell)(box.Address)
		}
		if now := s.hall.Mailbox(box.Address); now != nil { // the account may have been changed in the meantime
			box = now
		}
		notReady = s.tryLogin(c, box)
		return pageOf(notReady, c.last)
	}
	if to.Device {
		err = box.Grant.Device(ctx, func(d oauth.DeviceCode) error {
			code := api.DeviceCode(d)
			show(api.Prompt{Device: &code, Ends: d.Expires})
			return nil
		})
		if err == nil {
			tryIt(ctx)
		}
	} else {
		err = box.Grant.Consent(ctx, func(url string) error {
			show(api.Prompt{URL: url, Ends: start.Add(oauth.ConsentTimeout)})
			return nil
		}, tryIt)
	}
	if err == nil {
		return true, notReady
	}
	if errors.Is(context.Cause(ctx), signin.ErrOtherWay) {
		return false, err // the other way tells how it ends
	}
	if ctx.Err() != nil { // ended by the user
		s.log.Info("sign-in ended", "account", box.Address)
	} else {
		s.log.Warn("sign-in failed", "account", box.Address, "err", err)
	}
	fail(api.CheckConsent, err)
	return false, err
}

// tryLogin checks that the new token is enough for all that the account does.
func (s *Server) tryLogin(c *checker, box *mailbox.Mailbox) error {
	box.Pool.Drop() // these connections logged in with the previous token
	box.Trouble(nil)
	s.hall.Changed.Wake()
	if box.Account.Uses(api.SMTP) && !c.runFor(sending(box), api.CheckLogin, "", box, loginCheck(box)) {
		return &api.Problem{Account: box.Address, What: api.Say("You are signed in, but {{.Provider}} does not let {{.Account}} send yet.", "Provider", box.ProviderName(), "Account", box.Address)}
	}
	for _, p := range box.Account.Does() {
		if p.Reads() && !c.runFor(p, api.CheckLogin, "", box, s.readCheck(box, p)) {
			return &api.Problem{Account: box.Address, What: api.Say("You are signed in, but {{.Provider}} does not let {{.Account}} read mail yet.", "Provider", box.ProviderName(), "Account", box.Address)}
		}
	}
	return nil
}

// pageOf is a failure after the sign-in in sentences, for the browser: what the window says, and
// then what the failed check says.
func pageOf(err error, check api.Check) error {
	p, ok := errors.AsType[*api.Problem](err)
	if !ok {
		return err
	}
	words := []string{p.What.String()}
	if check.Problem != nil {
		words = append(words, check.Problem.What.String(), check.Problem.Cure.String())
	}
	return errors.New(strings.TrimSpace(strings.Join(words, " ")))
}
