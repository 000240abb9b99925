//go:build e2e

package e2e

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// target is where a mail program sends to.
type target struct {
	address string
	tls     bool
	machine *machine // it is reached from where that is; nil is here
}

// directly is a machine without HAProxy, over loopback.
func (m *machine) directly() target { return target{address: m.host + ":1587", machine: m} }

// everywhere are all machines.
func (f *fleet) everywhere() (all []target) {
	for _, m := range f.machines {
		all = append(all, m.directly())
	}
	return all
}

// dial connects from where the machine is.
func (m *machine) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	if m == nil || m.namespace == "" {
		return d.DialContext(ctx, network, address)
	}
	err = within(m.namespace, func() (err error) {
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// mailProgram is a connection of a program that sends.
type mailProgram struct {
	conn net.Conn
	r    *bufio.Reader
}

// trouble is what went wrong for a mail program: at which step, and the code of the answer, or "broken" if the
// connection was.
type trouble struct{ step, code, text string }

func (e *trouble) Error() string { return e.step + " " + e.code }

// answerLimit is how long a program waits for an answer. Waxseal's own limits are all shorter.
const answerLimit = 3 * time.Minute

// say sends a command and wants an answer that begins with a digit.
func (p *mailProgram) say(step, command string, want byte) error {
	p.conn.SetDeadline(time.Now().Add(answerLimit))
	if command != "" {
		if _, err := io.WriteString(p.conn, command+"\r\n"); err != nil {
			return &trouble{step, "broken", err.Error()}
		}
	}
	text := ""
	for {
		line, err := p.r.ReadString('\n')
		if err != nil || len(line) < 4 {
			return &trouble{step, "broken", fmt.Sprint(line, err)}
		}
		text += line
		if line[3] == ' ' {
			break
		}
	}
	if text[0] != want {
		return &trouble{step, text[:3], text}
	}
	return nil
}

// password is an account's local password.
func (f *fleet) password(account string) string { return cmp.Or(f.passwords[account], fleetPassword) }

// logIn connects and logs in.
func logIn(to target, account, password string) (*mailProgram, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	conn, err := to.machine.dial(ctx, "tcp", to.address)
	if err != nil {
		return nil, &trouble{"connect", "broken", err.Error()}
	}
	if to.tls { // HAProxy must not see passwords; that the certificate is right is the subject of other tests
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // #nosec G402
	}
	p := &mailProgram{conn, bufio.NewReader(conn)}
	err = p.say("greeting", "", '2')
	if err == nil {
		err = p.say("EHLO", "EHLO client.test", '2')
	}
	if err == nil {
		err = p.say("AUTH", "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+account+"\x00"+password)), '2')
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

// message sends a message to a recipient, which names it.
func (p *mailProgram) message(from, id string) error {
	for _, step := range []struct {
		name, command string
		want          byte
	}{
		{"MAIL", "MAIL FROM:<" + from + ">", '2'}, {"RCPT", "RCPT TO:<" + id + "@else.test>", '2'}, {"DATA", "DATA", '3'},
		{"end", "Subject: " + id + "\r\n\r\n" + id + "\r\n.", '2'},
	} {
		if err := p.say(step.name, step.command, step.want); err != nil {
			return err
		}
	}
	return nil
}

func (p *mailProgram) quit() {
	p.say("QUIT", "QUIT", '2')
	p.conn.Close()
}

var messageIDs atomic.Int64

// tries sends one message and returns "250", or the code of what was refused.
func (f *fleet) tries(to target, account string) string {
	p, err := logIn(to, account, f.password(account))
	if err == nil {
		defer p.quit()
		err = p.message(account, fmt.Sprint("try", messageIDs.Add(1)))
	}
	if t, ok := errors.AsType[*trouble](err); ok {
		return t.code
	}
	return "250"
}

// load is mail programs that send all the time: one for each account at each target.
type load struct {
	f     *fleet
	stop  context.CancelFunc
	work  sync.WaitGroup
	began time.Time

	mu       sync.Mutex
	sent     map[string]string // messages, by what became of them: "250", the code of a refusal, or "broken" if that is unknown
	troubles map[string]int
	sample   map[string]string // what one of each kind said
}

// load starts mail programs that pause this long, on average, between their connections.
func (f *fleet) load(to []target, accounts []string, pause time.Duration) *load {
	l := &load{f: f, sent: map[string]string{}, troubles: map[string]int{}, sample: map[string]string{}, began: time.Now()}
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	f.whole.Cleanup(func() { cancel(); l.work.Wait() })
	for _, at := range to {
		for _, account := range accounts {
			l.work.Go(func() {
				for {
					select {
					case <-ctx.Done():
						return
					case <-time.After(rand.N(2 * pause)):
						l.session(at, account)
					}
				}
			})
		}
	}
	return l
}

// session sends a few messages over one connection.
func (l *load) session(to target, account string) {
	p, err := logIn(to, account, l.f.password(account))
	if err != nil {
		l.note(err)
		return
	}
	defer p.quit()
	for range 1 + rand.N(3) {
		id := fmt.Sprint("m", messageIDs.Add(1))
		err := p.message(account, id)
		became := "250"
		if t, ok := errors.AsType[*trouble](err); ok {
			if became = t.code; t.code == "broken" && t.step != "end" {
				became = "not sent"
			}
		}
		l.mu.Lock()
		l.sent[id] = became
		l.mu.Unlock()
		if err != nil {
			l.note(err)
			return
		}
	}
}

func (l *load) note(err error) {
	t, _ := errors.AsType[*trouble](err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.troubles[err.Error()]++
	if l.sample[err.Error()] == "" {
		l.sample[err.Error()] = strings.TrimSpace(t.text)
	}
}

// result is what became of a load's messages.
type result struct {
	took                       time.Duration
	acknowledged, lost, double int
	troubles                   map[string]int
	sample                     map[string]string
}

// end waits until the programs have ended and compares what they know with what has arrived.
func (l *load) end() result {
	l.stop()
	l.work.Wait()
	l.f.collect()
	r := result{took: time.Since(l.began), troubles: l.troubles, sample: l.sample}
	for id, became := range l.sent {
		n := l.f.arrived[id]
		switch {
		case n > 1:
			r.double++
		case became == "250":
			r.acknowledged++
			if n == 0 {
				r.lost++
			}
		case became != "broken" && n > 0: // whoever was refused sends it again
			r.double++
		}
	}
	return r
}

// collect counts what has arrived at the providers.
func (f *fleet) collect() {
	for _, p := range f.providers {
		for _, m := range p.Drain() {
			id, _, _ := strings.Cut(m.Rcpts[0].To, "@")
			f.arrived[id]++
		}
	}
}

func (r result) String() string {
	text := fmt.Sprintf("%d acknowledged in %.0f s, %d lost, %d doubled", r.acknowledged, r.took.Seconds(), r.lost, r.double)
	for _, kind := range slices.Sorted(maps.Keys(r.troubles)) {
		text += fmt.Sprintf(", %d × %s", r.troubles[kind], kind)
	}
	return text
}

// judge checks that no message was lost or doubled, and that programs saw nothing but what is allowed: kinds of
// trouble, or parts of them.
func (r result) judge(t *testing.T, name string, allowed ...string) {
	t.Helper()
	figure(name, r)
	if r.lost+r.double > 0 {
		t.Errorf("%s: %v", name, r)
	}
	for kind, n := range r.troubles {
		if !slices.ContainsFunc(allowed, func(a string) bool { return strings.Contains(kind, a) }) {
			t.Errorf("%s: %d × %s: %s", name, n, kind, r.sample[kind])
		}
	}
	if r.acknowledged == 0 {
		t.Errorf("%s: no message was sent", name)
	}
}
