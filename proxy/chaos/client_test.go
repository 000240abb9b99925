//go:build linux

package chaos

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"
)

// answerWithin is how long Waxseal may take to reply: far longer than all of its own timeouts in
// this run. If a program has to wait longer, Waxseal has forgotten it.
const answerWithin = 40 * time.Second

// job is one connection of a mail program.
type job struct {
	number      int
	first, last int // its messages: first to last-1
	account     string
	door        string // "plain", "starttls" or "tls"
	login       bool   // AUTH LOGIN instead of PLAIN
	pipelined   bool
	chunks      int    // BDAT in this many chunks; 0: DATA
	leave       string // where it disconnects; "" nowhere
	leaveAt     int    // in which message
	rst         bool   // it disconnects with a TCP reset
}

var places = []string{"connect", "ehlo", "auth", "mail", "rcpt", "data", "middle", "end", "half a command"}

func newJob(seed uint64, number, first, limit int, accounts []string) job {
	r := stream(seed, "job", uint64(number))
	j := job{
		number: number, first: first, account: pick(r, accounts), door: pick(r, []string{"plain", "starttls", "tls"}),
		login: r.IntN(2) == 0, pipelined: r.IntN(2) == 0, rst: r.IntN(2) == 0,
	}
	j.last = min(limit, first+pick(r, []int{1, 1, 3, 10, 25}))
	if r.IntN(2) == 0 {
		j.chunks = 1 + r.IntN(4)
	}
	if r.IntN(100) < 12 {
		j.leave, j.leaveAt = pick(r, places), first+r.IntN(j.last-first)
	}
	return j
}

// errLeft means that the program disconnected, errOver that Waxseal ended the connection with a
// reply.
var (
	errLeft = errors.New("left")
	errOver = errors.New("over")
)

// program is a mail program that is doing a job.
type program struct {
	*job
	*site
	l    *ledger
	rng  *rand.Rand
	next int // message
	conn net.Conn
	raw  *net.TCPConn
	r    *bufio.Reader
}

// connections is how many connections a program tries for one job.
const connections = 4

// comeBack is how long it waits between them.
const comeBack = 200 * time.Millisecond

// site is where programs send to, and where the results are recorded.
type site struct {
	ledger     *ledger
	tally      *tally
	plain, tls string // addresses

	// during runs a login and makes sure that its account is not removed meanwhile, because Waxseal
	// delays failed logins. Nil does not protect logins.
	during func(account string, login func() error) error
}

// send does a job. It returns an error only if Waxseal did something wrong.
func (s *site) send(j *job) error {
	p := &program{job: j, site: s, l: s.ledger, rng: stream(s.ledger.seed, "program", uint64(j.number)), next: j.first}
	for range connections {
		err := p.session()
		if p.raw != nil {
			p.raw.Close()
		}
		switch {
		case errors.Is(err, errOver) && p.next < j.last:
			<-time.After(comeBack)
			continue
		case errors.Is(err, errLeft):
			s.tally.add("client leaves: " + j.leave)
		case err != nil && !errors.Is(err, errOver):
			return fmt.Errorf("message %d, job %+v: %w", p.next, *j, err)
		}
		break
	}
	return nil
}

// session sends the rest of the job over one connection.
func (p *program) session() error {
	if err := p.connect(); err != nil {
		return err
	}
	for p.next < p.last {
		o, err := p.message(p.next)
		p.l.outcome[p.next] = o
		p.next++
		if err != nil {
			return err
		}
	}
	p.say("QUIT\r\n")
	_, _, err := p.reply()
	return err
}

// at disconnects if this is where the job says so.
func (p *program) at(place string, n int) error {
	if p.leave != place || n != p.leaveAt {
		return nil
	}
	if p.rst {
		p.raw.SetLinger(0)
	}
	p.raw.Close()
	return errLeft
}

func (p *program) say(text string) error {
	p.conn.SetDeadline(time.Now().Add(answerWithin))
	_, err := io.WriteString(p.conn, text)
	return err
}

