package proxy

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/pace"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// checkTimeout is the longest time that one check may take.
const checkTimeout = 20 * time.Second

// finding is the result of a check that passed.
type finding struct {
	result api.Text
	until  time.Time // when the result expires; zero if it does not
}

func found(key string, pairs ...string) finding { return finding{result: api.Say(key, pairs...)} }

// checker runs checks and reports each as it ends.
type checker struct {
	ctx    context.Context
	report func(api.Check)
	failed int
	last   api.Check
}

// run makes one check and reports whether it passed. subject is the account or server,
// if there may be several checks of the same name. do may return any error that explain
// knows.
func (c *checker) run(name, subject string, box *mailbox.Mailbox, do func(ctx context.Context) (finding, error)) bool {
	return c.runFor("", name, subject, box, do)
}

// runFor is run for a check of one of several protocols.
func (c *checker) runFor(p api.Protocol, name, subject string, box *mailbox.Mailbox, do func(ctx context.Context) (finding, error)) bool {
	ctx, cancel := context.WithTimeout(c.ctx, checkTimeout)
	defer cancel()
	start := time.Now()
	f, err := do(ctx)
	check := api.Check{Name: name, Subject: subject, Protocol: p, OK: err == nil, Result: f.result, Until: f.until, Took: time.Since(start)}
	if err != nil {
		check = failedCheck(check, box, err)
		c.failed++
	}
	c.last = check
	c.report(check)
	return err == nil
}

// each makes rounds of checks, at most so many at once. It reports the checks of a round
// together, when the round ends.
func (c *checker) each(atOnce int, rounds []func(*checker)) {
	var mu sync.Mutex // held while c is used
	var working sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for _, round := range rounds {
		select {
		case free <- struct{}{}:
		case <-c.ctx.Done():
		}
		if c.ctx.Err() != nil {
			break
		}
		working.Go(func() {
			defer func() { <-free }()
			var done []api.Check
			own := &checker{ctx: c.ctx, report: func(ch api.Check) { done = append(done, ch) }}
			round(own)
			mu.Lock()
			defer mu.Unlock()
			c.failed += own.failed
			for _, ch := range done {
				c.report(ch)
			}
		})
	}
	working.Wait()
}

// failedCheck turns check into one that failed with err.
func failedCheck(check api.Check, box *mailbox.Mailbox, err error) api.Check {
	check.OK, check.Until = false, time.Time{}
	check.Problem = mailbox.ExplainFor(box, cmp.Or(check.Protocol, api.SMTP), err).Problem
	check.Result = check.Problem.What
	return check
}

// SendTest sends one small message from an account and reports each stage as it ends.
// The message goes the way of every message, but needs no local password; it is counted and
// listed like every other, as a test.
func (s *Server) SendTest(ctx context.Context, address, to string, report func(api.Check)) error {
	box := s.hall.Mailbox(address)
	if box == nil {
		return mailbox.UnknownAccount(address)
	}
	if err := box.Uses(api.SMTP); err != nil {
		return err
	}
	if err := config.CheckAddress(to); err != nil {
		return &api.Problem{Lasting: true, What: api.Say("The recipient’s address {{.Why}}.", "Why", err.Error())}
	}
	s.hall.Stats.Messages.Add(1)
	box.Messages.Add(1)
	s.hall.Changed.Wake()
	t := &testMail{box: box, to: to, started: time.Now()}
	c := &checker{ctx: ctx, report: report}
	err := t.send(c)
	s.hall.Stats.Messages.Add(-1)
	box.Messages.Add(-1)
	s.recordTest(ctx, t, s.hall.NewID())
	return err
}

// testMail is a test message on its way.
type testMail struct {
	box     *mailbox.Mailbox
	to      string
	started time.Time
	tx      *upstream.Transaction
	rcpts   int
	bytes   int
	reply   upstream.Reply // the provider's last one; its code is 0 if there was none
	err     error          // what it failed with
}

