package proxy

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// Check is one thing that was looked at, as `waxseal doctor` and
// `waxseal send-test` print it. It holds no secret, so that it can stand in a
// bug report.
type Check struct {
	Name   string        `json:"name"`
	OK     bool          `json:"ok"`
	Result string        `json:"result"`
	Cure   string        `json:"cure,omitempty"` // what to do when it is not OK
	Took   time.Duration `json:"took_ns"`
}

// checkTimeout bounds one check.
const checkTimeout = 20 * time.Second

// checker runs checks and hands each on as it ends.
type checker struct {
	ctx    context.Context
	report func(Check)
	failed int
}

// run makes one check. do gives the result in words; its error may be one that
// replyTo can explain to the user of box.
func (c *checker) run(name string, box *mailbox, do func(ctx context.Context) (string, error)) bool {
	ctx, cancel := context.WithTimeout(c.ctx, checkTimeout)
	defer cancel()
	start := time.Now()
	result, err := do(ctx)
	check := Check{Name: name, OK: err == nil, Result: result, Took: time.Since(start)}
	if err != nil {
		c.failed++
		check.Result, check.Cure = explain(box, err)
	}
	c.report(check)
	return err == nil
}

// finding is a failed check with a cure of its own.
type finding struct {
	text, cure string
}

func (p *finding) Error() string { return p.text }

// explain says what went wrong and what to do, for people.
func explain(box *mailbox, err error) (result, cure string) {
	var p *finding
	var refusal *upstream.AuthError
	switch {
	case errors.As(err, &p):
		return p.text, p.cure
	case errors.Is(err, keystore.ErrUnavailable):
		return err.Error(), keystore.Cure(err)
	case errors.As(err, &refusal):
		_, cure := explainRefusal(refusal)
		return "the provider said: " + refusal.Reply.String(), cure
	}
	text := replyTo("AUTH", box, err).Message
	_, text, _ = strings.Cut(text, " ") // without the enhanced code
	result, cure, _ = strings.Cut(text, "; ")
	return result, cure
}

// Doctor looks at everything that must work for mail to flow: keystore,
// listeners, and for each account network, token and login. It hands on each
// check as it ends and returns how many failed.
func (s *Server) Doctor(ctx context.Context, report func(Check)) (failed int) {
	c := &checker{ctx: ctx, report: report}
	c.run("keystore", nil, s.checkKeystore)
	c.run("ports", nil, s.checkPorts)
	snap := s.Snapshot()
	if len(snap.Accounts) == 0 {
		c.run("accounts", nil, func(context.Context) (string, error) {
			return "", &finding{"there is no account yet", "`waxseal account add ADDRESS` adds one"}
		})
	}
	reached := map[string]bool{}
	for _, a := range snap.Accounts {
		box := s.mailbox(a.Address)
		if box == nil || ctx.Err() != nil {
			continue
		}
		for _, endpoint := range []string{hostOf(box.provider.TokenURL), box.provider.SMTP} {
			if endpoint != "" && !reached[endpoint] {
				reached[endpoint] = true
				c.run("reach "+endpoint, box, func(ctx context.Context) (string, error) { return s.reach(ctx, endpoint) })
			}
		}
		s.checkAccount(c, box)
	}
	return c.failed
}

func (s *Server) checkAccount(c *checker, box *mailbox) {
	ok := c.run("local password of "+box.address, box, func(ctx context.Context) (string, error) {
		err := box.password.load(ctx, s.secrets, box.address)
		if errors.Is(err, keystore.ErrNotFound) {
			err = &finding{"there is none", "`waxseal account password " + box.address + " --new` makes one"}
		}
		return "is in the keystore", err
	})
	ok = c.run("token of "+box.address, box, box.tokenCheck) && ok
	if ok {
		c.run("login of "+box.address, box, box.loginCheck)
	}
}

func (b *mailbox) tokenCheck(ctx context.Context) (string, error) {
	token, err := b.grant.Token(ctx)
	return "good until " + token.Expiry.Format(time.RFC3339), err
}

func (b *mailbox) loginCheck(ctx context.Context) (string, error) {
	err := b.pool.Check(ctx)
	b.note(err)
	return b.provider.SMTP + " accepts the token", err
}