func (p *program) reply() (code int, text string, err error) {
	p.conn.SetDeadline(time.Now().Add(answerWithin))
	var all strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return 0, "", fmt.Errorf("no complete reply after %q: %w", all.String(), err)
		}
		all.WriteString(line)
		if len(line) < 4 {
			return 0, "", fmt.Errorf("%q is not a reply", line)
		}
		if line[3] == '-' {
			continue
		}
		if code, err = strconv.Atoi(line[:3]); err != nil {
			return 0, "", fmt.Errorf("%q is not a reply", line)
		}
		if code == 421 {
			// Waxseal passes on a provider's 421 to a command and keeps the connection open, but to
			// a mail program it means the end of the connection.
			err = errOver
		}
		return code, all.String(), err
	}
}

func (p *program) do(line string) (code int, text string, err error) {
	if err := p.say(line + "\r\n"); err != nil {
		return 0, "", err
	}
	return p.reply()
}

// want is do for commands that must not fail.
func (p *program) want(line string, code int) error {
	got, text, err := p.do(line)
	if err == nil && got != code {
		err = fmt.Errorf("%s: %s", line, text)
	}
	return err
}

func (p *program) use(c net.Conn) { p.conn, p.r = c, bufio.NewReader(c) }

func (p *program) connect() error {
	addr := p.plain
	if p.door == "tls" {
		addr = p.site.tls
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	p.raw = c.(*net.TCPConn)
	p.use(c)
	if err := p.at("connect", p.leaveAt); err != nil {
		return err
	}
	if p.door == "tls" {
		p.use(tls.Client(c, &tls.Config{InsecureSkipVerify: true}))
	}
	if code, text, err := p.reply(); err != nil || code != 220 {
		return errors.Join(err, fmt.Errorf("greeting: %s", text))
	}
	if err := p.want("EHLO chaos.test", 250); err != nil {
		return err
	}
	if p.door == "starttls" {
		if err := p.want("STARTTLS", 220); err != nil {
			return err
		}
		if err := p.at("ehlo", p.leaveAt); err != nil {
			return err
		}
		p.use(tls.Client(c, &tls.Config{InsecureSkipVerify: true}))
		if err := p.want("EHLO chaos.test", 250); err != nil {
			return err
		}
	}
	if err := p.at("ehlo", p.leaveAt); err != nil {
		return err
	}
	if p.during != nil {
		return p.during(p.account, p.auth)
	}
	return p.auth()
}

func (p *program) auth() error {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	line := "AUTH PLAIN " + b64("\x00"+p.account+"\x00"+password)
	if p.login {
		if err := p.want("AUTH LOGIN", 334); err != nil {
			return err
		}
		if err := p.want(b64(p.account), 334); err != nil {
			return err
		}
		line = b64(password)
	}
	if err := p.say(line + "\r\n"); err != nil {
		return err
	}
	if err := p.at("auth", p.leaveAt); err != nil {
		return err
	}
	code, text, err := p.reply()
	switch {
	case err != nil:
		return err
	case code == 235:
		return nil
	case code/100 == 4 || code/100 == 5:
		return errOver // the mail program shows its user an error
	}
	return fmt.Errorf("AUTH: %s", text)
}

// message sends one message. An error ends the job.
func (p *program) message(n int) (outcome, error) {
	to := p.l.recipients(n)
	lines := []string{"MAIL FROM:<" + sender(n) + ">"}
	for _, rcpt := range to {
		lines = append(lines, "RCPT TO:<"+rcpt+">")
	}
	if p.leave == "half a command" && n == p.leaveAt {
		p.say(lines[0][:10])
		return untried, p.at("half a command", n)
	}
	body := p.l.body(n)
	if p.pipelined {
		return p.flight(n, lines, body)
	}
	for i, line := range lines {
		code, text, err := p.do(line)
		if err != nil || code/100 != 2 && i == 0 {
			return p.taken(code, text, err)
		}
		if code/100 == 2 && i > 0 {
			p.l.taken[n] |= 1 << (i - 1)
		}
		if err := p.at([]string{"mail", "rcpt", "rcpt", "rcpt"}[i], n); err != nil {
			return left, err
		}
	}
	if p.l.taken[n] == 0 {
		return p.rset()
	}
	if p.chunks > 0 {
		return p.bdat(n, body)
	}
	code, text, err := p.do("DATA")
	if err != nil || code != 354 {
		return p.taken(code, text, err)
	}
	return p.data(n, body)
}

// flight sends a message's envelope, and with BDAT its body too, before it reads any reply.
func (p *program) flight(n int, lines []string, body []byte) (outcome, error) {
	all := strings.Join(lines, "\r\n") + "\r\n"
	if p.chunks > 0 {
		all += fmt.Sprintf("BDAT %d LAST\r\n%s", len(body), body)
		if p.leave == "middle" && n == p.leaveAt {
			all = all[:len(all)-len(body)/2]
		}
	} else {
		all += "DATA\r\n"
	}
	if err := p.say(all); err != nil {
		return left, err
	}
	if p.chunks == 0 {
		if err := errors.Join(p.at("mail", n), p.at("rcpt", n)); err != nil {
			return left, errLeft
		}
	} else if n == p.leaveAt && p.leave != "" {
		if p.leave == "middle" {
			return left, p.at("middle", n)
		}
		return leftAfter, p.at(p.leave, n)
	}
	var last outcome
	for i := range len(lines) + 1 {
		code, text, err := p.reply()
		switch {
		case err != nil && code == 0:
			return cut, err
		case err != nil && i < len(lines):
			return refused, err
		case i > 0 && i < len(lines) && code/100 == 2:
			p.l.taken[n] |= 1 << (i - 1)
		case i == len(lines) && code == 354 && err == nil:
			return p.data(n, body)
		case i == len(lines):
			if last, err = p.taken(code, text, err); err != nil {
				return last, err
			}
		}
	}
	return last, nil
}

func (p *program) data(n int, body []byte) (outcome, error) {
	if err := p.at("data", n); err != nil {
		return left, err
	}
	stuffed := bytes.ReplaceAll(append([]byte("\r\n"), body...), []byte("\r\n."), []byte("\r\n.."))[2:]
	half := p.rng.IntN(len(stuffed))
	if err := p.say(string(stuffed[:half])); err != nil {
		return left, err
	}
	if err := p.at("middle", n); err != nil {
		return left, err
	}
	if err := p.say(string(stuffed[half:]) + ".\r\n"); err != nil {
		return left, err
	}
	if err := p.at("end", n); err != nil {
		return leftAfter, err
	}
	return p.taken(p.reply())
}

func (p *program) bdat(n int, body []byte) (outcome, error) {
	for i := range p.chunks {
		size, last := len(body)/p.chunks, ""
		if i == p.chunks-1 {
			size, last = len(body), " LAST"
		}
		chunk := body[:size]
		body = body[size:]
		if err := p.say(fmt.Sprintf("BDAT %d%s\r\n", size, last)); err != nil {
			return left, err
		}
		if err := p.at("data", n); err != nil {
			return left, err
		}
		half := p.rng.IntN(len(chunk) + 1)
		if err := p.say(string(chunk[:half])); err != nil {
			return left, err
		}
		if err := p.at("middle", n); err != nil && (last == "" || half < len(chunk)) {
			return left, err
		} else if err != nil {
			return leftAfter, err
		}
		if err := p.say(string(chunk[half:])); err != nil {
			return left, err
		}
		if last != "" {
			break
		}
		if code, text, err := p.reply(); err != nil || code != 250 {
			return p.taken(code, text, err)
		}
	}
	if err := p.at("end", n); err != nil {
		return leftAfter, err
	}
	return p.taken(p.reply())
}

// taken returns what a reply means for the message and for the connection.
func (p *program) taken(code int, text string, err error) (outcome, error) {
	switch {
	case code == 250:
		return accepted, nil
	case code/100 == 4 && strings.Contains(text, "may have been delivered"):
		_, err = p.rset()
		return uncertain, err
	case code == 421:
		return refused, errOver
	case err != nil && code == 0:
		return cut, err
	case err != nil:
		return refused, err
	case code/100 == 4 || code/100 == 5:
		return p.rset()
	}
	return refused, fmt.Errorf("unexpected reply: %s", text)
}

func (p *program) rset() (outcome, error) { return refused, p.want("RSET", 250) }
