package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// maxHeader is the longest header that is read, in bytes; providers accept far shorter ones.
const maxHeader = 1 << 20

// message is a message as it comes from a program: its header in memory, its body not read yet.
type message struct {
	added  []byte // fields that were missing; they stand first
	fields []field
	noGap  bool      // the body does not begin with the empty line that ends a header
	body   io.Reader // everything after the fields, an empty line first
}

// field is one field of the header, with its continuation lines and line ends, unchanged.
type field struct {
	name string // as it is written
	text []byte
}

// readMessage reads the header. dotEnds says that a line with a dot alone ends the message. What does
// not begin with a header is all body.
func readMessage(in io.Reader, dotEnds bool) (*message, error) {
	lines := bufio.NewReaderSize(in, 64<<10)
	var body io.Reader = lines
	if dotEnds {
		body = &untilDot{lines: lines, atStart: true}
	}
	r := bufio.NewReaderSize(body, 64<<10)
	msg := &message{}
	for size := 0; ; {
		line, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, errors.New("the message's header has a line of more than 64 KiB")
		case err != nil && !errors.Is(err, io.EOF):
			return nil, fmt.Errorf("read the message: %w", err)
		case len(line) == 0:
			msg.body = r
			return msg, nil
		}
		line = bytes.Clone(line)
		if size += len(line); size > maxHeader {
			return nil, fmt.Errorf("the message's header is larger than %d KiB", maxHeader>>10)
		}
		switch name, ok := fieldName(line); {
		case ok:
			msg.fields = append(msg.fields, field{name, line})
		case len(msg.fields) > 0 && (line[0] == ' ' || line[0] == '\t'):
			last := &msg.fields[len(msg.fields)-1]
			last.text = append(last.text, line...)
		case len(msg.fields) == 0 && bytes.HasPrefix(line, []byte("From ")): // of an mbox, no part of the message
		default:
			msg.noGap = len(bytes.TrimRight(line, "\r\n")) > 0
			msg.body = io.MultiReader(bytes.NewReader(line), r)
			return msg, nil
		}
	}
}

// addMissing adds From, Date and Message-ID where the message lacks them, as other programs called
// sendmail do (RFC 5322 section 3.6: the first two must be there, the third should). A message that is
// passed on gets those that say who passes it on, and keeps its own as they are (section 3.6.6).
func (m *message) addMissing(from mail.Address, now time.Time) {
	prefix := ""
	if slices.ContainsFunc(m.fields, func(f field) bool { return len(f.name) > 7 && strings.EqualFold(f.name[:7], "Resent-") }) {
		prefix = "Resent-"
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	for _, f := range [][2]string{
		{"From", from.String()},
		{"Date", now.Format(time.RFC1123Z)},
		{"Message-ID", "<" + strings.ToLower(rand.Text()) + "@" + domain + ">"},
	} {
		if name := prefix + f[0]; !m.has(name) {
			m.added = fmt.Appendf(m.added, "%s: %s\r\n", name, f[1])
		}
	}
}

func (m *message) has(name string) bool {
	return slices.ContainsFunc(m.fields, func(f field) bool { return strings.EqualFold(f.name, name) })
}

// fieldName is the name of the field that a line begins (RFC 5322 section 2.2).
func fieldName(line []byte) (string, bool) {
	name, _, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t") // obsolete, section 4.5.8
	if !ok || len(name) == 0 {
		return "", false
	}
	for _, b := range name {
		if b <= ' ' || b >= 0x7f {
			return "", false
		}
	}
	return string(name), true
}

// WriteTo writes the message without Bcc, with the fields that were missing and the end of its header,
// and otherwise as it came.
func (m *message) WriteTo(w io.Writer) (n int64, err error) {
	parts := []field{{text: m.added}}
	parts = append(parts, m.fields...)
	if m.noGap {
		parts = append(parts, field{text: []byte("\r\n")})
	}
	for _, f := range parts {
		if strings.EqualFold(f.name, "Bcc") || strings.EqualFold(f.name, "Resent-Bcc") {
			continue
		}
		k, err := w.Write(f.text)
		if n += int64(k); err != nil {
			return n, err
		}
	}
	k, err := io.Copy(w, m.body)
	return n + k, err
}

// values are the values of a field, unfolded.
func (m *message) values(name string) (all []string) {
	for _, f := range m.fields {
		if strings.EqualFold(f.name, name) {
			_, value, _ := bytes.Cut(f.text, []byte(":"))
			all = append(all, strings.TrimSpace(strings.NewReplacer("\r\n", "", "\n", "").Replace(string(value))))
		}
	}
	return all
}

// from is the address in From, "" if there is none.
func (m *message) from() string {
	for _, value := range m.values("From") {
		if list, err := addresses822(value); err == nil && len(list) > 0 {
			return list[0]
		}
	}
	return ""
}

// recipients are the addresses in To, Cc and Bcc, or of a message that is passed on in Resent-To and
// so on (RFC 5322 section 3.6.6), each of them once.
func (m *message) recipients() (all []string, err error) {
	for _, prefix := range []string{"Resent-", ""} {
		seen := map[string]bool{}
		for _, name := range []string{"To", "Cc", "Bcc"} {
			for _, value := range m.values(prefix + name) {
				list, err := addresses822(value)
				if err != nil {
					return nil, fmt.Errorf("%s%s in the message: %w", prefix, name, err)
				}
				for _, address := range list {
					if !seen[address] {
						seen[address] = true
						all = append(all, address)
					}
				}
			}
		}
		if len(all) > 0 {
			break
		}
	}
	return all, nil
}

// addresses822 reads a list of addresses. Programs on the same computer also write names alone.
func addresses822(value string) (all []string, err error) {
	if strings.TrimSpace(value) == "" {
		return nil, nil
	}
	parser := mail.AddressParser{WordDecoder: &mime.WordDecoder{CharsetReader: func(_ string, in io.Reader) (io.Reader, error) { return in, nil }}}
	list, err := parser.ParseList(value)
	if err == nil {
		for _, a := range list {
			all = append(all, a.Address)
		}
		return all, nil
	}
	for part := range strings.SplitSeq(value, ",") {
		part, _, _ = strings.Cut(strings.TrimSpace(part), " (") // root (Cron Daemon)
		a, perr := parser.Parse(part)
		switch {
		case perr == nil:
			all = append(all, a.Address)
		case part == "":
		case !strings.ContainsAny(part, " @<>\"()[]:;\\"):
			all = append(all, part)
		default:
			return nil, fmt.Errorf("%q is not a list of addresses: %w", value, err)
		}
	}
	return all, nil
}

// untilDot ends at a line with a dot alone.
type untilDot struct {
	lines   *bufio.Reader
	left    []byte
	atStart bool // of a line
	ended   bool
}

func (u *untilDot) Read(p []byte) (int, error) {
	for len(u.left) == 0 {
		if u.ended {
			return 0, io.EOF
		}
		line, err := u.lines.ReadSlice('\n')
		if u.atStart && (string(line) == ".\n" || string(line) == ".\r\n" || string(line) == "." && errors.Is(err, io.EOF)) {
			u.ended = true
			continue
		}
		u.left, u.atStart = line, err == nil
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if len(line) == 0 || !errors.Is(err, io.EOF) {
				return 0, err
			}
			u.ended = true
		}
	}
	n := copy(p, u.left)
	u.left = u.left[n:]
	return n, nil
}
