package imapd

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

// lot is spares whose connections are pipes.
type lot struct {
	*spares
	b     *box
	made  int
	fail  error
	peers []net.Conn
	said  chan string // what was said on each when it ended
}

func newLot(t *testing.T) *lot {
	l := &lot{b: &box{t: t, tokens: []string{"old", "new"}}, said: make(chan string, 9)}
	l.spares = newSpares(func(ctx context.Context, b account) (*link, error) {
		l.made++
		if l.fail != nil {
			return nil, l.fail
		}
		token, expiry, _ := b.Token(ctx, api.IMAP)
		ours, theirs := net.Pipe()
		l.peers = append(l.peers, theirs)
		return &link{conn: ours, token: token, expiry: expiry}, nil
	})
	return l
}

func TestSpare(t *testing.T) {
	twice := func(l *lot) { l.loggedIn(l.b, true); time.Sleep(time.Minute); l.loggedIn(l.b, true); synctest.Wait() }
	tests := map[string]struct {
		do   func(l *lot)
		made int
		good bool
		said string // to the provider, if the spare has ended
	}{
		"one login":            {func(l *lot) { l.loggedIn(l.b, true) }, 0, false, ""},
		"two logins":           {twice, 1, true, ""},
		"two, far apart":       {func(l *lot) { l.loggedIn(l.b, true); time.Sleep(11 * time.Minute); l.loggedIn(l.b, true) }, 0, false, ""},
		"one spare is enough":  {func(l *lot) { twice(l); l.loggedIn(l.b, true) }, 1, true, ""},
		"over half":            {func(l *lot) { l.loggedIn(l.b, true); l.loggedIn(l.b, false) }, 0, false, ""},
		"over half, later":     {func(l *lot) { twice(l); l.loggedIn(l.b, false) }, 1, false, ""},
		"nearly old":           {func(l *lot) { twice(l); time.Sleep(spareFor - time.Second) }, 1, true, ""},
		"old":                  {func(l *lot) { twice(l); go l.hearOut(); time.Sleep(spareFor + time.Second) }, 1, false, "w9 LOGOUT\r\n"},
		"the token ends soon":  {func(l *lot) { l.b.expiry = time.Now().Add(31 * time.Minute); twice(l) }, 1, false, ""},
		"the token ends later": {func(l *lot) { l.b.expiry = time.Now().Add(33 * time.Minute); twice(l); time.Sleep(time.Minute) }, 1, true, ""},
		"the token ends": {func(l *lot) {
			l.b.expiry = time.Now().Add(33 * time.Minute)
			twice(l)
			go l.hearOut()
			time.Sleep(3 * time.Minute)
		}, 1, false, "w9 LOGOUT\r\n"},
		"another token":         {func(l *lot) { twice(l); l.b.Reject("old") }, 1, false, ""},
		"the provider speaks":   {func(l *lot) { twice(l); io.WriteString(l.peers[0], "*") }, 1, false, ""},
		"the provider closes":   {func(l *lot) { twice(l); l.peers[0].Close() }, 1, false, ""},
		"dropped":               {func(l *lot) { twice(l); l.dropAll() }, 1, false, ""},
		"closed":                {func(l *lot) { twice(l); l.close(context.Background()); twice(l) }, 1, false, ""},
		"not made":              {func(l *lot) { l.fail = errors.New("x"); twice(l) }, 1, false, ""},
		"dropped, made again":   {func(l *lot) { twice(l); l.dropAll(); synctest.Wait(); l.loggedIn(l.b, true) }, 2, true, ""},
		"dropped while in work": {func(l *lot) { l.loggedIn(l.b, true); l.loggedIn(l.b, true); l.dropAll() }, 1, false, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLot(t)
				test.do(l)
				synctest.Wait()
				token, _, _ := l.b.Token(t.Context(), api.IMAP)
				got := l.take(l.b, token)
				if l.made != test.made || (got != nil) != test.good {
					t.Errorf("made %d, got %v", l.made, got)
				}
				if l.take(l.b, token) != nil {
					t.Error("took it twice")
				}
				if got != nil {
					go func() { l.peers[len(l.peers)-1].Write([]byte("x")) }()
					if n, err := got.conn.Read(make([]byte, 1)); n != 1 || err != nil {
						t.Errorf("the spare is not usable: %v", err)
					}
					got.conn.Close()
				}
				if err := l.close(t.Context()); err != nil {
					t.Error(err)
				}
				said := ""
				if test.said != "" {
					said = <-l.said
				}
				if said != test.said {
					t.Errorf("said %q to the provider, want %q", said, test.said)
				}
			})
		})
	}
}

// hearOut hears what is said to the provider, which then closes, as after LOGOUT.
func (l *lot) hearOut() {
	p := l.peers[len(l.peers)-1]
	b := make([]byte, 100)
	n, _ := p.Read(b)
	p.Close()
	l.said <- string(b[:n])
}

func TestRoom(t *testing.T) {
	for _, test := range []struct {
		sessions, limit int64
		want            bool
	}{{5, 0, true}, {1, 15, true}, {6, 15, true}, {7, 15, false}, {14, 15, false}, {1, 4, true}, {2, 4, false}, {1, 1, false}} {
		if got := room(test.sessions, test.limit); got != test.want {
			t.Errorf("%d of %d: %v", test.sessions, test.limit, got)
		}
	}
}
