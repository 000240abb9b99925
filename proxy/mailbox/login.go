package mailbox

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/envelope"
	"github.com/waxseal/waxseal/proxy/localuser"
)

// LoginTimeout bounds everything that a login may wait for: the keystore, a token, a login at the
// provider. Mail programs give up after a minute or so.
const LoginTimeout = 55 * time.Second

// Refusal is why a login failed. Each protocol has its own form for it. Tell [Refusal.Told] what the
// mail program was told.
type Refusal struct {
	Kind    RefusalKind
	Problem *api.Problem // what failed, whether it lasts, and the cure; nil if Waxseal is paused or a limit is reached
	Err     error        // of Passing and Lasting
	Box     *Mailbox     // nil if the user name is not an account's
	Limit   int64        // of TooMany

	hall   *Hall
	client *Client
}

// RefusalKind says what a mail program's user can do.
type RefusalKind int

const (
	WrongPassword RefusalKind = iota // another password helps
	LockedOut                        // too many wrong passwords: the connection is to be closed
	TooMany                          // the account's limit of connections: the connection is to be closed
	Passing                          // the password is right; trying again may help
	Lasting                          // the password is right; a person has to do something
	Paused                           // the user has paused Waxseal
)

// Words are the refusal in English for a mail program, on one line. For programs that read it is ASCII:
// not all of them expect anything else in an answer (RFC 3501 section 9, RFC 1939 section 3).
func (r *Refusal) Words() string {
	if r.client == nil || !r.client.Protocol.Reads() {
		return r.words()
	}
	return strings.Map(func(c rune) rune {
		if c > unicode.MaxASCII {
			return '?'
		}
		return c
	}, plainMarks.Replace(r.words()))
}

// plainMarks writes punctuation in ASCII.
var plainMarks = strings.NewReplacer("’", "'", "‘", "'", "“", `"`, "”", `"`, "…", "...", "–", "-")

func (r *Refusal) words() string {
	switch r.Kind {
	case WrongPassword:
		return "Wrong user name or local password; `waxseal account password ADDRESS` shows the right ones"
	case LockedOut:
		return "Too many wrong passwords; try again later"
	case TooMany:
		if r.Limit == 1 {
			return r.Box.Address + " already has a connection, which is its limit; close it"
		}
		return fmt.Sprintf("%s already has %d connections, its limit; close one", r.Box.Address, r.Limit)
	case Paused:
		return "Waxseal is paused. Resume it from its icon or its window"
	case Lasting:
		// Many mail programs put "login failed" or "wrong password" in front of the words, so these
		// begin with what is not at fault.
		return "The password is correct. " + r.Problem.Sentences()
	}
	return r.Problem.Sentences()
}

// Told lists the failed login with what the mail program was told.
func (r *Refusal) Told(reply string) {
	if r.Problem == nil {
		return
	}
	client := r.client.Addr.String()
	if host, _, err := net.SplitHostPort(client); err == nil {
		client = host
	}
	account := r.Problem.Account
	if r.Box != nil {
		account = r.Box.Address
	}
	result := api.Refused
	if r.Kind == Passing || r.Kind == LockedOut {
		result = api.Deferred
	}
	r.hall.Remember(api.Activity{
		Kind: api.Login, Time: time.Now(), Session: r.client.ID, Protocol: r.client.Protocol, Account: account, Client: client,
		Result: result, Own: true, Problem: r.Problem,
	}, reply, account)
}

// Login checks a mail program's user name and local password and counts the connection for the
// account until the client leaves. identity is the user to act as, "" or the same one (RFC 4616
// section 2). A wrong password waits before its refusal is returned; beforeWait, if not nil, is
// called then, to send what is due to the client.
//
// Login does not ask whether the account can do anything; see [Hall.Refuse] for what follows.
func (h *Hall) Login(ctx context.Context, c *Client, identity, username, password string, beforeWait func()) (*Mailbox, *Refusal) {
	a := &attempt{hall: h, c: c, beforeWait: beforeWait, username: inUTF8(username), password: inUTF8(password)}
	if identity = inUTF8(identity); identity != "" && config.Fold(identity) != config.Fold(a.username) {
		return nil, a.wrong(ctx, "", "asked to act as another user", otherUser(addressIn(a.username)))
	}
	return a.check(ctx)
}

// inUTF8 is what a mail program sent as user name or password. Logins have no encoding before UTF-8
// (RFC 4616 section 2), and programs that are older send that of their system, mostly Windows-1252.
func inUTF8(sent string) string {
	if utf8.ValidString(sent) {
		return sent
	}
	text, _ := charmap.Windows1252.NewDecoder().String(sent) // knows every byte
	return text
}

// attempt is one login of a mail program.
type attempt struct {
	hall               *Hall
	c                  *Client
	beforeWait         func()
	username, password string
}