// send sends it stage by stage, and stops at the first that fails.
func (t *testMail) send(c *checker) error {
	defer func() {
		if t.tx != nil {
			t.tx.Close()
		}
	}()
	for _, stage := range []struct {
		name string
		do   func(ctx context.Context) (finding, error)
	}{{api.CheckToken, tokenCheck(t.box)}, {api.CheckLogin, loginCheck(t.box)}, {api.CheckRecipient, t.recipient}, {api.CheckMessage, t.message}} {
		if !c.run(stage.name, "", t.box, func(ctx context.Context) (f finding, err error) {
			f, err = stage.do(ctx)
			t.err = err
			return f, err
		}) {
			return &api.Problem{Account: t.box.Address, What: api.Say("The test message was not sent.")}
		}
	}
	return nil
}

func (t *testMail) recipient(ctx context.Context) (finding, error) {
	var err error
	if t.tx, err = t.box.Pool.Begin(ctx, t.box.Address, &smtp.MailOptions{}); err != nil {
		return finding{}, err
	}
	replies, err := t.tx.Rcpt(ctx, []upstream.Recipient{{To: t.to, Opts: &smtp.RcptOptions{}}})
	if err != nil {
		return finding{}, err
	}
	if t.reply = replies[0]; t.reply.Code/100 == 2 {
		t.rcpts = 1
	}
	return answered(t.box, t.reply)
}

func (t *testMail) message(ctx context.Context) (finding, error) {
	text := testMessage(t.box.Address, t.to)
	t.bytes, t.reply = len(text), upstream.Reply{}
	reply, err := t.tx.Data(ctx, strings.NewReader(text))
	if err != nil {
		return finding{}, err
	}
	t.reply = reply
	return answered(t.box, reply)
}

// recordTest takes down how a test message ended.
func (s *Server) recordTest(ctx context.Context, t *testMail, session string) {
	now := time.Now()
	a := api.Activity{Kind: api.Test, Time: now, Session: session, Account: t.box.Address,
		Recipients: t.rcpts, Bytes: int64(t.bytes), Took: now.Sub(t.started), Result: api.Failed}
	told := ""
	switch lost, _ := errors.AsType[*upstream.ConnError](t.err); {
	case t.reply.Code != 0:
		a.Result, a.Problem = mailbox.ResultOf(t.reply.Code), mailbox.KnownReply(t.box, t.reply)
		told = t.reply.String()
		t.err = nil // it is the provider's answer, which the log has
	case lost != nil && lost.Unknown:
		a.Result = api.Unclear
	case ctx.Err() != nil:
		a.Result = api.Aborted
	case isLimit(t.err):
		a.Result = api.Deferred
	}
	if a.Result == api.Sent {
		s.hall.Stats.Seconds.Observe(a.Took.Seconds())
	}
	if t.err != nil {
		a.Own = true
		if a.Result != api.Aborted {
			a.Problem = mailbox.Explain(t.box, t.err).Problem
			t.box.Note(t.err)
		}
	}
	s.hall.Record(t.box, s.log.With("session", session), a, told, t.err)
}

func isLimit(err error) bool {
	_, limit := errors.AsType[*pace.Error](err)
	return limit
}

// answered says what the provider's reply to a test message means.
func answered(box *mailbox.Mailbox, r upstream.Reply) (finding, error) {
	if r.Code/100 != 2 {
		return finding{}, mailbox.ExplainReply(box, r)
	}
	return found("The provider said: {{.Reply}}", "Reply", r.String()), nil
}

func testMessage(from, to string) string {
	_, domain, _ := config.CutDomain(from)
	return strings.Join([]string{
		"From: <" + from + ">", "To: <" + to + ">", "Subject: A test message from Waxseal",
		"Date: " + time.Now().Format(time.RFC1123Z), "Message-ID: <" + strings.ToLower(rand.Text()) + "@" + domain + ">",
		"MIME-Version: 1.0", "Content-Type: text/plain; charset=us-ascii", "",
		"This message shows that sending through Waxseal works.", "",
	}, "\r\n")
}
