package providertest

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// fetchItem is what a FETCH asks for (RFC 3501 section 6.4.5).
type fetchItem struct {
	name string // as the response repeats it
	kind string // "BODY[" for a section, else the name
	peek bool

	path    []int    // of the part
	section string   // "", HEADER, TEXT, MIME, HEADER.FIELDS, HEADER.FIELDS.NOT
	fields  []string // header fields
	partial bool
	from, n int
}

var fetchMacros = map[string]string{
	"ALL":  "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)",
	"FAST": "(FLAGS INTERNALDATE RFC822.SIZE)",
	"FULL": "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)",
}

// fetchItems reads the items of a FETCH.
func (c *scanner) fetchItems() (items []fetchItem) {
	if all, ok := fetchMacros[strings.ToUpper(c.s)]; ok {
		c.s = all
	}
	if c.peek("(") {
		c.list(func() { items = append(items, c.fetchItem()) })
		return items
	}
	return []fetchItem{c.fetchItem()}
}

func attChar(b byte) bool {
	return b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '.'
}

func (c *scanner) fetchItem() fetchItem {
	name := strings.ToUpper(c.run(attChar))
	i := fetchItem{name: name, kind: name, peek: true}
	switch name {
	case "FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE":
	case "RFC822":
		i.kind, i.peek = "BODY[", false
	case "RFC822.HEADER":
		i.kind, i.section = "BODY[", "HEADER"
	case "RFC822.TEXT":
		i.kind, i.section, i.peek = "BODY[", "TEXT", false
	case "BODY", "BODY.PEEK":
		if c.peek("[") {
			c.section(&i)
			i.peek = name == "BODY.PEEK"
		} else if name == "BODY.PEEK" {
			c.fail()
		}
	default:
		c.fail()
	}
	return i
}

// section reads what follows BODY: "[1.HEADER]<0.100>".
func (c *scanner) section(i *fetchItem) {
	start := c.s
	c.expect("[")
	for c.s != "" && c.s[0] >= '1' && c.s[0] <= '9' {
		i.path = append(i.path, int(c.number()))
		if !c.skip(".") {
			break
		}
	}
	if !c.peek("]") {
		i.section = strings.ToUpper(c.run(attChar))
	}
	switch i.section {
	case "", "HEADER", "TEXT":
	case "MIME":
		if len(i.path) == 0 {
			c.fail()
		}
	case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
		c.space()
		c.list(func() { i.fields = append(i.fields, c.text()) })
	default:
		c.fail()
	}
	c.expect("]")
	i.kind, i.name = "BODY[", "BODY"+start[:len(start)-len(c.s)]
	if c.skip("<") {
		i.partial, i.from = true, int(c.number())
		c.expect(".")
		i.n = int(c.number())
		c.expect(">")
		i.name += "<" + strconv.Itoa(i.from) + ">"
	}
}

// fetched is a letter as it was when FETCH looked at it.
type fetched struct {
	*letter
	seq   int
	flags []string
}

// fetch responds to FETCH.
func (s *imapSession) fetch(c *scanner, uids bool) error {
	c.space()
	numbers := c.set()
	c.space()
	items := c.fetchItems()
	if !c.done() {
		return s.bad("Syntax error")
	}
	asked := func(name string) bool {
		return slices.ContainsFunc(items, func(i fetchItem) bool { return i.kind == name })
	}
	marks := !s.readOnly && slices.ContainsFunc(items, func(i fetchItem) bool { return !i.peek })
	if uids && !asked("UID") {
		items = append([]fetchItem{{name: "UID", kind: "UID"}}, items...)
	}
	if marks && !asked("FLAGS") {
		items = append(items, fetchItem{name: "FLAGS", kind: "FLAGS"})
	}
	for _, l := range s.look(numbers, uids, marks) {
		if err := s.fetchOne(l, items); err != nil {
			return err
		}
	}
	s.p.mailroom.mu.Lock()
	s.news(uids)
	s.p.mailroom.mu.Unlock()
	return s.answer("OK FETCH completed")
}

