package providertest

import (
	"bytes"
	"maps"
	"mime"
	"net/mail"
	"slices"
	"strconv"
	"strings"
)

// part is a message or a part of one. header and body are slices of the message.
type part struct {
	header []byte // with the empty line
	body   []byte
	kind   string // "text"
	sub    string // "plain"
	params map[string]string

	parts   []*part // of a multipart
	message *part   // in a message/rfc822
}

// parsePart parses a message.
func parsePart(b []byte) *part { return parseDepth(b, "text/plain", 0) }

// parseDepth parses a part. Beyond a depth that no real message has, parts are not taken apart.
func parseDepth(b []byte, usual string, depth int) *part {
	p := &part{header: b}
	if bytes.HasPrefix(b, []byte("\r\n")) {
		p.header, p.body = b[:2], b[2:]
	} else if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
		p.header, p.body = b[:i+4], b[i+4:]
	}
	full, params, err := mime.ParseMediaType(p.get("Content-Type"))
	if err != nil && full == "" || !strings.Contains(full, "/") {
		full, params = usual, nil
	}
	p.kind, p.sub, _ = strings.Cut(full, "/")
	if p.params = params; full == "text/plain" && params == nil {
		p.params = map[string]string{"charset": "us-ascii"}
	}
	switch {
	case depth > 20:
	case p.kind == "multipart" && params["boundary"] != "":
		usual := "text/plain"
		if p.sub == "digest" {
			usual = "message/rfc822"
		}
		for _, inner := range split(p.body, params["boundary"]) {
			p.parts = append(p.parts, parseDepth(inner, usual, depth+1))
		}
	case full == "message/rfc822":
		p.message = parseDepth(p.body, "text/plain", depth+1)
	}
	return p
}

// split returns what is between the delimiters of a multipart (RFC 2046 section 5.1.1).
func split(body []byte, boundary string) (parts [][]byte) {
	delimiter := []byte("--" + boundary)
	begin := -1
	for at := 0; at < len(body); {
		end := len(body)
		if i := bytes.Index(body[at:], []byte("\r\n")); i >= 0 {
			end = at + i + 2
		}
		line := bytes.TrimRight(body[at:end], " \t\r\n")
		last := bytes.Equal(line, append(slices.Clone(delimiter), "--"...))
		if last || bytes.Equal(line, delimiter) {
			if begin >= 0 {
				parts = append(parts, body[begin:max(begin, at-2)])
			}
			if begin = end; last {
				return parts
			}
		}
		at = end
	}
	if begin >= 0 {
		parts = append(parts, body[begin:])
	}
	return parts
}

// fields returns the header's fields with their folded lines.
func (p *part) fields() (all [][]byte) {
	for line := range bytes.SplitAfterSeq(p.header, []byte("\r\n")) {
		switch {
		case len(bytes.TrimRight(line, "\r\n")) == 0:
		case (line[0] == ' ' || line[0] == '\t') && len(all) > 0:
			all[len(all)-1] = slices.Concat(all[len(all)-1], line)
		default:
			all = append(all, line)
		}
	}
	return all
}

// get returns the value of the first field with a name, unfolded.
func (p *part) get(name string) string {
	for _, f := range p.fields() {
		key, value, found := strings.Cut(string(f), ":")
		if found && strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.TrimSpace(strings.ReplaceAll(value, "\r\n", ""))
		}
	}
	return ""
}

// find returns the part with a path such as 1.2. In a message that is not a multipart, 1 is its text
// (RFC 3501 section 6.4.5).
func (p *part) find(path []int) *part {
	for i, n := range path {
		if i > 0 && p.message != nil {
			p = p.message
		}
		switch {
		case n >= 1 && n <= len(p.parts):
			p = p.parts[n-1]
		case n != 1 || p.kind == "multipart":
			return nil
		}
	}
	return p
}

// envelope returns the envelope structure (RFC 3501 section 7.4.2).
func (p *part) envelope() string {
	from := p.addresses("From", "NIL")
	return "(" + strings.Join([]string{
		quote(p.get("Date")), quote(p.get("Subject")), from, p.addresses("Sender", from), p.addresses("Reply-To", from),
		p.addresses("To", "NIL"), p.addresses("Cc", "NIL"), p.addresses("Bcc", "NIL"),
		quote(p.get("In-Reply-To")), quote(p.get("Message-ID")),
	}, " ") + ")"
}

// addresses returns a field as an address list, or what to say if there is none.
func (p *part) addresses(name, none string) string {
	list, err := mail.ParseAddressList(p.get(name))
	if err != nil || len(list) == 0 {
		return none
	}
	var out strings.Builder
	for _, a := range list {
		at := strings.LastIndexByte(a.Address, '@')
		out.WriteString("(" + quote(mime.QEncoding.Encode("utf-8", a.Name)) + " NIL " + quote(a.Address[:max(at, 0)]) + " " + quote(a.Address[at+1:]) + ")")
	}
	return "(" + out.String() + ")"
}

// structure returns the body structure (RFC 3501 section 7.4.2), for BODYSTRUCTURE with extension data.
func (p *part) structure(extended bool) string {
	var out []string
	if p.kind == "multipart" && len(p.parts) > 0 {
		inner := ""
		for _, child := range p.parts {
			inner += child.structure(extended)
		}
		out = []string{inner, quoteAlways(p.sub)}
		if extended {
			out = append(out, parameters(p.params), p.disposition(), "NIL", "NIL")
		}
		return "(" + strings.Join(out, " ") + ")"
	}
	encoding := p.get("Content-Transfer-Encoding")
	if encoding == "" {
		encoding = "7BIT"
	}
	lines := strconv.Itoa(bytes.Count(p.body, []byte("\n")))
	out = []string{quoteAlways(p.kind), quoteAlways(p.sub), parameters(p.params), quote(p.get("Content-ID")),
		quote(p.get("Content-Description")), quote(encoding), strconv.Itoa(len(p.body))}
	switch {
	case p.message != nil:
		out = append(out, p.message.envelope(), p.message.structure(extended), lines)
	case p.kind == "text":
		out = append(out, lines)
	}
	if extended {
		out = append(out, "NIL", p.disposition(), "NIL", "NIL")
	}
	return "(" + strings.Join(out, " ") + ")"
}

func (p *part) disposition() string {
	kind, params, err := mime.ParseMediaType(p.get("Content-Disposition"))
	if err != nil || kind == "" {
		return "NIL"
	}
	return "(" + quoteAlways(kind) + " " + parameters(params) + ")"
}

// parameters returns a parameter list.
func parameters(params map[string]string) string {
	if len(params) == 0 {
		return "NIL"
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(params)) {
		out = append(out, quoteAlways(key), quoteAlways(params[key]))
	}
	return "(" + strings.Join(out, " ") + ")"
}
