package providertest

// imapCommand is a command that needs a login.
type imapCommand struct {
	run      func(*imapSession, *scanner) error
	selected bool // it needs a selected folder too
	free     bool // it is called without mailroom.mu, which it takes where it needs it
}

var imapCommands = map[string]imapCommand{
	"ENABLE":      {run: (*imapSession).enable},
	"NAMESPACE":   {run: (*imapSession).namespace},
	"LIST":        {run: func(s *imapSession, c *scanner) error { return s.list(c, "LIST") }},
	"LSUB":        {run: func(s *imapSession, c *scanner) error { return s.list(c, "LSUB") }},
	"SUBSCRIBE":   {run: func(s *imapSession, c *scanner) error { return s.subscribe(c, true) }},
	"UNSUBSCRIBE": {run: func(s *imapSession, c *scanner) error { return s.subscribe(c, false) }},
	"STATUS":      {run: (*imapSession).status},
	"SELECT":      {run: func(s *imapSession, c *scanner) error { return s.choose(c, false) }},
	"EXAMINE":     {run: func(s *imapSession, c *scanner) error { return s.choose(c, true) }},
	"CREATE":      {run: (*imapSession).create},
	"DELETE":      {run: (*imapSession).delete},
	"RENAME":      {run: (*imapSession).rename},
	"APPEND":      {run: (*imapSession).append},
	"COMPRESS":    {run: (*imapSession).compress, free: true},
	"IDLE":        {run: (*imapSession).idling, free: true},
	"CHECK":       {run: (*imapSession).noop, selected: true, free: true},
	"CLOSE":       {run: func(s *imapSession, c *scanner) error { return s.unselect(c, true) }, selected: true},
	"UNSELECT":    {run: func(s *imapSession, c *scanner) error { return s.unselect(c, false) }, selected: true},
	"EXPUNGE":     {run: func(s *imapSession, c *scanner) error { return s.expunge(c, false) }, selected: true},
	"FETCH":       {run: func(s *imapSession, c *scanner) error { return s.fetch(c, false) }, selected: true, free: true},
	"STORE":       {run: func(s *imapSession, c *scanner) error { return s.store(c, false) }, selected: true},
	"COPY":        {run: func(s *imapSession, c *scanner) error { return s.copy(c, false, false) }, selected: true},
	"MOVE":        {run: func(s *imapSession, c *scanner) error { return s.copy(c, false, true) }, selected: true},
	"SEARCH":      {run: func(s *imapSession, c *scanner) error { return s.search(c, false) }, selected: true},
	"UID EXPUNGE": {run: func(s *imapSession, c *scanner) error { return s.expunge(c, true) }, selected: true},
	"UID FETCH":   {run: func(s *imapSession, c *scanner) error { return s.fetch(c, true) }, selected: true, free: true},
	"UID STORE":   {run: func(s *imapSession, c *scanner) error { return s.store(c, true) }, selected: true},
	"UID COPY":    {run: func(s *imapSession, c *scanner) error { return s.copy(c, true, false) }, selected: true},
	"UID MOVE":    {run: func(s *imapSession, c *scanner) error { return s.copy(c, true, true) }, selected: true},
	"UID SEARCH":  {run: func(s *imapSession, c *scanner) error { return s.search(c, true) }, selected: true},
}

// dispatch responds to a command.
func (s *imapSession) dispatch(verb string, c *scanner) error {
	switch verb {
	case "CAPABILITY":
		s.text("* CAPABILITY " + s.capabilities())
		return s.answer("OK CAPABILITY completed")
	case "NOOP":
		return s.noop(c)
	case "ID":
		s.text(`* ID ("name" "providertest")`)
		return s.answer("OK ID completed")
	case "LOGOUT":
		s.text("* BYE Logging out")
		s.answer("OK LOGOUT completed")
		return errEnd
	case "STARTTLS":
		return s.upgrade(c)
	}
	if s.account == "" {
		return s.beforeLogin(verb, c)
	}
	if verb == "UID" {
		c.space()
		verb += " " + c.word()
	}
	command, ok := imapCommands[verb]
	switch {
	case !ok:
		return s.bad("Unknown command")
	case command.selected && s.folder == nil:
		return s.bad("No folder is selected")
	}
	if !command.free {
		s.p.mailroom.mu.Lock()
		defer s.p.mailroom.mu.Unlock()
	}
	return command.run(s, c)
}

// beforeLogin responds to the commands that only work before the login.
func (s *imapSession) beforeLogin(verb string, c *scanner) error {
	switch verb {
	case "AUTHENTICATE":
		return s.authenticate(c)
	case "LOGIN":
		s.mechanism = "LOGIN"
		s.text(s.tag + " NO [ALERT] Passwords are not accepted here: use OAuth 2.0")
		return s.refused()
	}
	return s.bad("Log in first")
}

// upgrade responds to STARTTLS. What was sent in clear text after it is thrown away (RFC 3501 section
// 6.2.1).
func (s *imapSession) upgrade(c *scanner) error {
	if skip, err := s.step(StepSTARTTLS, "", 0); skip || err != nil {
		return err
	}
	if s.door != doorSTARTTLS || !c.done() {
		return s.bad("STARTTLS is not possible here")
	}
	s.answer("OK Begin TLS negotiation now")
	if err := s.flush(); err != nil {
		return err
	}
	s.discard()
	return s.handshake()
}

// noop responds to NOOP and CHECK.
func (s *imapSession) noop(*scanner) error {
	if s.folder != nil {
		s.p.mailroom.mu.Lock()
		s.news(true)
		s.p.mailroom.mu.Unlock()
	}
	return s.answer("OK Completed")
}

func (s *imapSession) enable(c *scanner) error {
	s.text("* ENABLED")
	return s.answer("OK ENABLE completed")
}

func (s *imapSession) namespace(*scanner) error {
	s.text(`* NAMESPACE (("" "/")) NIL NIL`)
	return s.answer("OK NAMESPACE completed")
}

// compress responds to COMPRESS (RFC 4978).
func (s *imapSession) compress(c *scanner) error {
	if c.expect(" DEFLATE"); !c.done() || s.compressed {
		return s.bad("COMPRESS DEFLATE is expected, once")
	}
	s.answer("OK DEFLATE active")
	if err := s.flush(); err != nil {
		return err
	}
	s.compressed = true
	s.replace(newDeflated(s.conn))
	return nil
}
