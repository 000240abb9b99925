package providertest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// news tells the client what has changed in the selected folder: flags, letters that are gone, unless
// the command forbids it (RFC 3501 section 7.4.1), and how many there are. The caller must hold mailroom.mu.
func (s *imapSession) news(gone bool) {
	there := map[*letter]bool{}
	for _, l := range s.folder.letters {
		there[l] = true
	}
	for i := len(s.view) - 1; i >= 0; i-- {
		switch l := &s.view[i]; {
		case !there[l.letter]:
			if gone {
				s.text("* " + strconv.Itoa(i+1) + " EXPUNGE")
				s.view = slices.Delete(s.view, i, i+1)
			}
		case l.rev != l.letter.rev:
			l.rev = l.letter.rev
			s.text(fmt.Sprintf("* %d FETCH (UID %d FLAGS (%s))", i+1, l.uid, strings.Join(l.flags, " ")))
		}
	}
	last := uint32(0)
	if n := len(s.view); n > 0 {
		last = s.view[n-1].uid
	}
	grown := false
	for _, l := range s.folder.letters {
		if l.uid > last {
			s.view, grown = append(s.view, seen{l, l.rev}), true
		}
	}
	if grown {
		s.text("* " + strconv.Itoa(len(s.view)) + " EXISTS")
	}
}

// each calls f for the letters of a set, with their sequence numbers, until it fails.
func (s *imapSession) each(numbers set, uids bool, f func(seq int, l *seen) error) error {
	last := uint32(len(s.view))
	if uids && last > 0 {
		last = s.view[last-1].uid
	}
	for i := range s.view {
		n := uint32(i + 1)
		if uids {
			n = s.view[i].uid
		}
		if numbers.contains(n, last) {
			if err := f(i+1, &s.view[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// store responds to STORE (RFC 3501 section 6.4.6).
func (s *imapSession) store(c *scanner, uids bool) error {
	c.space()
	numbers := c.set()
	c.space()
	how := ""
	if c.skip("+") {
		how = "+"
	} else if c.skip("-") {
		how = "-"
	}
	c.expect("FLAGS")
	silent := c.skip(".SILENT")
	c.space()
	flags := c.flags()
	switch {
	case !c.done():
		return s.bad("Syntax error")
	case s.readOnly:
		return s.answer("NO [READ-ONLY] The folder was opened to read")
	}
	s.each(numbers, uids, func(seq int, l *seen) error {
		l.mark(how, flags)
		if !silent {
			s.text(fmt.Sprintf("* %d FETCH (UID %d FLAGS (%s))", seq, l.uid, strings.Join(l.flags, " ")))
		}
		l.rev = l.letter.rev
		return nil
	})
	s.p.mailroom.tell()
	s.news(uids)
	return s.answer("OK STORE completed")
}

// copy responds to COPY and MOVE (RFC 3501 section 6.4.7, RFC 6851), with the UIDs of RFC 4315.
func (s *imapSession) copy(c *scanner, uids, move bool) error {
	c.space()
	numbers := c.set()
	c.space()
	f := s.box.folders[c.mailbox()]
	switch {
	case !c.done():
		return s.bad("Syntax error")
	case f == nil:
		return s.answer("NO [TRYCREATE] There is no such folder")
	case move && s.readOnly:
		return s.answer("NO [READ-ONLY] The folder was opened to read")
	}
	var from, to []string
	moved := map[*letter]bool{}
	s.each(numbers, uids, func(_ int, l *seen) error {
		put := s.p.mailroom.put(f, letter{date: l.date, body: l.body, flags: l.flags})
		from, to = append(from, strconv.Itoa(int(l.uid))), append(to, strconv.Itoa(int(put.uid)))
		moved[l.letter] = move
		return nil
	})
	code := ""
	if len(from) > 0 {
		code = fmt.Sprintf("[COPYUID %d %s %s] ", f.validity, strings.Join(from, ","), strings.Join(to, ","))
	}
	if !move {
		s.news(uids)
		return s.answer("OK %sCOPY completed", code)
	}
	if code != "" {
		s.text("* OK " + code + "Moved")
	}
	s.p.mailroom.remove(s.folder, func(l *letter) bool { return moved[l] })
	s.news(true)
	return s.answer("OK MOVE completed")
}

// expunge responds to EXPUNGE and UID EXPUNGE (RFC 4315).
func (s *imapSession) expunge(c *scanner, uids bool) error {
	numbers := set{{1, 0}}
	if uids {
		c.space()
		numbers = c.set()
	}
	switch {
	case !c.done():
		return s.bad("Syntax error")
	case s.readOnly:
		return s.answer("NO [READ-ONLY] The folder was opened to read")
	}
	s.removeDeleted(numbers)
	s.news(true)
	return s.answer("OK EXPUNGE completed")
}

// removeDeleted removes those of some letters that are marked as deleted.
func (s *imapSession) removeDeleted(uids set) {
	last := s.folder.next - 1
	s.p.mailroom.remove(s.folder, func(l *letter) bool { return l.has(`\Deleted`) && uids.contains(l.uid, last) })
}

// unselect responds to CLOSE, which removes deleted letters without saying so, and UNSELECT (RFC 3691).
func (s *imapSession) unselect(_ *scanner, remove bool) error {
	if remove && !s.readOnly {
		s.removeDeleted(set{{1, 0}})
	}
	s.folder, s.view = nil, nil
	return s.answer("OK Completed")
}

// idling responds to IDLE (RFC 2177). A goroutine says what is new while the session waits for DONE.
func (s *imapSession) idling(*scanner) error {
	s.text("+ idling")
	if err := s.flush(); err != nil {
		return err
	}
	s.pushed = true
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		s.push(stop)
	}()
	b, err := s.line(imapLine, s.p.opts.Lax)
	close(stop)
	<-ended
	s.pushed = false
	switch {
	case err != nil:
		return err
	case !strings.EqualFold(string(b), "DONE"):
		return s.bad("DONE is expected")
	}
	return s.answer("OK IDLE completed")
}

// push says what is new until stop is closed. Nobody else writes meanwhile.
func (s *imapSession) push(stop <-chan struct{}) {
	for {
		s.p.mailroom.mu.Lock()
		changed := s.p.mailroom.changed
		if s.folder != nil {
			s.news(true)
		}
		s.p.mailroom.mu.Unlock()
		if s.flush() != nil {
			return // the reader notices too
		}
		select {
		case <-changed:
		case <-stop:
			return
		}
	}
}
