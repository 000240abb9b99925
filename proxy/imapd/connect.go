package imapd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// account is what a login at the provider needs of a [mailbox.Mailbox].
type account interface {
	Address() string
	Removed() bool
	Addr(p api.Protocol) string
	Dial(ctx context.Context, p api.Protocol, starttls func(net.Conn) error) (net.Conn, error)
	Try(ctx context.Context, p api.Protocol, login func() error) error
	Token(ctx context.Context, p api.Protocol) (value string, expiry time.Time, err error)
	Reject(token string)
	Users(p api.Protocol) []string
	UserWorked(p api.Protocol, user string)
	Mechanism(p api.Protocol) string
	Spare(there bool) // notes whether a connection waits for a mail program
}

// boxed is a mailbox as an account.
type boxed struct{ *mailbox.Mailbox }

func (b boxed) Address() string  { return b.Mailbox.Address }
func (b boxed) Spare(there bool) { b.Reader(api.IMAP).Spare(there) }

// link is a connection to the provider that has logged in.
type link struct {
	conn   net.Conn
	token  string
	expiry time.Time
	welcome
	early []byte // what the provider said after the login
}

// greeting is what a mail program hears that logged in with tag: the provider's words.
func (l *link) greeting(tag string) []byte {
	return bytes.Join([][]byte{l.untagged, []byte(tag + " "), l.ok, l.early}, nil)
}

// connector logs in at providers.
type connector struct {
	known Capabilities

	mu     sync.Mutex        // guards the field below
	proven map[string]string // by address: user name and token with which Exchange has a mailbox
}

// stage is told about each step of a login when it has ended; nil is nobody.
type stage func(step string)

func (s stage) done(step string) {
	if s != nil {
		s(step)
	}
}

// connect logs in at the account's provider. A refused token is rejected, and a new one tried once; where the
// provider may know the user by another name, that is tried once. Each try has a connection of its own, since
// servers differ in what they allow after a refusal. Errors are [*mailbox.ServerError] where the server refused,
// those of package dial where there was no answer, those of Token, and those of Try.
func (d *connector) connect(ctx context.Context, b account, s stage) (*link, error) {
	users, renewed := b.Users(api.IMAP), false
	for {
		// The token comes first: without one a connection is of no use.
		token, expiry, err := b.Token(ctx, api.IMAP)
		if err != nil {
			return nil, err
		}
		s.done("token")
		var l *link
		err = b.Try(ctx, api.IMAP, func() (err error) {
			l, err = d.try(ctx, b, users[0], token, s)
			return err
		})
		if err == nil {
			l.token, l.expiry = token, expiry
			b.UserWorked(api.IMAP, users[0])
			return l, nil
		}
		refused, ok := errors.AsType[*mailbox.ServerError](err)
		switch {
		case !ok || ctx.Err() != nil:
			return nil, err
		case refused.RefusesLogin() && !renewed:
			renewed = true
			b.Reject(token)
		case (refused.RefusesLogin() || notConnected(refused.Text)) && len(users) > 1:
			users = users[1:]
		default:
			return nil, err
		}
	}
}

// try makes one connection and logs in.
func (d *connector) try(ctx context.Context, b account, user, token string, s stage) (*link, error) {
	p, err := greeted(ctx, b)
	if err != nil {
		return nil, err
	}
	s.done("connection")
	unhook := context.AfterFunc(ctx, func() { p.conn.SetDeadline(time.Unix(1, 0)) })
	w, err := d.logIn(b, p, user, token)
	if !unhook() {
		err = over(ctx, b.Addr(api.IMAP))
	}
	if err != nil {
		p.conn.Close()
		return nil, err
	}
	s.done("login")
	early, _ := p.r.Peek(p.r.Buffered())
	return &link{conn: p.conn, welcome: w, early: bytes.Clone(early)}, nil
}

// greeted connects, and goes as far as the greeting.
func greeted(ctx context.Context, b account) (*provider, error) {
	addr := b.Addr(api.IMAP)
	var clear *provider
	conn, err := b.Dial(ctx, api.IMAP, func(c net.Conn) error {
		clear = newProvider(c, addr)
		return clear.startTLS()
	})
	if err != nil {
		return nil, err
	}
	p := newProvider(conn, addr)
	if clear != nil { // the greeting comes before TLS; what it offered does not count
		p.greeted, p.words = true, clear.words
		return p, nil
	}
	unhook := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err = p.greet()
	if !unhook() {
		err = over(ctx, addr)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

// over is the error of a dialogue that the end of ctx has ended. When its time is over, the server did not answer.
func over(ctx context.Context, addr string) error {
	err := context.Cause(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return dial.Lost(addr, err)
	}
	return err
}

// logIn is the dialogue behind the greeting.
func (d *connector) logIn(b account, p *provider, user, token string) (welcome, error) {
	if p.offers == nil {
		p.offers = d.known.known(b.Address())
	}
	if err := p.capability(); err != nil {
		return welcome{}, err
	}
	d.known.learn(b.Address(), p.offers, nil)
	mech, err := p.mechanism(b.Mechanism(api.IMAP))
	if err != nil {
		d.known.forget(b.Address()) // it may offer more next time
		return welcome{}, err
	}
	w, err := p.authenticate(mech, user, token)
	if err != nil {
		d.known.forget(b.Address())
		return welcome{}, err
	}
	d.known.learn(b.Address(), nil, w.offers)
	return w, d.hasMailbox(b, p, user, token)
}

// hasMailbox asks Exchange once a token whether the user has a mailbox; see [provider.connected].
func (d *connector) hasMailbox(b account, p *provider, user, token string) error {
	if !strings.Contains(p.words, "Microsoft Exchange") {
		return nil
	}
	mark := user + "\x00" + token
	d.mu.Lock()
	proven := d.proven[b.Address()] == mark
	d.mu.Unlock()
	if proven {
		return nil
	}
	if err := p.connected(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.proven == nil {
		d.proven = make(map[string]string)
	}
	d.proven[b.Address()] = mark
	return nil
}

// goodbye is how long a provider may take to answer LOGOUT.
const goodbye = 2 * time.Second

// logOut ends a link that no mail program has used.
func (l *link) logOut() {
	l.conn.SetDeadline(time.Now().Add(goodbye))
	if _, err := io.WriteString(l.conn, "w9 LOGOUT\r\n"); err == nil {
		io.Copy(io.Discard, struct{ io.Reader }{l.conn})
	}
	l.conn.Close()
}
