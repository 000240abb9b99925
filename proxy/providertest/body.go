package providertest

import (
	"bytes"
	"strconv"
	"time"
)

const firstPiece = 512 // see StepBody

// data replies to DATA and reads the body up to CRLF "." CRLF.
func (s *session) data(arg, line string) error {
	if skip, err := s.step(StepData, line, 0); skip || err != nil {
		return err
	}
	switch {
	case arg != "":
		return s.mistake(501, "5.5.4 DATA takes no argument")
	case !s.tx.open:
		return s.mistake(503, "5.5.1 MAIL first")
	case s.tx.chunked || s.tx.failed:
		return s.mistake(503, "5.5.1 DATA cannot follow BDAT")
	case len(s.tx.rcpts) == 0:
		return s.mistake(554, "5.5.1 No valid recipients")
	}
	s.tx.sink.begin(&s.p.store, s.p.opts.MaxSize, s.tx.size)
	s.reply(354, "Go ahead - gsmtp")
	if err := s.readData(); err != nil {
		return err
	}
	err := s.finish()
	s.reset()
	return err
}

// readData reads a body up to its end. A client that did not wait for 354 has been disconnected, so
// nothing is buffered.
func (s *session) readData() error {
	s.reading = true
	defer func() { s.reading = false }()
	take := takeData
	if s.p.opts.Lax {
		take = takeLax
	}
	var failed error
	emit := func(b []byte) {
		if failed == nil {
			failed = s.piece(b)
		}
	}
	for atLine := true; ; {
		if err := s.fill(); err != nil {
			return err
		}
		used, end := take(s.buffered(), &atLine, emit)
		s.r += used
		if failed != nil || end {
			return failed
		}
	}
}

// piece takes a piece of a body and calls the hook.
func (s *session) piece(b []byte) error {
	k := &s.tx.sink
	if s.p.faults.Load().SMTP == nil {
		k.write(b)
		return nil
	}
	for len(b) > 0 {
		part := b
		if k.n < firstPiece {
			part = b[:min(len(b), int(firstPiece-k.n))]
		}
		b = b[len(part):]
		k.write(part)
		skip, err := s.step(StepBody, "", k.n)
		if skip && len(s.out) > 0 {
			return s.linger()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// takeData passes on those bytes of b that are certainly part of the body, and returns how many
// bytes of b it used and whether the end was among them. atLine says that b is at the start of a
// line: after CRLF, or at the start of the body. Bare CR and LF are content like any other: the
// only end is CRLF "." CRLF (RFC 5321 section 4.1.1.4), and a dot is removed only after CRLF
// (section 4.5.2).
func takeData(b []byte, atLine *bool, emit func([]byte)) (used int, end bool) {
	for used < len(b) {
		rest := b[used:]
		if *atLine {
			if len(rest) < 3 && string(rest) == ".\r\n"[:len(rest)] {
				return used, false // the next bytes decide what this is
			}
			if bytes.HasPrefix(rest, []byte(".\r\n")) {
				return used + 3, true
			}
			*atLine = false
			if rest[0] == '.' {
				used++
				continue
			}
		}
		if i := bytes.Index(rest, []byte("\r\n.")); i >= 0 {
			emit(rest[:i+2])
			used, *atLine = used+i+2, true
			continue
		}
		sure := len(rest)
		switch {
		case bytes.HasSuffix(rest, []byte("\r\n")):
			*atLine = true
		case rest[sure-1] == '\r':
			sure--
		}
		if sure > 0 {
			emit(rest[:sure])
		}
		return used + sure, false
	}
	return used, false
}

// takeLax is takeData as careless servers do it: CR, LF and CRLF all end a line, and a line that is
// a single dot ends the body.
func takeLax(b []byte, atLine *bool, emit func([]byte)) (used int, end bool) {
	for used < len(b) {
		rest := b[used:]
		if *atLine && rest[0] == '.' {
			switch {
			case len(rest) < 3 && (len(rest) == 1 || rest[1] == '\r'):
				return used, false
			case rest[1] == '\r' && rest[2] == '\n':
				return used + 3, true
			case rest[1] == '\r' || rest[1] == '\n':
				return used + 2, true
			}
			rest, used = rest[1:], used+1
		}
		n := 1 + bytes.IndexAny(rest, "\r\n")
		if n == 0 {
			n = len(rest)
		}
		last := rest[n-1]
		*atLine = last == '\r' || last == '\n'
		emit(rest[:n])
		used += n
		if last == '\r' && n < len(rest) && rest[n] == '\n' {
			emit(rest[n : n+1])
			used++
		}
	}
	return used, false
}

// finish replies to a complete body, with 250 once it is recorded.
func (s *session) finish() error {
	skip, err := s.step(StepFinal, "", s.tx.sink.n)
	if skip || err != nil {
		s.tx.failed = true
		return err
	}
	if s.tx.sink.over() {
		s.tx.failed = true
		return s.reply(552, "5.3.4 Your message exceeded the size limit of "+strconv.FormatInt(s.p.opts.MaxSize, 10))
	}
	switch s.p.quota.take(s.account, len(s.tx.rcpts), &s.p.opts) {
	case overMinute:
		s.tx.failed = true
		return s.reply(421, "4.4.2 Message submission rate for this client has exceeded the configured limit")
	case overDay:
		s.tx.failed = true
		return s.reply(554, "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException")
	}
	id := s.record()
	return s.reply(250, "2.0.0 OK "+id+" queued as "+id+" - gsmtp")
}

// record records the message, if it is not recorded yet.
func (s *session) record() (id string) {
	t := &s.tx
	if t.id != "" {
		return t.id // by Action.Deliver
	}
	m := Message{
		Account: s.account, From: t.from, MailParams: t.params, Rcpts: t.rcpts,
		Body: t.sink.body, Size: t.sink.n, SHA256: t.sink.digest(), Time: time.Now(),
		TLS: s.door == doorTLS, Chunked: t.chunked, Conn: s.id,
	}
	t.id = s.p.store.add(m)
	return t.id
}
