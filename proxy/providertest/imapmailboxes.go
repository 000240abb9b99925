package providertest

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// list responds to LIST and LSUB (RFC 3501 sections 6.3.8 and 6.3.9).
func (s *imapSession) list(c *scanner, verb string) error {
	c.space()
	prefix := c.text()
	c.space()
	pattern := prefix + c.text()
	if !c.done() {
		return s.bad("Syntax error")
	}
	if pattern == prefix {
		s.text("* " + verb + ` (\Noselect) "/" ""`)
		return s.answer("OK %s completed", verb)
	}
	expr := strings.NewReplacer(`\*`, ".*", "%", "[^/]*").Replace(regexp.QuoteMeta(pattern))
	match, err := regexp.Compile("(?i)^" + expr + "$")
	if err != nil {
		return s.bad("Bad pattern")
	}
	names := slices.Sorted(maps.Keys(s.box.folders))
	if verb == "LSUB" {
		names = slices.Sorted(maps.Keys(s.box.subscribed))
	}
	for _, name := range names {
		if match.MatchString(name) {
			child := `\HasNoChildren`
			if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, name+"/") }) {
				child = `\HasChildren`
			}
			s.text("* " + verb + " (" + child + `) "/" ` + quoteAlways(name))
		}
	}
	return s.answer("OK %s completed", verb)
}

func (s *imapSession) subscribe(c *scanner, on bool) error {
	c.space()
	name := c.mailbox()
	if !c.done() {
		return s.bad("Syntax error")
	}
	if delete(s.box.subscribed, name); on {
		s.box.subscribed[name] = true
	}
	return s.answer("OK Completed")
}

// noFolder answers a command for a folder that does not exist.
func (s *imapSession) noFolder() error { return s.answer("NO [NONEXISTENT] There is no such folder") }

// status responds to STATUS (RFC 3501 section 6.3.10).
func (s *imapSession) status(c *scanner) error {
	c.space()
	name := c.mailbox()
	c.space()
	var items []string
	c.list(func() { items = append(items, c.word()) })
	if !c.done() {
		return s.bad("Syntax error")
	}
	f := s.box.folders[name]
	if f == nil {
		return s.noFolder()
	}
	var out []string
	for _, item := range items {
		n := 0
		switch item {
		case "MESSAGES":
			n = len(f.letters)
		case "UIDNEXT":
			n = int(f.next)
		case "UIDVALIDITY":
			n = int(f.validity)
		case "UNSEEN":
			for _, l := range f.letters {
				if !l.has(`\Seen`) {
					n++
				}
			}
		case "RECENT":
		default:
			return s.bad("Unknown status item")
		}
		out = append(out, item+" "+strconv.Itoa(n))
	}
	s.text("* STATUS " + quoteAlways(name) + " (" + strings.Join(out, " ") + ")")
	return s.answer("OK STATUS completed")
}

// choose responds to SELECT and EXAMINE (RFC 3501 sections 6.3.1 and 6.3.2).
func (s *imapSession) choose(c *scanner, readOnly bool) error {
	c.space()
	name := c.mailbox()
	if !c.done() {
		return s.bad("Syntax error")
	}
	s.folder, s.view = s.box.folders[name], nil
	if s.folder == nil {
		return s.noFolder()
	}
	s.readOnly = readOnly
	for _, l := range s.folder.letters {
		s.view = append(s.view, seen{l, l.rev})
	}
	s.text(`* FLAGS (\Answered \Flagged \Deleted \Seen \Draft)`)
	s.text("* " + strconv.Itoa(len(s.view)) + " EXISTS")
	s.text("* 0 RECENT")
	if i := slices.IndexFunc(s.view, func(l seen) bool { return !l.has(`\Seen`) }); i >= 0 {
		s.text("* OK [UNSEEN " + strconv.Itoa(i+1) + "] First unseen")
	}
	s.text("* OK [UIDVALIDITY " + strconv.Itoa(int(s.folder.validity)) + "] UIDs are valid")
	s.text("* OK [UIDNEXT " + strconv.Itoa(int(s.folder.next)) + "] Predicted next UID")
	if readOnly {
		s.text("* OK [PERMANENTFLAGS ()] Read-only")
		return s.answer("OK [READ-ONLY] EXAMINE completed")
	}
	s.text(`* OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Limited`)
	return s.answer("OK [READ-WRITE] SELECT completed")
}

func (s *imapSession) create(c *scanner) error {
	c.space()
	name := strings.TrimSuffix(c.mailbox(), "/")
	switch {
	case !c.done() || name == "":
		return s.bad("Syntax error")
	case s.box.folders[name] != nil:
		return s.answer("NO [ALREADYEXISTS] There is such a folder")
	}
	s.box.folders[name] = s.p.mailroom.folder()
	return s.answer("OK CREATE completed")
}

func (s *imapSession) delete(c *scanner) error {
	c.space()
	name := c.mailbox()
	switch {
	case !c.done():
		return s.bad("Syntax error")
	case s.box.folders[name] == nil:
		return s.noFolder()
	case name == inbox:
		return s.answer("NO [CANNOT] INBOX stays")
	}
	delete(s.box.folders, name)
	return s.answer("OK DELETE completed")
}

func (s *imapSession) rename(c *scanner) error {
	c.space()
	from := c.mailbox()
	c.space()
	to := c.mailbox()
	switch {
	case !c.done():
		return s.bad("Syntax error")
	case s.box.folders[from] == nil:
		return s.noFolder()
	case s.box.folders[to] != nil:
		return s.answer("NO [ALREADYEXISTS] There is such a folder")
	case from == inbox:
		return s.answer("NO [CANNOT] INBOX stays")
	}
	s.box.folders[to] = s.box.folders[from]
	delete(s.box.folders, from)
	return s.answer("OK RENAME completed")
}

// append responds to APPEND (RFC 3501 section 6.3.11).
func (s *imapSession) append(c *scanner) error {
	c.space()
	name := c.mailbox()
	c.space()
	var flags []string
	if c.peek("(") {
		flags = c.flags()
		c.space()
	}
	date := time.Now()
	if c.peek(`"`) {
		var err error
		if date, err = time.Parse("_2-Jan-2006 15:04:05 -0700", c.quoted()); err != nil {
			c.fail()
		}
		c.space()
	}
	if !c.peek("{") {
		c.fail()
	}
	body := c.literal()
	f := s.box.folders[name]
	switch {
	case !c.done():
		return s.bad("Syntax error")
	case f == nil:
		return s.answer("NO [TRYCREATE] There is no such folder")
	}
	l := s.p.mailroom.put(f, letter{date: date, body: []byte(body), flags: flags})
	if s.folder != nil {
		s.news(true)
	}
	return s.answer("OK [APPENDUID %d %d] APPEND completed", f.validity, l.uid)
}