// checkKeystore writes, reads and deletes a secret of no value.
func (s *Server) checkKeystore(ctx context.Context) (string, error) {
	const key = "doctor/test"
	want := rand.Text()
	if err := s.secrets.Set(ctx, key, want); err != nil {
		return "", err
	}
	got, err := s.secrets.Get(ctx, key)
	if err != nil {
		return "", err
	}
	if got != want {
		return "", &finding{"it gives back something else than was stored", "choose another one with --keystore"}
	}
	return s.secrets.Kind() + ": stores and reads", s.secrets.Delete(ctx, key)
}

// checkPorts tells where this server listens or, when it does not serve,
// whether it could.
func (s *Server) checkPorts(ctx context.Context) (string, error) {
	if state := s.state(); state == "serving" || state == "paused" {
		return "listening on " + s.addressList(), nil
	}
	cfg := s.config()
	var free []string
	for _, addr := range append(append([]string{}, cfg.Listen...), cfg.ListenTLS...) {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			return "", &finding{portError(addr, err).Error(), "end the other program, or change listen and listen_tls"}
		}
		l.Close()
		free = append(free, addr)
	}
	return "not running; free: " + strings.Join(free, ", "), nil
}

func hostOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return ""
	}
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "http" {
		return net.JoinHostPort(u.Hostname(), "80")
	}
	return net.JoinHostPort(u.Hostname(), "443")
}

// reach looks a host up and opens a connection to it, as mail and tokens go there.
func (s *Server) reach(ctx context.Context, hostport string) (string, error) {
	conn, err := upstream.Dial(ctx, &net.Dialer{}, s.outbound.proxy, hostport)
	var dns *net.DNSError
	var via *upstream.ProxyError
	switch {
	case errors.As(err, &via):
		return "", &finding{"no way through " + via.Error(), proxyCure}
	case errors.As(err, &dns):
		return "", &finding{"the name " + dns.Name + " cannot be looked up", "check the network and its DNS"}
	case err != nil:
		return "", &finding{"no connection", "check the network, and that a firewall lets " + hostport + " through"}
	}
	defer conn.Close()
	return "answers at " + conn.RemoteAddr().String(), nil
}

// SendTest sends one small message from an account and hands on each stage as
// it ends. It goes the way of every message, but for the local password.
func (s *Server) SendTest(ctx context.Context, address, to string, report func(Check)) error {
	box := s.mailbox(address)
	if box == nil {
		return unknownAccount(address)
	}
	if err := checkAddress(to); err != nil {
		return fmt.Errorf("recipient: %w", err)
	}
	c := &checker{ctx: ctx, report: report}
	var tx *upstream.Transaction
	stages := []struct {
		name string
		do   func(ctx context.Context) (string, error)
	}{
		{"token", box.tokenCheck},
		{"login", box.loginCheck},
		{"recipient", func(ctx context.Context) (string, error) {
			var err error
			if tx, err = box.pool.Begin(ctx, box.address, &smtp.MailOptions{}); err != nil {
				return "", err
			}
			replies, err := tx.Rcpt(ctx, []upstream.Recipient{{To: to, Opts: &smtp.RcptOptions{}}})
			if err != nil {
				return "", err
			}
			return answered(replies[0])
		}},
		{"message", func(ctx context.Context) (string, error) {
			reply, err := tx.Data(ctx, strings.NewReader(testMessage(box.address, to)))
			if err != nil {
				return "", err
			}
			return answered(reply)
		}},
	}
	defer func() {
		if tx != nil {
			tx.Close()
		}
	}()
	for _, stage := range stages {
		if !c.run(stage.name, box, stage.do) {
			return fmt.Errorf("the test message was not sent: it failed at %q", stage.name)
		}
	}
	return nil
}

func answered(r upstream.Reply) (string, error) {
	if r.Code/100 != 2 {
		_, cure := knownAnswer(r.Code, r.String())
		return "", &finding{"the provider said: " + r.String(), cmp.Or(cure, "that is the provider's decision; its words say why")}
	}
	return "the provider said: " + r.String(), nil
}

func testMessage(from, to string) string {
	_, domain, _ := cutDomain(from)
	return strings.Join([]string{
		"From: <" + from + ">", "To: <" + to + ">", "Subject: A test message from Waxseal",
		"Date: " + time.Now().Format(time.RFC1123Z), "Message-ID: <" + strings.ToLower(rand.Text()) + "@" + domain + ">",
		"MIME-Version: 1.0", "Content-Type: text/plain; charset=us-ascii", "",
		"This message shows that sending through Waxseal works.", "",
	}, "\r\n")
}