func (a *attempt) check(ctx context.Context) (*Mailbox, *Refusal) {
	h := a.hall
	if h.paused.Load() {
		return nil, a.refusal(Paused, nil, nil)
	}
	var box *Mailbox
	if len(a.username) <= envelope.MaxAddress {
		box = h.Mailbox(a.username)
	}
	if a.c.Remote() && h.guesses.locked(a.source()) {
		h.Stats.AuthFailures.Add(1)
		h.Log.Warn("login refused: locked out", "session", a.c.ID, "account", accountOf(box), "client", a.c.Addr.String())
		return nil, a.refusal(LockedOut, box, lockedOut(addressIn(a.username)))
	}
	if box == nil && h.Unready != nil {
		if err := h.Unready(a.username); err != nil { // the name may well be an account's
			h.Stats.AuthFailures.Add(1)
			h.Log.Warn("login failed", "session", a.c.ID, "err", err)
			r := a.refusal(Passing, nil, ExplainAlone(err))
			r.Err = err
			return nil, r
		}
	}
	if box == nil {
		(&Password{}).matches(a.password) // takes as long as for an account that exists
		return nil, a.wrong(ctx, "", "there is no such account: "+namable(a.username), unknownUser(addressIn(a.username)))
	}
	if err := box.Password.ready(ctx, h.Secrets, box.Address); err != nil {
		if errors.Is(err, keystore.ErrNotFound) {
			box.Password.matches(a.password) // as above
			box.Trouble(NoPassword(box.Address))
			h.Changed.Wake()
			return nil, a.wrong(ctx, box.Address, "the account has no local password", NoPassword(box.Address))
		}
		return nil, h.Refuse(a.c, box, err)
	}
	if !box.Password.matches(a.password) {
		return nil, a.wrong(ctx, box.Address, "wrong local password", wrongLocalPassword(box.Address))
	}
	if h.guesses.remembers() {
		h.guesses.passed(a.source())
	}
	limit := int64(h.Config().MaxConnectionsPerAccount)
	if box.connections.Of(a.c.Protocol).Add(1); box.connections.Sum() > limit {
		box.connections.Of(a.c.Protocol).Add(-1)
		h.Stats.Refused.Add(1)
		if box.full.First() {
			h.Log.Warn("the account has too many connections; refusing more", "account", box.Address,
				"client", a.c.Addr.String(), "max_connections_per_account", limit)
		}
		r := a.refusal(TooMany, box, nil)
		r.Limit = limit
		return nil, r
	}
	a.c.count(box)
	return box, nil
}

// Passed notes that a client's login is complete: it no longer makes room for others.
func (h *Hall) Passed(c *Client) {
	h.strangers.remove(c)
	h.Changed.Wake()
}

// Refuse explains a login that failed for anything but the client's password, and ends its part in the
// account's counts.
func (h *Hall) Refuse(c *Client, b *Mailbox, err error) *Refusal {
	c.Logout()
	r := &Refusal{Kind: Passing, Problem: ExplainFor(b, c.Protocol, err).Problem, Err: err, Box: b, hall: h, client: c}
	if r.Problem.Lasting {
		r.Kind = Lasting
	}
	h.Stats.AuthFailures.Add(1)
	h.Log.Warn("login failed", "session", c.ID, "account", b.Address, "protocol", string(c.Protocol), "lasting", r.Problem.Lasting, "err", err)
	return r
}

func (a *attempt) refusal(kind RefusalKind, box *Mailbox, why *api.Problem) *Refusal {
	return &Refusal{Kind: kind, Box: box, Problem: why, hall: a.hall, client: a.c}
}

// wrong answers all wrong credentials alike, so that nobody learns which accounts exist, and slows
// their source. account is empty when unknown. The reason and why are for the owner alone.
func (a *attempt) wrong(ctx context.Context, account, reason string, why *api.Problem) *Refusal {
	h := a.hall
	h.Stats.AuthFailures.Add(1)
	a.log("account", account, "client", a.c.Addr.String(), "reason", reason)
	h.Changed.Wake()
	if a.beforeWait != nil {
		a.beforeWait() // what the client sent before need not wait
	}
	key := a.source()
	if a.c.Protocol.Reads() && h.guesses.same(key, a.password) {
		return a.refusal(WrongPassword, nil, why)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.serving, cancel)()
	kind := WrongPassword
	if err := h.guesses.failed(ctx, key); err != nil {
		kind = LockedOut
	}
	return a.refusal(kind, nil, why)
}

// MaxRefusals is how many refused logins are logged per minute. Those of Waxseal's own user do not count:
// what somebody else does must neither hide them nor push everything else out of the log.
const MaxRefusals = 100

func (a *attempt) log(attrs ...any) {
	who := a.c.Caller()
	if who.user.IsAnother() && who.user != localuser.Gone {
		attrs = append(attrs, "user", who.user.Name())
	}
	if !who.isOwner() {
		switch n := a.hall.refusals.count(); {
		case n == MaxRefusals:
			attrs = append(attrs, "note", "that is the last of this minute; others are not logged")
		case n > MaxRefusals:
			return
		}
	}
	a.hall.Log.Warn("login refused", append([]any{"session", a.c.ID}, attrs...)...)
}

// source is what is slowed after wrong passwords: the caller, for the name it gives. Names without an
// account have a source each, as those with one do: being slowed by others, or not, would tell them
// apart. Names longer than any account's share one.
func (a *attempt) source() source {
	name := ""
	if len(a.username) <= envelope.MaxAddress {
		name = config.Fold(a.username)
	}
	return source{a.c.Caller(), name}
}

// sameFor is how long a wrong password that comes again is the same attempt: Thunderbird tries one up
// to four times for one click, on new connections and with other mechanisms.
const sameFor = 10 * time.Second

var seed = maphash.MakeSeed()

// same reports whether a source's last wrong password was this one, a moment ago, and remembers it.
func (g *guesses) same(key source, password string) bool {
	s, sum := g.of(key), maphash.String(seed, password)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	again := s.failures > 0 && s.sum == sum && now.Sub(s.told) < sameFor
	if !again {
		s.sum, s.told = sum, now
	}
	return again
}

func accountOf(box *Mailbox) string {
	if box == nil {
		return ""
	}
	return box.Address
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
	return Printable(username)
}

// Printable makes a client's words safe for a log: short, and without control characters.
func Printable(s string) string {
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