// look returns the letters of a set, after marking them as seen if that is asked for.
func (s *imapSession) look(numbers set, uids, mark bool) (all []fetched) {
	s.p.mailroom.mu.Lock()
	defer s.p.mailroom.mu.Unlock()
	s.each(numbers, uids, func(seq int, l *seen) error {
		if mark {
			l.mark("+", []string{`\Seen`})
			l.rev = l.letter.rev
		}
		all = append(all, fetched{l.letter, seq, l.flags})
		return nil
	})
	if mark {
		s.p.mailroom.tell()
	}
	return all
}

// fetchOne sends the response for one letter.
func (s *imapSession) fetchOne(l fetched, items []fetchItem) error {
	sep := "* " + strconv.Itoa(l.seq) + " FETCH ("
	for _, i := range items {
		s.out = append(append(append(s.out, sep...), i.name...), ' ')
		sep = " "
		switch i.kind {
		case "FLAGS":
			s.out = append(s.out, "("+strings.Join(l.flags, " ")+")"...)
		case "UID":
			s.out = strconv.AppendUint(s.out, uint64(l.uid), 10)
		case "INTERNALDATE":
			s.out = append(s.out, l.date.Format(`"_2-Jan-2006 15:04:05 -0700"`)...)
		case "RFC822.SIZE":
			s.out = strconv.AppendInt(s.out, int64(len(l.body)), 10)
		case "ENVELOPE":
			s.out = append(s.out, parsePart(l.body).envelope()...)
		case "BODY", "BODYSTRUCTURE":
			s.out = append(s.out, parsePart(l.body).structure(i.kind == "BODYSTRUCTURE")...)
		case "BODY[":
			if err := s.sendLiteral(i.of(l.body)); err != nil {
				return err
			}
		}
	}
	s.text(")")
	return nil
}

// sendLiteral sends the content of a section.
func (s *imapSession) sendLiteral(b []byte) error {
	keep := s.act
	skip, err := s.step(StepLiteral, "", int64(len(b)))
	cut := s.act.Cut
	if s.act = keep; err != nil {
		return err
	}
	if skip {
		return s.linger() // there is no way to go on in the middle of a response
	}
	s.out = append(append(append(s.out, '{'), strconv.Itoa(len(b))...), "}\r\n"...)
	return s.content(b, cut)
}

// content sends b, or loses the connection after cut octets of it if that is not 0.
func (c *peer) content(b []byte, cut int64) error {
	if cut > 0 {
		c.out = append(c.out, b[:min(cut, int64(len(b)))]...)
		if err := c.flush(); err != nil {
			return err
		}
		c.drop()
		return errEnd
	}
	if len(b) < largeBuffer {
		c.out = append(c.out, b...)
		return nil
	}
	if err := c.flush(); err != nil {
		return err
	}
	c.out = b // may be huge, so it is not copied; flush forgets it
	return c.flush()
}

// of returns the content of the section in a message; nothing if there is no such part.
func (i fetchItem) of(message []byte) []byte {
	b := i.whole(message)
	if i.partial {
		from := min(i.from, len(b))
		b = b[from:min(from+i.n, len(b))]
	}
	return b
}

func (i fetchItem) whole(message []byte) []byte {
	if i.section == "" && len(i.path) == 0 {
		return message
	}
	p := parsePart(message).find(i.path)
	if p == nil {
		return nil
	}
	if i.section == "" {
		return p.body
	}
	if i.section == "MIME" {
		return p.header
	}
	if len(i.path) > 0 { // HEADER and TEXT of a part are those of the message in it
		if p = p.message; p == nil {
			return nil
		}
	}
	switch i.section {
	case "HEADER":
		return p.header
	case "TEXT":
		return p.body
	}
	return p.someFields(i.fields, i.section == "HEADER.FIELDS")
}

// someFields returns the header fields with these names, or those without, and an empty line.
func (p *part) someFields(names []string, with bool) []byte {
	var out bytes.Buffer
	for _, f := range p.fields() {
		name, _, _ := bytes.Cut(f, []byte(":"))
		listed := slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, strings.TrimSpace(string(name))) })
		if listed == with {
			out.Write(f)
		}
	}
	out.WriteString("\r\n")
	return out.Bytes()
}
