package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/envelope"
	"github.com/waxseal/waxseal/proxy/localuser"
)

// authTimeout bounds everything AUTH may wait for: the keystore, a token, a login at the provider. Mail
// programs give up after a minute or so.
const authTimeout = 55 * time.Second

// authenticate checks a mail program's user name and local password, then that the account can send: a
// usable token, and one login with it that the provider accepted. So a fault shows when the mail
// program connects, with its cause.
func (s *session) authenticate(username, password string) error {
	return apart(func() error { return s.authenticated(inUTF8(username), inUTF8(password)) })
}

// inUTF8 is what a mail program sent as user name or password. AUTH has no encoding before UTF-8
// (RFC 4616 section 2), and programs that are older send that of their system, mostly Windows-1252.
func inUTF8(sent string) string {
	if utf8.ValidString(sent) {
		return sent
	}
	text, _ := charmap.Windows1252.NewDecoder().String(sent) // knows every byte
	return text
}

// apart runs f on a goroutine of its own and waits for its end. A login reaches deep, into keystore,
// token and provider, and a stack that has grown does not shrink: a connection that has only logged in
// keeps a stack of 4 KiB instead of 8.
func apart(f func() error) (err error) {
	var panicked any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if r := recover(); r != nil {
				panicked = fmt.Sprintf("%v\n%s", r, debug.Stack())
			}
		}()
		err = f()
	}()
	<-done
	if panicked != nil {
		panic(panicked) // go-smtp ends this connection and no other
	}
	return err
}

func (s *session) authenticated(username, password string) error {
	if s.srv.paused.Load() {
		return paused(454)
	}
	var box *mailbox
	if len(username) <= envelope.MaxAddress {
		box = s.srv.mailbox(username)
	}
	if s.remote() && s.srv.guard.locked(s.source(username)) {
		s.srv.stats.authFailures.Add(1)
		s.log.Warn("login refused: locked out", "account", accountOf(box), "client", s.c.RemoteAddr().String())
		s.c.last = true
		return s.loginFailed(errLockedOut, lockedOut(addressIn(username)))
	}
	if box == nil {
		(&localPassword{}).matches(password) // takes as long as for an account that exists
		return s.wrongPassword(username, "", "there is no such account: "+namable(username), unknownUser(addressIn(username)))
	}
	ctx, cancel := context.WithTimeout(s.ctx, authTimeout)
	defer cancel()
	defer context.AfterFunc(s.srv.serving, cancel)() // a stop waits for messages, not for logins
	if err := box.password.ready(ctx, s.srv.secrets, box.address); err != nil {
		if errors.Is(err, keystore.ErrNotFound) {
			box.password.matches(password) // as above
			box.trouble.Store(noPassword(box.address))
			s.srv.changed.wake()
			return s.wrongPassword(username, box.address, "the account has no local password", noPassword(box.address))
		}
		return s.authFailed(box, err)
	}
	if !box.password.matches(password) {
		return s.wrongPassword(username, box.address, "wrong local password", wrongLocalPassword(box.address))
	}
	if s.srv.guard.remembers() {
		s.srv.guard.passed(s.source(username))
	}
	if limit := int64(s.srv.config().MaxConnectionsPerAccount); box.connections.Add(1) > limit {
		box.connections.Add(-1)
		s.srv.stats.refused.Add(1)
		s.c.last = true
		if box.full.first() {
			s.log.Warn("the account has too many connections; refusing more", "account", box.address,
				"client", s.c.RemoteAddr().String(), "max_connections_per_account", limit)
		}
		return answer(421, "4.7.0", fmt.Sprintf("%s already has %d connections, its limit; close one", box.address, limit))
	}
	if err := box.canSend(ctx); err != nil {
		box.connections.Add(-1)
		return s.authFailed(box, err)
	}
	s.box = box
	s.c.authed = true
	s.srv.strangers.remove(s.c)
	s.log.Debug("authenticated", "account", box.address)
	s.srv.changed.wake()
	return nil
}

