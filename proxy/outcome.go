package proxy

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// fail turns an error into the reply for the client, and counts the message it
// ended.
func (s *session) fail(at string, err error) error {
	r := replyTo(at, s.box, err)
	res := api.Failed
	var lost *upstream.ConnError
	switch {
	case errors.As(err, &lost) && lost.Unknown:
		res = api.Unclear
	case errors.Is(err, errCutOff):
		res = api.Aborted
	case errors.Is(err, upstream.ErrEnvelope), errors.Is(err, upstream.ErrUTF8):
		res = api.Refused
	default:
		s.box.note(err)
	}
	s.finish(res, r, nil, fmt.Errorf("%s: %w", at, err))
	return r
}

// refuse gives a recipient's refusal to the client. Where no other recipient is
// taken, it is what became of the message. why explains it, and may be nil.
func (s *session) refuse(r *smtp.SMTPError, why *api.Problem) error {
	s.log.Info("recipient refused", "account", s.box.address, "reply", replyText(r))
	s.msg.refusal, s.msg.why = r, why
	return r
}

// turnAway refuses a message before it has begun.
func (s *session) turnAway(r *smtp.SMTPError) error {
	s.record(&message{started: time.Now()}, resultOf(r.Code), r, nil, nil)
	return r
}

// finish counts the message once. r is what the client was told, nil where it
// did not stay to hear it. Where r is the provider's, why explains it, if anything is
// known; where it is ours, err is the cause.
func (s *session) finish(res api.Result, r *smtp.SMTPError, why *api.Problem, err error) {
	if s.msg == nil || s.msg.counted {
		return
	}
	s.msg.counted = true
	s.record(s.msg, res, r, why, err)
}

// record is the one place where a message goes into the statistics, and its end
// into the log.
func (s *session) record(m *message, res api.Result, r *smtp.SMTPError, why *api.Problem, err error) {
	now := time.Now()
	a := &api.Activity{
		Time: now, Session: s.c.id, Account: s.box.address, Recipients: m.rcpts, Bytes: m.bytes,
		Took: now.Sub(m.started), Result: res, Problem: why,
	}
	line := []any{"account", a.Account, "result", a.Result, "recipients", a.Recipients, "bytes", a.Bytes, "seconds", a.Took.Seconds()}
	if r != nil {
		text := replyText(r)
		a.Reply = discreet(text, s.box.address)
		line = append(line, "reply", text)
	}
	s.srv.stats.ended(res, a)
	s.box.ended(res, a)
	if err != nil {
		s.log.Warn("message failed", append(line, "err", err)...)
	} else {
		s.log.Info("message", line...)
	}
	s.srv.changed.wake()
}

// end gives the provider's connection back. A message that was refused without
// a body, at MAIL or at every RCPT, ends here.
func (s *session) end() {
	s.body.Lock()
	defer s.body.Unlock()
	if s.msg.tx != nil {
		s.msg.tx.Close()
	}
	switch {
	case s.msg.rcpts > 0:
		s.finish(api.Aborted, nil, nil, nil)
	case s.msg.refusal != nil:
		s.finish(resultOf(s.msg.refusal.Code), s.msg.refusal, s.msg.why, nil)
	}
	s.msg.cancel()
	s.msg = nil
	s.c.busy.Store(false)
	s.srv.stats.messages.Add(-1)
	s.box.messages.Add(-1)
	s.srv.changed.wake()
}

func resultOf(code int) api.Result {
	switch code / 100 {
	case 2:
		return api.Sent
	case 4:
		return api.Deferred
	}
	return api.Refused
}

// replyText is a reply on one line, as the client got it.
func replyText(r *smtp.SMTPError) string {
	text := strings.ReplaceAll(strings.ReplaceAll(r.Message, verbatim, ""), "\n", " ")
	if e := r.EnhancedCode; e[0] > 0 { // else it stands in the text, or there is none
		text = fmt.Sprintf("%d.%d.%d %s", e[0], e[1], e[2], text)
	}
	return fmt.Sprintf("%d %s", r.Code, text)
}
