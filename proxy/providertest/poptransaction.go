package providertest

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// transaction responds to the commands for the mailbox (RFC 1939 sections 5 and 7).
func (s *popSession) transaction(verb, arg string) error {
	switch verb {
	case "NOOP":
		return s.ok("")
	case "RSET":
		clear(s.deleted)
		return s.ok("")
	case "STAT":
		n, size := s.total()
		return s.ok(fmt.Sprintf("%d %d", n, size))
	case "LIST":
		return s.listing(arg, func(l *letter) string { return strconv.Itoa(len(l.body)) })
	case "UIDL":
		validity := s.box.folders[inbox].validity
		return s.listing(arg, func(l *letter) string { return fmt.Sprintf("%d-%d", validity, l.uid) })
	case "RETR":
		return s.send(arg, -1)
	case "TOP":
		arg, lines, _ := strings.Cut(arg, " ")
		n, err := strconv.Atoi(lines)
		if err != nil || n < 0 {
			return s.bad("TOP needs a message and a number of lines")
		}
		return s.send(arg, n)
	case "DELE":
		l := s.letter(arg)
		if l == nil {
			return s.no("There is no such message")
		}
		s.deleted[l] = true
		return s.ok("Deleted")
	}
	return s.bad("Unknown command")
}

// letter returns the message with a number, or nil.
func (s *popSession) letter(arg string) *letter {
	n, err := strconv.Atoi(arg)
	if err != nil || n < 1 || n > len(s.letters) || s.deleted[s.letters[n-1]] {
		return nil
	}
	return s.letters[n-1]
}

func (s *popSession) total() (n, size int) {
	for _, l := range s.letters {
		if !s.deleted[l] {
			n, size = n+1, size+len(l.body)
		}
	}
	return n, size
}

// listing responds with what describe says about one message or all of them.
func (s *popSession) listing(arg string, describe func(*letter) string) error {
	if arg != "" {
		l := s.letter(arg)
		if l == nil {
			return s.no("There is no such message")
		}
		return s.ok(arg + " " + describe(l))
	}
	n, size := s.total()
	s.ok(fmt.Sprintf("%d messages (%d octets)", n, size))
	for i, l := range s.letters {
		if !s.deleted[l] {
			s.text(strconv.Itoa(i+1) + " " + describe(l))
		}
	}
	s.text(".")
	return nil
}

// send responds with a message: its header and that many lines of its body, all if lines is negative.
func (s *popSession) send(arg string, lines int) error {
	l := s.letter(arg)
	if l == nil {
		return s.no("There is no such message")
	}
	body := l.body
	if lines >= 0 {
		body = top(body, lines)
	}
	keep := s.act
	skip, err := s.step(StepLiteral, "", int64(len(body)))
	cut := s.act.Cut
	if s.act = keep; skip || err != nil {
		return err
	}
	s.ok(strconv.Itoa(len(body)) + " octets")
	if err := s.content(stuff(body), cut); err != nil {
		return err
	}
	s.text(".")
	return nil
}

// top returns the header of a message and some lines of its body.
func top(message []byte, lines int) []byte {
	p := parsePart(message)
	n := len(p.header)
	for range lines {
		i := bytes.IndexByte(message[n:], '\n')
		if i < 0 {
			return message
		}
		n += i + 1
	}
	return message[:n]
}

// stuff doubles dots at the start of lines, and ends the last line (RFC 1939 section 3).
func stuff(b []byte) []byte {
	out := make([]byte, 0, len(b)+16)
	for line := range bytes.SplitAfterSeq(b, []byte("\r\n")) {
		if bytes.HasPrefix(line, []byte(".")) {
			out = append(out, '.')
		}
		out = append(out, line...)
	}
	if len(out) > 0 && !bytes.HasSuffix(out, []byte("\r\n")) {
		out = append(out, '\r', '\n')
	}
	return out
}
