package proxy

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/config"
)

// authTimeout bounds everything AUTH may wait for: the keystore, a token, a
// login at the provider. Mail programs give up after a minute or so.
const authTimeout = 55 * time.Second

// authenticate checks a mail program's user name and local password, then that
// the account can send: a usable token, and one login with it that the provider
// accepted. So a fault shows when the mail program connects, with its cause.
func (s *session) authenticate(username, password string) error {
	return apart(func() error { return s.authenticated(username, password) })
}

// apart runs f on a goroutine of its own and waits for its end. A login reaches
// deep, into keystore, token and provider, and a stack that has grown stays so:
// a connection that has only logged in keeps one of 4 KiB, not of 8.
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
	box := s.srv.mailbox(username)
	if s.elsewhere() && s.srv.guard.locked(s.source(username)) {
		s.srv.stats.authFailures.Add(1)
		s.log.Warn("locked out", "account", accountOf(box), "client", s.c.RemoteAddr().String())
		s.c.last = true
		return errLockedOut
	}
	if box == nil {
		(&localPassword{}).matches(password) // as slow as for an account that is there
		return s.wrongPassword(username, "", "no account of that name: "+namable(username))
	}
	ctx, cancel := context.WithTimeout(s.ctx, authTimeout)
	defer cancel()
	defer context.AfterFunc(s.srv.serving, cancel)() // a stop waits for messages, not for logins
	if err := box.password.load(ctx, s.srv.secrets, box.address); err != nil {
		if errors.Is(err, keystore.ErrNotFound) {
			box.trouble.Store(noPassword(box.address))
			s.srv.changed.wake()
			return s.wrongPassword(username, box.address, "the account has no local password")
		}
		return s.authFailed(box, err)
	}
	if !box.password.matches(password) {
		return s.wrongPassword(username, box.address, "wrong local password")
	}
	s.srv.guard.passed(s.source(username))
	if limit := int64(s.srv.config().MaxConnectionsPerAccount); box.connections.Add(1) > limit {
		box.connections.Add(-1)
		s.srv.stats.refused.Add(1)
		s.c.last = true
		if box.full.first() {
			s.log.Warn("too many connections of the account; more are refused", "account", box.address,
				"client", s.c.RemoteAddr().String(), "max_connections_per_account", limit)
		}
		return answer(421, "4.7.0", fmt.Sprintf("%s has %d connections open, its limit; close one", box.address, limit))
	}
	if err := box.canSend(ctx); err != nil {
		box.connections.Add(-1)
		return s.authFailed(box, err)
	}
	s.box = box
	s.c.authed = true
	s.log.Debug("authenticated", "account", box.address)
	s.srv.changed.wake()
	return nil
}

// authFailed reports a fault of anything but the client's password.
func (s *session) authFailed(box *mailbox, err error) error {
	r := replyTo("AUTH", box, err)
	s.srv.stats.authFailures.Add(1)
	s.log.Warn("login failed", "account", box.address, "reply", r.Code, "err", err)
	s.srv.changed.wake()
	return r
}

// wrongPassword answers all wrong credentials alike, so that nobody learns which
// accounts there are, and slows their source. account is empty when unknown.
func (s *session) wrongPassword(username, account, why string) error {
	s.srv.stats.authFailures.Add(1)
	s.log.Warn("login refused", "account", account, "client", s.c.RemoteAddr().String(), "reason", why)
	s.srv.changed.wake()
	s.c.flush() // what the client sent before need not wait
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(s.srv.serving, cancel)()
	if err := s.srv.guard.failed(ctx, s.source(username)); err != nil {
		s.c.last = true
		return errLockedOut
	}
	return answer(535, "5.7.8", "Wrong user name or local password; `waxseal account password ADDRESS` shows the right ones")
}

var errLockedOut = answer(421, "4.7.0", "Too many wrong passwords; try again later")

