//go:build linux

package chaos

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

// noNews is how long a program waits for an answer after its login before it gives up.
const noNews = time.Second

// visit is one session of a mail program that reads.
type visit struct {
	number   int
	account  string
	protocol api.Protocol
	tls      bool
	messages int    // how many it reads
	idle     bool   // it waits for news
	leave    string // where it disconnects; "" nowhere
	rst      bool   // it disconnects with a TCP reset
}

// visitor is a mail program on a visit.
type visitor struct {
	visit
	w    *world
	rng  *rand.Rand
	raw  *net.TCPConn
	conn net.Conn
	r    *bufio.Reader
	tags int
	in   bool // logged in
	done int  // messages read to the end
}

func (w *world) newVisit(n int) *visitor {
	r := stream(w.seed, "visit", uint64(n))
	v := visit{
		number: n, account: pick(r, w.senders), protocol: pick(r, []api.Protocol{api.IMAP, api.IMAP, api.POP}), tls: r.IntN(2) == 0,
		messages: r.IntN(8), idle: r.IntN(4) == 0, rst: r.IntN(2) == 0,
	}
	if r.IntN(100) < 15 {
		v.leave = pick(r, []string{"connect", "login", "middle", "idle", "end"})
	}
	return &visitor{visit: v, w: w, rng: r}
}

// read makes the visit. It returns an error only if Waxseal did something wrong.
func (v *visitor) read() error {
	err := v.session()
	v.w.whole.Add(int64(v.done))
	if v.raw != nil {
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && v.in {
			v.w.tally.add(string(v.protocol) + " client gives up")
			v.raw.SetLinger(0)
			err = errLeft
		}
		v.raw.Close()
	}
	switch {
	case errors.Is(err, errEnded):
		v.w.tally.add(string(v.protocol) + " session ended early")
	case errors.Is(err, errLeft), errors.Is(err, errOver):
	default:
		return err
	}
	return nil
}

func (v *visitor) session() error {
	plain, secure := v.w.listeners(v.protocol)
	if v.tls {
		plain = secure
	}
	c, err := net.Dial("tcp", plain)
	if err != nil {
		return err
	}
	v.raw, v.conn = c.(*net.TCPConn), c
	if v.tls {
		v.conn = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	v.r = bufio.NewReader(v.conn)
	if err := v.at("connect"); err != nil {
		return err
	}
	dialogue := v.pop
	if v.protocol == api.IMAP {
		dialogue = v.imap
	}
	return dialogue()
}

// at disconnects if this is where the visit says so.
func (v *visitor) at(place string) error {
	if v.leave != place {
		return nil
	}
	v.w.tally.add(string(v.protocol) + " client leaves: " + place)
	if v.rst {
		v.raw.SetLinger(0)
	}
	v.raw.Close()
	return errLeft
}

// say sends a command. Where that fails, the next read says what there is to say.
func (v *visitor) say(line string) {
	limit := answerWithin
	if v.in {
		limit = noNews
	}
	v.conn.SetDeadline(time.Now().Add(limit))
	io.WriteString(v.conn, line+"\r\n")
}

// line reads a line. The end between two lines is [errEnded].
func (v *visitor) line() (string, error) {
	line, err := v.r.ReadString('\n')
	if err == nil {
		return strings.TrimSuffix(line, "\r\n"), nil
	}
	return "", v.gone(err)
}

// gone is the end of the connection: nobody's fault after the login, unless nothing came in time.
func (v *visitor) gone(err error) error {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return err
	}
	if !v.in {
		return fmt.Errorf("the connection ended before the login: %w", err)
	}
	return errEnded
}

// login sends the login under the protection of [world.during].
func (v *visitor) login(do func() error) error {
	v.conn.SetDeadline(time.Now().Add(answerWithin))
	return v.w.during(v.account, do)
}

// body reads a message of which the size is known, and compares as much as comes.
func (v *visitor) body(uid, size int) error {
	want := v.w.letter(uid)
	if size != len(want) {
		return fmt.Errorf("message %d has %d bytes, want %d", uid, size, len(want))
	}
	got := make([]byte, size)
	if v.leave == "middle" {
		got = got[:size/2]
	}
	n, err := io.ReadFull(v.r, got)
	if !bytes.Equal(got[:n], want[:n]) {
		return fmt.Errorf("message %d came changed within its first %d bytes of %d", uid, n, size)
	}
	if err != nil {
		if v.w.tally.add(string(v.protocol) + " message cut off"); n == size {
			return fmt.Errorf("message %d: %w", uid, err)
		}
		return v.gone(err)
	}
	if err := v.at("middle"); err != nil {
		return err
	}
	if sha256.Sum256(got) != sha256.Sum256(want) {
		return fmt.Errorf("message %d came changed", uid)
	}
	return nil
}

