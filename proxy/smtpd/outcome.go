package smtpd

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/pace"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// outcome is how a message ended. It is recorded when it is known what the client was told.
type outcome struct {
	known bool
	res   api.Result
	reply *smtp.SMTPError // nil where the client took the message back
	why   *api.Problem    // explains the reply; nil where it says enough
	err   error           // why, where the reply is ours
}

// fail turns an error into the reply for the client, and ends the message with it.
func (s *session) fail(at string, err error) *smtp.SMTPError {
	r := replyTo(at, s.box, err)
	var why *api.Problem
	if _, already := errors.AsType[*smtp.SMTPError](err); !already {
		why = mailbox.Explain(s.box, err).Problem
	}
	res := api.Failed
	var lost *upstream.ConnError
	var full *pace.Error
	switch {
	case errors.As(err, &full):
		res = api.Deferred
	case errors.As(err, &lost) && lost.Unknown:
		res = api.Unclear
	case errors.Is(err, mailbox.ErrCutOff):
		res = api.Aborted
	case errors.Is(err, upstream.ErrEnvelope), errors.Is(err, upstream.ErrUTF8), wrongLineEnds(err), errors.Is(err, upstream.ErrBareLineEnd):
		res = api.Refused
	default:
		s.box.Note(err)
	}
	s.finish(res, r, why, fmt.Errorf("%s: %w", at, err))
	return r
}

// refuse gives a recipient's refusal to the client. Where no other recipient is accepted, it is the
// outcome of the message. why explains it, and may be nil.
func (s *session) refuse(r *smtp.SMTPError, why *api.Problem) error {
	s.log.Info("recipient refused", "account", s.box.Address, "reply", replyText(r))
	s.msg.refusal, s.msg.why = r, why
	return r
}

// turnAway refuses a message before it has begun.
func (s *session) turnAway(r *smtp.SMTPError) error {
	s.record(&message{started: time.Now(), outcome: outcome{res: mailbox.ResultOf(r.Code), reply: r}}, replyText(r))
	return r
}

// finish notes how the message ended; the first outcome counts.
func (s *session) finish(res api.Result, r *smtp.SMTPError, why *api.Problem, err error) {
	if s.msg != nil && !s.msg.outcome.known {
		s.msg.outcome = outcome{true, res, r, why, err}
	}
}

// record takes down how a message ended. told is what the client was told, "" where it did not stay
// to hear it.
func (s *session) record(m *message, told string) {
	now, o := time.Now(), m.outcome
	s.srv.hall.Record(s.box, s.log, api.Activity{
		Kind: api.Message, Time: now, Session: s.c.client.ID, Account: s.box.Address, Recipients: m.rcpts, Bytes: m.bytes,
		Took: now.Sub(m.started), Result: o.res, Own: ours(o.reply), Problem: o.why,
	}, told, o.err)
}

// end gives the provider's connection back and records the message. One that was refused without a
// body, at MAIL or at every RCPT, ends here.
func (s *session) end() {
	s.body.Lock()
	defer s.body.Unlock()
	m := s.msg
	if s.pump != nil {
		s.pump.finish()
		s.pump = nil
	}
	if m.tx != nil {
		m.tx.Close()
	}
	switch {
	case m.rcpts > 0:
		s.finish(api.Aborted, nil, nil, nil)
	case m.refusal != nil:
		s.finish(mailbox.ResultOf(m.refusal.Code), m.refusal, m.why, nil)
	}
	told := s.c.parting
	if answered := s.c.settled(); answered && m.outcome.reply != nil {
		told = replyText(m.outcome.reply)
	}
	if m.outcome.known {
		s.record(m, told)
	}
	if m.outcome.res == api.Sent {
		s.c.unknown = 0
	}
	m.cancel()
	s.msg, s.c.arg = nil, ""
	s.c.busy.Store(false)
	s.srv.hall.Stats.Messages.Add(-1)
	s.box.Messages.Add(-1)
	s.srv.hall.Changed.Wake()
}

// ours reports whether a reply is Waxseal's own, not one that passThrough made.
func ours(r *smtp.SMTPError) bool { return r != nil && !strings.HasPrefix(r.Message, verbatim) }

// replyText is a reply on one line, as the client got it.
func replyText(r *smtp.SMTPError) string {
	return fmt.Sprintf("%d %s", r.Code, strings.ReplaceAll(replyWords(r), "\n", " "))
}

// replyWords are a reply's lines without its code.
func replyWords(r *smtp.SMTPError) string {
	text := strings.ReplaceAll(r.Message, verbatim, "")
	if e := r.EnhancedCode; e[0] > 0 { // otherwise it is in the text, or there is none
		text = fmt.Sprintf("%d.%d.%d %s", e[0], e[1], e[2], text)
	}
	return text
}