// elsewhere reports whether the client is on another machine.
func (s *session) elsewhere() bool { return !isLoopback(s.c.tcp.RemoteAddr()) }

func accountOf(box *mailbox) string {
	if box == nil {
		return ""
	}
	return box.address
}

// longestName is more than any account's address has, in bytes: what is longer is
// not remembered.
const longestName = 320

// source is who is slowed after wrong passwords: the client's host, for the name
// it gives. Names without an account have a source each, as those with one do:
// being slowed by others, or not, would tell them apart.
func (s *session) source(username string) string {
	name := config.Fold(username)
	if len(name) > longestName {
		name = ""
	}
	host, _, err := net.SplitHostPort(s.c.RemoteAddr().String())
	if err != nil {
		host = s.c.RemoteAddr().String()
	}
	return host + " " + name
}

// localPassword is an account's local password as memory keeps it: a hash,
// loaded from the keystore once, so that no keychain is asked while mail flows.
type localPassword struct {
	sum  atomic.Pointer[[sha256.Size]byte]
	once chan struct{} // one load at a time; capacity 1
}

func (l *localPassword) set(password string) {
	sum := sha256.Sum256([]byte(password))
	l.sum.Store(&sum)
}

// matches compares in constant time. Nothing matches a password not loaded.
func (l *localPassword) matches(password string) bool {
	var want [sha256.Size]byte
	known := l.sum.Load()
	if known != nil {
		want = *known
	}
	got := sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && known != nil
}

// store keeps a password in the keystore and in memory. It shares load's turn: one
// that has read the old password must not put it in the new one's place.
func (l *localPassword) store(ctx context.Context, secrets *keystore.Store, address, password string) (changed bool, err error) {
	select {
	case l.once <- struct{}{}:
		defer func() { <-l.once }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if changed, err = putSecret(ctx, secrets, passwordKey(address), password); err != nil {
		return false, err
	}
	l.set(password)
	return changed, nil
}

// putSecret stores a secret unless it is there already.
func putSecret(ctx context.Context, secrets *keystore.Store, key, secret string) (changed bool, err error) {
	was, err := secrets.Get(ctx, key)
	if err == nil && was == secret {
		return false, nil
	}
	if err != nil && !errors.Is(err, keystore.ErrNotFound) {
		return false, err
	}
	return true, secrets.Set(ctx, key, secret)
}

// load reads the password from the keystore unless it is in memory.
func (l *localPassword) load(ctx context.Context, secrets *keystore.Store, address string) error {
	if l.sum.Load() != nil {
		return nil
	}
	select {
	case l.once <- struct{}{}:
		defer func() { <-l.once }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for the local password of %s: %w", address, ctx.Err())
	}
	if l.sum.Load() != nil {
		return nil
	}
	password, err := secrets.Get(ctx, passwordKey(address))
	if err != nil {
		return fmt.Errorf("local password of %s: %w", address, err)
	}
	l.set(password)
	return nil
}

// passwordKey is the keystore's. Addresses are folded, so that one mailbox has one secret.
func passwordKey(address string) string { return "password/" + config.Fold(address) }

// newPassword makes a local password: 28 letters and digits without look-alikes,
// 140 random bits, in groups of four for those who must type it on a scanner.
func newPassword() string {
	letters := strings.ToLower(rand.Text() + rand.Text())
	var groups []string
	for i := 0; i < 28; i += 4 {
		groups = append(groups, letters[i:i+4])
	}
	return strings.Join(groups, "-")
}

// namable is a user name for the log. What is no address may be a password that
// somebody typed into the wrong field, and is not shown.
func namable(username string) string {
	_, domain, _ := strings.Cut(username, "@")
	if config.CheckAddress(username) != nil || !strings.Contains(domain, ".") {
		return fmt.Sprintf("one that is no address, of %d bytes", len(username))
	}
	return printable(username)
}

// printable makes a client's words safe for a log: short, and no control characters.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return s
}
