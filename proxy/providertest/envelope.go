package providertest

import (
	"strconv"
	"strings"
)

// transaction is a message that is being received.
type transaction struct {
	open    bool
	failed  bool // a chunk was refused, and only RSET helps (RFC 3030 section 2)
	chunked bool // a chunk was accepted
	utf8    bool
	from    string
	params  string
	size    int64 // as declared; 0 if it was not
	rcpts   []Rcpt
	id      string // once the message is recorded
	sink    sink
}

// mail replies to MAIL.
func (s *session) mail(arg, line string) error {
	s.message++
	if skip, err := s.step(StepMail, line, 0); skip || err != nil {
		return err
	}
	from, params, ok := parsePath("FROM:", arg)
	switch {
	case s.door == doorSTARTTLS:
		return s.mistake(530, "5.7.0 Must issue a STARTTLS command first")
	case !s.greeted:
		return s.mistake(503, "5.5.1 EHLO or HELO first")
	case s.account == "":
		return s.mistake(530, "5.7.0 Authentication required")
	case s.tx.open:
		return s.mistake(503, "5.5.1 Nested MAIL command")
	case !ok:
		return s.mistake(501, "5.5.2 Syntax error, MAIL FROM:<address> expected")
	case from != "" && !validAddress(from):
		return s.reply(553, "5.1.7 The sender address <"+from+"> is not a valid RFC 5321 address")
	}
	t := transaction{open: true, from: from, params: params, sink: s.tx.sink}
	if code, text := s.mailParams(&t); code != 0 {
		return s.reply(code, text)
	}
	if !t.utf8 && !ascii(from) {
		return s.reply(553, "5.6.7 A non-ASCII address needs SMTPUTF8")
	}
	s.tx = t
	s.p.count.transactions.Add(1)
	return s.reply(250, "2.1.0 OK - gsmtp")
}

// mailParams checks the parameters of MAIL: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531),
// RET and ENVID (RFC 3461), AUTH (RFC 4954). The parameters of an extension that is not offered are
// unknown.
func (s *session) mailParams(t *transaction) (code int, text string) {
	o := &s.p.opts
	seen := map[string]bool{}
	for _, p := range splitParams(t.params) {
		key, value, _ := strings.Cut(p, "=")
		key = strings.ToUpper(key)
		good, known := false, s.extended && !seen[key]
		seen[key] = true
		switch key {
		case "SIZE":
			n, err := strconv.ParseInt(value, 10, 64)
			if good = err == nil && n >= 0; good && n > o.MaxSize {
				return 552, "5.3.4 Your message exceeded the size limit of " + strconv.FormatInt(o.MaxSize, 10)
			}
			t.size = n
		case "BODY":
			known = known && !o.No8BitMIME
			good = strings.EqualFold(value, "7BIT") || strings.EqualFold(value, "8BITMIME")
		case "SMTPUTF8":
			known = known && !o.NoUTF8
			good, t.utf8 = value == "", true
		case "RET":
			known = known && !o.NoDSN
			good = strings.EqualFold(value, "FULL") || strings.EqualFold(value, "HDRS")
		case "ENVID":
			known = known && !o.NoDSN
			good = validXtext(value) && len(value) <= 100
		case "AUTH":
			good = value == "<>" || validXtext(value)
		default:
			known = false
		}
		if !known {
			return 555, "5.5.4 Unsupported MAIL parameter " + key
		}
		if !good {
			return 501, "5.5.4 Bad value of MAIL parameter " + key
		}
	}
	return 0, ""
}

// rcpt replies to RCPT.
func (s *session) rcpt(arg, line string) error {
	if skip, err := s.step(StepRcpt, line, 0); skip || err != nil {
		return err
	}
	to, params, ok := parsePath("TO:", arg)
	switch {
	case !s.tx.open:
		return s.mistake(503, "5.5.1 MAIL first")
	case s.tx.failed || s.tx.chunked:
		return s.mistake(503, "5.5.1 The body has begun")
	case !ok:
		return s.mistake(501, "5.5.2 Syntax error, RCPT TO:<address> expected")
	case !validAddress(to) && !strings.EqualFold(to, "postmaster"):
		return s.reply(553, "5.1.3 The recipient address <"+to+"> is not a valid RFC 5321 address")
	case !s.tx.utf8 && !ascii(to):
		return s.reply(553, "5.6.7 A non-ASCII address needs SMTPUTF8")
	case len(s.tx.rcpts) >= s.p.opts.MaxRecipients:
		return s.reply(452, "4.5.3 Too many recipients")
	}
	if code, text := s.rcptParams(params); code != 0 {
		return s.reply(code, text)
	}
	s.tx.rcpts = append(s.tx.rcpts, Rcpt{To: to, Params: params})
	return s.reply(250, "2.1.5 OK - gsmtp")
}

// rcptParams checks the parameters of RCPT: NOTIFY and ORCPT (RFC 3461 section 4).
func (s *session) rcptParams(params string) (code int, text string) {
	seen := map[string]bool{}
	for _, p := range splitParams(params) {
		key, value, _ := strings.Cut(p, "=")
		key = strings.ToUpper(key)
		good, known := false, s.extended && !s.p.opts.NoDSN && !seen[key]
		seen[key] = true
		switch key {
		case "NOTIFY":
			good = validNotify(strings.ToUpper(value))
		case "ORCPT":
			kind, address, found := strings.Cut(value, ";")
			// utf-8-addr-xtext need not be ASCII (RFC 6533 section 3), so its characters are not
			// checked.
			good = found && kind != "" && address != "" &&
				(validXtext(address) || strings.EqualFold(kind, "utf-8") && s.tx.utf8)
		default:
			known = false
		}
		if !known {
			return 555, "5.5.4 Unsupported RCPT parameter " + key
		}
		if !good {
			return 501, "5.5.4 Bad value of RCPT parameter " + key
		}
	}
	return 0, ""
}

// validNotify reports whether v is "NEVER" or a list of the other keywords.
func validNotify(v string) bool {
	if v == "NEVER" {
		return true
	}
	for _, w := range strings.Split(v, ",") {
		if w != "SUCCESS" && w != "FAILURE" && w != "DELAY" {
			return false
		}
	}
	return true
}

// splitParams splits parameters at single spaces. Two spaces in a row give an empty parameter,
// which is unknown.
func splitParams(params string) []string {
	if params == "" {
		return nil
	}
	return strings.Split(params, " ")
}
