package smtpd

import (
	"context"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// authenticate checks a mail program's user name and local password, then that the account can send: a
// usable token, and one login with it that the provider accepted. So a fault shows when the mail
// program connects, with its cause.
func (s *session) authenticate(identity, username, password string) error {
	return apart(func() error { return s.authenticated(identity, username, password) })
}

// apart is mailbox.Apart for a function that may fail.
func apart(f func() error) (err error) {
	if panicked := mailbox.Apart(func() { err = f() }); panicked != "" {
		panic(panicked) // go-smtp ends this connection and no other
	}
	return err
}

func (s *session) authenticated(identity, username, password string) error {
	ctx, cancel := context.WithTimeout(s.c.client.Ctx, mailbox.LoginTimeout)
	defer cancel()
	defer context.AfterFunc(s.srv.hall.Serving(), cancel)() // a stop waits for messages, not for logins
	box, refusal := s.srv.hall.Login(ctx, s.c.client, identity, username, password, func() { s.c.flush() })
	if refusal != nil {
		return s.refused(refusal)
	}
	err := box.Uses(api.SMTP)
	if err == nil {
		err = box.CanSend(ctx)
	}
	if err != nil {
		return s.refused(s.srv.hall.Refuse(s.c.client, box, err))
	}
	s.box = box
	s.c.authed = true
	s.srv.hall.Passed(s.c.client)
	s.log.Debug("authenticated", "account", box.Address)
	return nil
}

// refused is the reply to a login that failed.
func (s *session) refused(why *mailbox.Refusal) error {
	var r *smtp.SMTPError
	switch why.Kind {
	case mailbox.WrongPassword:
		r = answer(535, "5.7.8", why.Words())
	case mailbox.LockedOut, mailbox.TooMany:
		r = answer(421, "4.7.0", why.Words())
		s.c.last = true
	case mailbox.Paused:
		r = answer(454, "4.3.2", why.Words())
	default:
		r = replyTo("AUTH", why.Box, why.Err)
	}
	why.Told(replyText(r))
	return r
}