// authFailed reports a fault of anything but the client's password.
func (s *session) authFailed(box *mailbox, err error) error {
	r := replyTo("AUTH", box, err)
	s.srv.stats.authFailures.Add(1)
	s.log.Warn("login failed", "account", box.address, "reply", r.Code, "err", err)
	return s.loginFailed(r, explain(box, err).Problem)
}

// loginFailed lists a login that failed, whose account or user name why names, and gives the reply
// to the client.
func (s *session) loginFailed(r *smtp.SMTPError, why *api.Problem) error {
	host, _, err := net.SplitHostPort(s.c.RemoteAddr().String())
	if err != nil {
		host = s.c.RemoteAddr().String()
	}
	s.srv.remember(api.Activity{
		Kind: api.Login, Time: time.Now(), Session: s.c.id, Account: why.Account, Client: host, Result: resultOf(r.Code), Own: true, Problem: why,
	}, replyText(r), why.Account)
	return r
}

// wrongPassword answers all wrong credentials alike, so that nobody learns which accounts exist, and
// slows their source. account is empty when unknown. The reason and why are for the owner alone.
func (s *session) wrongPassword(username, account, reason string, why *api.Problem) error {
	s.srv.stats.authFailures.Add(1)
	s.logRefusal("account", account, "client", s.c.RemoteAddr().String(), "reason", reason)
	s.srv.changed.wake()
	s.c.flush() // what the client sent before need not wait
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(s.srv.serving, cancel)()
	if err := s.srv.guard.failed(ctx, s.source(username)); err != nil {
		s.c.last = true
		return s.loginFailed(errLockedOut, why)
	}
	return s.loginFailed(errWrongPassword, why)
}

var (
	errWrongPassword = answer(535, "5.7.8", "Wrong user name or local password; `waxseal account password ADDRESS` shows the right ones")
	errLockedOut     = answer(421, "4.7.0", "Too many wrong passwords; try again later")
)

// maxRefusals is how many refused logins are logged per minute. Those of Waxseal's own user do not count:
// what somebody else does must neither hide them nor push everything else out of the log.
const maxRefusals = 100

func (s *session) logRefusal(attrs ...any) {
	who := s.c.caller()
	if who.user.IsAnother() && who.user != localuser.Gone {
		attrs = append(attrs, "user", who.user.Name())
	}
	if !who.isOwner() {
		switch n := s.srv.refusals.count(); {
		case n == maxRefusals:
			attrs = append(attrs, "note", "that is the last of this minute; others are not logged")
		case n > maxRefusals:
			return
		}
	}
	s.log.Warn("login refused", attrs...)
}

// remote reports whether the client is on another machine.
func (s *session) remote() bool { return !isLoopback(s.c.tcp.RemoteAddr()) }

func accountOf(box *mailbox) string {
	if box == nil {
		return ""
	}
	return box.address
}

// source is what is slowed after wrong passwords: the caller, for the name it gives. Names without an
// account have a source each, as those with one do: being slowed by others, or not, would tell them
// apart. Names longer than any account's share one.
func (s *session) source(username string) source {
	name := ""
	if len(username) <= envelope.MaxAddress {
		name = config.Fold(username)
	}
	return source{s.c.caller(), name}
}

// namable is a user name for the log.
func namable(username string) string {
	if name := addressIn(username); name != "" {
		return name
	}
	return "a name that is not an address"
}

// addressIn is a user name that is an address, short enough to show. A name that is not one may be a
// password that somebody typed into the wrong field, and "" takes its place.
func addressIn(username string) string {
	_, domain, _ := strings.Cut(username, "@")
	if config.CheckAddress(username) != nil || !strings.Contains(domain, ".") {
		return ""
	}
	return printable(username)
}

// printable makes a client's words safe for a log: short, and without control characters.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // such as one that turns the direction of the line
			return '?'
		}
		return r
	}, s)
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}
