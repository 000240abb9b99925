package imapd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/foreign"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// maxResponse bounds a response of the provider before the end of the login, in bytes, with its literals.
const maxResponse = 64 << 10

var errTooLong = errors.New("the server's response is too long")

// provider is a connection to an IMAP server, up to the end of the login.
type provider struct {
	conn    net.Conn
	r       *bufio.Reader
	addr    string
	offers  []string // capabilities, in upper case; nil: not known
	greeted bool
	words   string // of the greeting
	tags    int
	hide    func(string) string // takes secrets out of what the server says
}

func newProvider(conn net.Conn, addr string) *provider {
	return &provider{conn: conn, r: bufio.NewReaderSize(conn, 4<<10), addr: addr, hide: func(s string) string { return foreign.Clean(s) }}
}

// response is one response: "*", "+" or a tag, and what stands behind it.
type response struct {
	tag  string
	rest []byte // with its line end
}

// status reads the rest of a status response (RFC 9051 section 7.1).
func (r response) status() (status, code, text string) {
	status, text, _ = strings.Cut(strings.TrimRight(string(r.rest), "\r\n"), " ")
	if strings.HasPrefix(text, "[") {
		if c, after, ok := strings.Cut(text[1:], "]"); ok {
			code, text = c, strings.TrimPrefix(after, " ")
		}
	}
	return strings.ToUpper(status), code, text
}

// offered are the capabilities that a response brings, nil if none.
func (r response) offered() []string {
	status, code, text := r.status()
	if status == "CAPABILITY" && r.tag == "*" {
		return capabilityList(text)
	}
	if name, list, _ := strings.Cut(code, " "); strings.EqualFold(name, "CAPABILITY") {
		return capabilityList(list)
	}
	return nil
}

// read reads one response. Its literals are part of it.
func (p *provider) read() (response, error) {
	var all []byte
	for first := true; ; first = false {
		line, err := p.line(maxResponse - len(all))
		all = append(all, line...)
		if err != nil {
			return response{}, err
		}
		size, ok := atEnd(line)
		if !ok || first && endsInText(line) {
			break
		}
		if size > int64(maxResponse-len(all)) {
			return response{}, errTooLong
		}
		literal := make([]byte, size)
		if _, err := io.ReadFull(p.r, literal); err != nil {
			return response{}, err
		}
		all = append(all, literal...)
	}
	tag, rest, ok := bytes.Cut(all, []byte(" "))
	if t := bytes.TrimRight(all, "\r\n"); !ok && string(t) == "+" || len(all) > 0 && all[0] == '+' {
		return response{"+", bytes.TrimPrefix(all[1:], []byte(" "))}, nil // some servers leave the blank out
	}
	if !ok || string(tag) != "*" && !isTag(string(tag)) {
		return response{}, p.foreign(all)
	}
	return response{string(tag), rest}, nil
}

func (p *provider) line(limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := p.r.ReadSlice('\n')
		if line = append(line, part...); len(line) > limit {
			return nil, errTooLong
		}
		if err != bufio.ErrBufferFull {
			if err == io.EOF && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return line, err
		}
	}
}

// foreign is the error about a line that is no IMAP.
func (p *provider) foreign(line []byte) error {
	return fmt.Errorf("the server's response is malformed: %q", shorten(p.hide(string(line[:min(len(line), 500)])), 80))
}