// imap is an IMAP session.
func (v *visitor) imap() error {
	v.conn.SetDeadline(time.Now().Add(answerWithin))
	if line, err := v.line(); err != nil || !strings.HasPrefix(line, "* OK") {
		return v.refusal(line, err)
	}
	err := v.login(func() error {
		line, err := v.command(fmt.Sprintf("LOGIN %q %q", v.account, password), nil)
		if err == nil && !strings.HasPrefix(line, "OK") {
			return v.refusal(line, nil)
		}
		return err
	})
	if err != nil {
		return err
	}
	v.in = true
	if err := v.at("login"); err != nil {
		return err
	}
	if _, err := v.command("EXAMINE INBOX", nil); err != nil {
		return err
	}
	for range v.messages {
		uid := 1 + v.rng.IntN(inboxSize)
		whole := false
		line, err := v.command(fmt.Sprintf("UID FETCH %d BODY.PEEK[]", uid), func(line string) error {
			var seq, got, size int
			if _, err := fmt.Sscanf(line, "* %d FETCH (UID %d BODY[] {%d}", &seq, &got, &size); err != nil || got != uid {
				return nil // other news
			}
			if err := v.body(uid, size); err != nil {
				return err
			}
			end, err := v.line()
			if err == nil && end != ")" {
				err = fmt.Errorf("after message %d: %q", uid, end)
			}
			whole = err == nil
			return err
		})
		if err != nil {
			return err
		}
		if whole && strings.HasPrefix(line, "OK") {
			v.done++
		}
	}
	if v.idle {
		if err := v.wait(); err != nil {
			return err
		}
	}
	if err := v.at("end"); err != nil {
		return err
	}
	_, err = v.command("LOGOUT", nil)
	return err
}

// refusal looks at what Waxseal said instead of a welcome. A mail program shows it to its user, and must not
// ask for another password.
func (v *visitor) refusal(line string, err error) error {
	switch {
	case err != nil:
		return err
	case strings.Contains(line, "AUTHENTICATIONFAILED"), strings.Contains(line, "[AUTH]"):
		return fmt.Errorf("the right password was refused: %q", line)
	}
	v.w.tally.add(string(v.protocol) + " login refused")
	return errOver
}

// command does one command and gives what stands behind its tag. untagged sees the other responses.
func (v *visitor) command(command string, untagged func(line string) error) (string, error) {
	v.tags++
	tag := fmt.Sprintf("t%d ", v.tags)
	v.say(tag + command)
	for {
		line, err := v.line()
		if err != nil {
			return "", err
		}
		rest, tagged := strings.CutPrefix(line, tag)
		switch {
		case tagged:
			return rest, nil
		case strings.HasPrefix(line, "* BYE") && command != "LOGOUT":
			if !v.in {
				return "", v.refusal(line, nil)
			}
			return "", errEnded
		case strings.HasPrefix(line, "* "), strings.HasPrefix(line, "+ "), line == "what?":
		default:
			return "", fmt.Errorf("%s: %q is no response", command, line)
		}
		if untagged != nil {
			if err := untagged(line); err != nil {
				return "", err
			}
		}
	}
}

// wait is IDLE for a moment, or until there is news.
func (v *visitor) wait() error {
	v.tags++
	tag := fmt.Sprintf("t%d ", v.tags)
	v.say(tag + "IDLE")
	if line, err := v.line(); err != nil || !strings.HasPrefix(line, "+") {
		if err == nil {
			err = errEnded // a fault
		}
		return err
	}
	if err := v.at("idle"); err != nil {
		return err
	}
	v.conn.SetReadDeadline(time.Now().Add(time.Duration(v.rng.IntN(300)) * time.Millisecond))
	line, err := v.r.Peek(1)
	if timeout, ok := errors.AsType[net.Error](err); err != nil && !(ok && timeout.Timeout()) {
		return v.gone(err)
	}
	if len(line) > 0 {
		v.w.tally.add("imap news while idle")
	}
	v.say("DONE")
	for {
		line, err := v.line()
		if err != nil || strings.HasPrefix(line, tag) {
			return err
		}
		if strings.HasPrefix(line, "* BYE") {
			return errEnded
		}
	}
}

// pop is a POP session.
func (v *visitor) pop() error {
	v.conn.SetDeadline(time.Now().Add(answerWithin))
	if line, err := v.line(); err != nil || !strings.HasPrefix(line, "+OK") {
		return v.refusal(line, err)
	}
	err := v.login(func() error {
		v.say("USER " + v.account)
		if line, err := v.line(); err != nil || !strings.HasPrefix(line, "+OK") {
			return v.refusal(line, err)
		}
		v.say("PASS " + password)
		if line, err := v.line(); err != nil || !strings.HasPrefix(line, "+OK") {
			return v.refusal(line, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	v.in = true
	if err := v.at("login"); err != nil {
		return err
	}
	for range v.messages {
		if err := v.retrieve(1 + v.rng.IntN(inboxSize)); err != nil {
			return err
		}
	}
	if err := v.at("end"); err != nil {
		return err
	}
	v.say("QUIT")
	_, err = v.line()
	return err
}

// retrieve reads a message with RETR, without the dots that were put before dots (RFC 1939 section 3).
func (v *visitor) retrieve(number int) error {
	v.say(fmt.Sprintf("RETR %d", number))
	line, err := v.line()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "+OK") {
		return errEnded // a fault
	}
	want := v.w.letter(number)
	for at := 0; ; {
		line, err := v.r.ReadBytes('\n')
		if dotted := bytes.HasPrefix(line, []byte(".")); dotted && err == nil {
			if line = line[1:]; string(line) == "\r\n" {
				if at != len(want) {
					return fmt.Errorf("message %d ended after %d bytes of %d", number, at, len(want))
				}
				v.done++
				return nil
			}
		} else if dotted {
			line = line[1:]
		}
		if !bytes.HasPrefix(want[at:], line) {
			return fmt.Errorf("message %d came changed behind its first %d bytes of %d", number, at, len(want))
		}
		if at += len(line); err != nil {
			v.w.tally.add("pop message cut off")
			return v.gone(err)
		}
		if at > len(want)/2 {
			if err := v.at("middle"); err != nil {
				return err
			}
		}
	}
}
