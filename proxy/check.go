package proxy

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
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
func (c *checker) run(name, subject string, box *mailbox, do func(ctx context.Context) (finding, error)) bool {
	ctx, cancel := context.WithTimeout(c.ctx, checkTimeout)
	defer cancel()
	start := time.Now()
	f, err := do(ctx)
	check := api.Check{Name: name, Subject: subject, OK: err == nil, Result: f.result, Until: f.until, Took: time.Since(start)}
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
func failedCheck(check api.Check, box *mailbox, err error) api.Check {
	check.OK, check.Until = false, time.Time{}
	check.Problem = explain(box, err).Problem
	check.Result = check.Problem.What
	return check
}

// SendTest sends one small message from an account and reports each stage as it ends.
// The message goes the way of every message, but needs no local password.
func (s *Server) SendTest(ctx context.Context, address, to string, report func(api.Check)) error {
	box := s.mailbox(address)
	if box == nil {
		return unknownAccount(address)
	}
	if err := config.CheckAddress(to); err != nil {
		return &api.Problem{Lasting: true, What: api.Say("The recipient’s address {{.Why}}.", "Why", err.Error())}
	}
	c := &checker{ctx: ctx, report: report}
	var tx *upstream.Transaction
	stages := []struct {
		name string
		do   func(ctx context.Context) (finding, error)
	}{
		{api.CheckToken, box.tokenCheck},
		{api.CheckLogin, box.loginCheck},
		{api.CheckRecipient, func(ctx context.Context) (finding, error) {
			var err error
			if tx, err = box.pool.Begin(ctx, box.address, &smtp.MailOptions{}); err != nil {
				return finding{}, err
			}
			replies, err := tx.Rcpt(ctx, []upstream.Recipient{{To: to, Opts: &smtp.RcptOptions{}}})
			if err != nil {
				return finding{}, err
			}
			return answered(box, replies[0])
		}},
		{api.CheckMessage, func(ctx context.Context) (finding, error) {
			reply, err := tx.Data(ctx, strings.NewReader(testMessage(box.address, to)))
			if err != nil {
				return finding{}, err
			}
			return answered(box, reply)
		}},
	}
	defer func() {
		if tx != nil {
			tx.Close()
		}
	}()
	for _, stage := range stages {
		if !c.run(stage.name, "", box, stage.do) {
			return &api.Problem{Account: box.address, What: api.Say("The test message was not sent.")}
		}
	}
	return nil
}

// answered says what the provider's reply to a test message means.
func answered(box *mailbox, r upstream.Reply) (finding, error) {
	if r.Code/100 != 2 {
		return finding{}, explainReply(box, r)
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