func shorten(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// failed is the error of a step that got no answer.
func (p *provider) failed(step string, err error) error {
	if refused, ok := errors.AsType[*mailbox.ServerError](err); ok {
		return refused
	}
	return &dial.Error{Step: step, Addr: p.addr, Err: err}
}

// refused is the error of a step that the server refused.
func (p *provider) refused(step string, r response) *mailbox.ServerError {
	status, code, text := r.status()
	code, _, _ = strings.Cut(code, " ")
	return &mailbox.ServerError{
		Protocol: api.IMAP, Op: step, Status: status, Code: strings.ToUpper(p.hide(code)), Text: shorten(p.hide(text), maxWords),
	}
}

// greet reads the greeting. PREAUTH is refused: nobody knows as whom, and before TLS it would prevent STARTTLS.
func (p *provider) greet() error {
	if p.greeted {
		return nil
	}
	r, err := p.read()
	if err != nil {
		return p.failed("greeting", err)
	}
	status, _, text := r.status()
	switch {
	case r.tag == "*" && status == "OK":
		p.greeted, p.words, p.offers = true, text, r.offered()
		return nil
	case r.tag == "*" && (status == "BYE" || status == "PREAUTH" || status == "NO" || status == "BAD"):
		return p.refused("greeting", r)
	}
	return p.failed("greeting", p.foreign(append([]byte(r.tag+" "), r.rest...)))
}

// ask sends a command and reads up to its tagged response; what comes before it goes to untagged.
func (p *provider) ask(step, line string, untagged func(response) error) (response, error) {
	p.tags++
	tag := "w" + strconv.Itoa(p.tags)
	if _, err := io.WriteString(p.conn, tag+" "+line+"\r\n"); err != nil {
		return response{}, p.failed(step, err)
	}
	for {
		r, err := p.read()
		if err == nil {
			switch status, _, _ := r.status(); {
			case r.tag == tag && (status == "OK" || status == "NO" || status == "BAD"):
				return r, nil
			case r.tag == "*" && status == "BYE":
				return r, p.refused(step, r)
			case r.tag != "*" && r.tag != "+":
				err = p.foreign(append([]byte(r.tag+" "), r.rest...))
			case untagged != nil:
				err = untagged(r)
			}
		}
		if err != nil {
			return r, p.failed(step, err)
		}
	}
}

// startTLS is the dialogue in clear text before TLS (RFC 9051 section 6.2.1).
func (p *provider) startTLS() error {
	if err := p.greet(); err != nil {
		return err
	}
	r, err := p.ask("STARTTLS", "STARTTLS", nil)
	if err != nil {
		return err
	}
	if status, _, _ := r.status(); status != "OK" {
		return fmt.Errorf("%s: %w", p.addr, dial.ErrNoTLS)
	}
	if p.r.Buffered() > 0 {
		return p.failed("STARTTLS", dial.ErrInjected)
	}
	return nil
}

// capability asks what the server offers, if it is not known.
func (p *provider) capability() error {
	if p.offers != nil {
		return nil
	}
	var offers []string
	r, err := p.ask("CAPABILITY", "CAPABILITY", func(r response) error {
		if list := r.offered(); list != nil {
			offers = list
		}
		return nil
	})
	if err != nil {
		return err
	}
	if status, _, _ := r.status(); status != "OK" {
		return p.refused("CAPABILITY", r)
	}
	if p.offers = offers; p.offers == nil {
		p.offers = []string{}
	}
	return nil
}

// mechanism is how to log in: forced if that is not "".
func (p *provider) mechanism(forced string) (string, error) {
	if forced != "" {
		return strings.ToUpper(forced), nil
	}
	var offered []string
	for _, c := range p.offers {
		if m, ok := strings.CutPrefix(c, "AUTH="); ok {
			offered = append(offered, m)
		}
	}
	if m := dial.Mechanism(offered); m != "" {
		return m, nil
	}
	return "", fmt.Errorf("%s: %w", p.addr, dial.ErrNoOAuth)
}

// welcome is what the server said to a login, for the mail program.
type welcome struct {
	untagged []byte   // whole responses that come before
	ok       []byte   // the tagged OK behind its tag, word for word
	offers   []string // what is offered now; nil if not said
}

// authenticate logs in with a token. What a challenge says about a refused token is in the error's Report.
func (p *provider) authenticate(mech, user, token string) (welcome, error) {
	cleaner := dial.Cleaner(token)
	p.hide = cleaner.Clean
	ir, err := dial.InitialResponse(mech, user, p.addr, token)
	if err != nil {
		return welcome{}, err
	}
	line, sent := "AUTHENTICATE "+mech, false
	if slices.Contains(p.offers, "SASL-IR") { // RFC 4959
		line, sent = line+" "+ir, true
	}
	var w welcome
	var report string
	reported := false
	r, err := p.ask("AUTHENTICATE", line, func(r response) error {
		if r.tag == "+" {
			answer := ir
			challenge := strings.TrimSpace(string(r.rest))
			switch {
			case reported:
				return p.foreign(append([]byte("+ "), r.rest...))
			case sent && challenge == "": // it did not look for the response on the line of the command
			case sent:
				_, report = dial.ReadReport(challenge, token)
				reported, answer = true, dial.Acknowledgement(mech)
			}
			sent = true
			_, err := io.WriteString(p.conn, answer+"\r\n")
			return err
		}
		w.hear(r)
		return nil
	})
	if err == nil {
		if status, _, _ := r.status(); status == "OK" && !reported {
			w.ok = r.rest
			if list := r.offered(); list != nil {
				w.offers = list
			}
			return w, nil
		}
		err = p.refused("AUTHENTICATE", r)
	}
	if refused, ok := errors.AsType[*mailbox.ServerError](err); ok {
		refused.Report = report
	}
	return welcome{}, err
}

// hear keeps of the untagged responses to a login what the mail program should know: capabilities and alerts.
func (w *welcome) hear(r response) {
	status, code, _ := r.status()
	if list := r.offered(); list != nil {
		w.offers = list
	}
	if status == "CAPABILITY" || status == "OK" && strings.EqualFold(code, "ALERT") {
		w.untagged = append(append(w.untagged, "* "...), r.rest...)
	}
}

// connected asks whether the user that has logged in has a mailbox. Exchange says OK to AUTHENTICATE for any user
// that the token does not fit, and then "BAD User is authenticated but not connected." to every command.
func (p *provider) connected() error {
	r, err := p.ask("login", "NAMESPACE", nil)
	if err != nil {
		return err
	}
	if status, _, text := r.status(); status != "OK" && notConnected(text) {
		return p.refused("login", r)
	}
	return nil
}

func notConnected(text string) bool {
	return strings.Contains(strings.ToLower(text), "authenticated but not connected")
}
