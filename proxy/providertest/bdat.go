package providertest

import (
	"strconv"
	"strings"
)

// bdat replies to BDAT (RFC 3030 section 2). The chunk's octets follow whatever the reply will be,
// so they are read first.
func (s *session) bdat(arg, line string) error {
	size, last, ok := parseBDAT(arg)
	switch {
	case s.p.opts.NoChunking:
		return s.mistake(502, "5.5.1 Unrecognized command")
	case !ok:
		s.reply(501, "5.5.4 Syntax error, BDAT size [LAST] expected")
		return s.linger() // nobody knows where the next command begins
	}
	act, err := s.ask(StepChunk, line, size)
	if err != nil {
		return err
	}
	if !act.refuses() {
		if no := s.chunkRefusal(); no.Code != 0 {
			act = no
		}
	}
	if act.refuses() {
		s.tx.failed = s.tx.open
		if err := s.chunk(size, false); err != nil {
			return err
		}
		return s.refuse(act)
	}
	if !s.tx.chunked {
		s.tx.chunked = true
		s.tx.sink.begin(&s.p.store, s.p.opts.MaxSize, max(s.tx.size, size))
	}
	if err := s.chunk(size, true); err != nil {
		return err
	}
	s.act = act // the pieces of the body had actions of their own
	if last {
		return s.lastChunk()
	}
	if s.tx.sink.over() {
		s.tx.failed = true
		return s.reply(552, "5.3.4 Your message exceeded the size limit")
	}
	return s.reply(250, "2.0.0 "+strconv.FormatInt(size, 10)+" octets received - gsmtp")
}

// chunkRefusal returns the reply to a chunk that cannot be accepted now.
func (s *session) chunkRefusal() Action {
	switch {
	case !s.tx.open:
		return Action{Code: 503, Text: "5.5.1 MAIL first"}
	case s.tx.failed:
		return Action{Code: 503, Text: "5.5.1 An earlier chunk was refused, RSET first"}
	case len(s.tx.rcpts) == 0:
		return Action{Code: 554, Text: "5.5.1 No valid recipients"}
	}
	return Action{}
}

// lastChunk ends the transaction if the message is accepted. A refused one remains failed until RSET.
func (s *session) lastChunk() error {
	s.act = Action{}
	err := s.finish()
	failed := s.tx.failed
	s.reset()
	s.tx.open, s.tx.failed = failed, failed
	return err
}

func parseBDAT(arg string) (size int64, last, ok bool) {
	number, word, found := strings.Cut(arg, " ")
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || found && !strings.EqualFold(word, "LAST") {
		return 0, false, false
	}
	return int64(n), found, true
}

// chunk reads n octets, and discards them if they are not wanted.
func (s *session) chunk(n int64, wanted bool) error {
	s.reading = n > int64(len(s.buffered()))
	defer func() { s.reading = false }()
	for n > 0 {
		if len(s.buffered()) == 0 {
			if err := s.fill(); err != nil {
				return err
			}
		}
		b := s.buffered()
		b = b[:min(int64(len(b)), n)]
		s.r += len(b)
		n -= int64(len(b))
		if !wanted {
			continue
		}
		if err := s.piece(b); err != nil {
			return err
		}
	}
	return nil
}
