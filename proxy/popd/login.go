package popd

import (
	"context"
	"errors"
	"net"

	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// account is what a login at the provider needs. All of it is a mailbox.Mailbox's.
type account struct {
	address   string
	addr      string   // the server's host:port
	users     []string // to log in as, the most likely first
	mechanism string   // where one is forced
	known     *memory

	dial   func(ctx context.Context, starttls func(net.Conn) error) (net.Conn, error)
	guard  func(ctx context.Context, try func() error) error // the breaker
	token  func(ctx context.Context) (string, error)
	reject func(token string)
	worked func(user string)

	utf8  bool              // the program wants RFC 6856's mode
	ended func(step string) // told of each step that worked; may be nil
}

// maildrop is a connection to the provider that has logged in.
type maildrop struct {
	conn    net.Conn
	welcome string // the answer to the login
	ahead   []byte // what came behind it
	clean   func(string) string
}

// login logs in at the provider. A token that is refused is replaced once; where the account has two
// names, the other is tried then. Each try has a connection of its own, since some servers take no second
// AUTH.
func (a *account) login(ctx context.Context) (*maildrop, error) {
	token, err := a.token(ctx)
	if err != nil {
		return nil, err
	}
	a.done("token")
	user := a.users[0]
	drop, err := a.try(ctx, user, token)
	if rejected(err) {
		a.reject(token)
		fresh, terr := a.token(ctx)
		switch {
		case terr != nil && len(a.users) == 1:
			return nil, terr // says more than the refusal
		case terr == nil && fresh != token:
			token = fresh
			drop, err = a.try(ctx, user, token)
		}
	}
	if rejected(err) && len(a.users) > 1 {
		user = a.users[1]
		if other, oerr := a.try(ctx, user, token); oerr == nil || !rejected(oerr) {
			drop, err = other, oerr
		}
	}
	if err != nil {
		return nil, err
	}
	a.worked(user)
	return drop, nil
}

// rejected reports whether the provider has refused who logs in, so that another token or user may help.
func rejected(err error) bool {
	var e *mailbox.ServerError
	return errors.As(err, &e) && e.RefusesLogin()
}

// try is one connection and one login, behind the breaker.
func (a *account) try(ctx context.Context, user, token string) (drop *maildrop, err error) {
	err = a.guard(ctx, func() error {
		drop, err = a.connect(ctx, user, token)
		return err
	})
	if err != nil {
		return nil, err
	}
	return drop, nil
}

func (a *account) connect(ctx context.Context, user, token string) (*maildrop, error) {
	p := &provider{clean: dial.Cleaner(token).Clean}
	conn, err := a.dial(ctx, p.startTLS)
	if err != nil {
		return nil, err
	}
	p.over(conn)
	stop := guard(ctx, conn)
	welcome, err := a.talk(p, user, token)
	whole := stop()
	switch {
	case err == nil && whole:
		return &maildrop{conn: conn, welcome: welcome, ahead: p.release(), clean: p.clean}, nil
	case !whole && ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	conn.Close()
	var said *mailbox.ServerError
	if errors.As(err, &said) {
		return nil, err
	}
	return nil, dial.Lost(a.addr, err)
}

// talk is the dialogue with the provider, from its greeting to its answer to AUTH.
func (a *account) talk(p *provider, user, token string) (welcome string, err error) {
	if err := p.greet(); err != nil {
		return "", err
	}
	a.done("connection")
	offered := a.known.of(a.address)
	if offered == nil {
		if offered, err = p.capabilities(); err != nil {
			return "", err
		}
		a.known.learn(a.address, offered)
	}
	defer func() {
		if err != nil {
			a.known.doubt(a.address)
		}
	}()
	mech := a.mechanism
	if mech == "" {
		mech = dial.Mechanism(mechanisms(offered))
	}
	if mech == "" {
		return "", dial.ErrNoOAuth
	}
	if a.utf8 {
		if err := p.utf8(); err != nil {
			return "", err
		}
	}
	response, err := dial.InitialResponse(mech, user, a.addr, token)
	if err != nil {
		return "", err
	}
	if welcome, err = p.auth(mech, response, token); err == nil {
		a.done("login")
	}
	return welcome, err
}

func (a *account) done(step string) {
	if a.ended != nil {
		a.ended(step)
	}
}
