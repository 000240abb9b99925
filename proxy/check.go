package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/oauth"
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
	if c, ok := errors.AsType[*oauth.ConsentError](err); ok {
		return c.Why(), "sign in again with `waxseal account reauthorize " + c.Account + "`"
	}
	// A mail program's user is told less than who looks for the fault.
	if fault, ok := errors.AsType[*oauth.EndpointError](err); ok {
		return fault.Error(), "try again in some minutes; if it lasts, check the network, a proxy on the way, and the provider's token_url and ca_file"
	}
	text := replyTo("MAIL", box, err).Message // AUTH's says first that the password is right
	_, text, _ = strings.Cut(text, " ")       // without the enhanced code
	result, cure, _ = strings.Cut(text, "; ")
	if lost, ok := errors.AsType[*upstream.ConnError](err); ok && strings.HasSuffix(result, "cannot be reached") {
		result += " (" + lost.Error() + ")"
	}
	return result, cure
}

// SendTest sends one small message from an account and hands on each stage as
// it ends. It goes the way of every message, but for the local password.
func (s *Server) SendTest(ctx context.Context, address, to string, report func(Check)) error {
	box := s.mailbox(address)
	if box == nil {
		return unknownAccount(address)
	}
	if err := checkAddress(to); err != nil {
		return fmt.Errorf("the recipient's address %w", err)
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
		return "", &finding{"the provider said: " + r.String(), cureOf(r)}
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
