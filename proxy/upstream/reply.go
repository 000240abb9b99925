package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/foreign"
)

// maxReply bounds one reply, all its lines together, so that a server cannot fill our memory. The
// longest in the wild are EHLO replies of about one KiB.
const maxReply = 64 << 10

var errReplyTooLong = errors.New("the server's reply is longer than 64 KiB")

// Reply is a server's answer to one command (RFC 5321 section 4.2).
type Reply struct {
	Code  int
	Lines []string // the text of each line after "250-" or "250 ", the enhanced code included
}

// Enhanced gives the enhanced status code at the start of the text (RFC 2034), and whether there is
// one that fits the reply's code.
func (r Reply) Enhanced() (smtp.EnhancedCode, bool) {
	var e smtp.EnhancedCode
	if len(r.Lines) == 0 {
		return e, false
	}
	word, _, _ := strings.Cut(r.Lines[0], " ")
	parts := strings.Split(word, ".")
	if len(parts) != len(e) {
		return e, false
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || len(p) > 3 {
			return smtp.EnhancedCode{}, false
		}
		e[i] = int(n)
	}
	if e[0] != r.Code/100 {
		return smtp.EnhancedCode{}, false
	}
	return e, true
}

// String is the reply on one line, for logs.
func (r Reply) String() string {
	return strings.TrimSpace(strconv.Itoa(r.Code) + " " + strings.Join(r.Lines, " / "))
}

// ok reports whether the reply is a success, 2xx.
func (r Reply) ok() bool { return r.Code/100 == 2 }

// answer reports whether the reply decides anything: 2xx, 4xx or 5xx.
func (r Reply) answer() bool { return r.Code/100 != 3 }

// refusal reports whether the reply is 4xx or 5xx.
func (r Reply) refusal() bool { return r.Code >= 400 }

// readReply reads one reply of one or more lines. Where a server breaks the grammar of RFC 5321
// section 4.2 but leaves no doubt about the code, the reply keeps its meaning:
//
//   - lines end with LF, with or without CRs before it, and blank lines before a reply are skipped;
//   - where the lines have different codes, the last line decides: Postfix's postscreen greets with
//     "220-" before its "521 ";
//   - a line without a code inside a reply is a line of its text;
//   - a line that nothing follows is the last one where it has the reply's code and another separator
//     ("250OK"), or is a challenge ("334-"), which has one line (RFC 4954 section 4). quiet waits for
//     what may follow, and reports that nothing does; nil goes by what has been read.
//
// An error comes with what was read before it, since a refusal that breaks off is one. Control
// characters in the text become "?", because the text goes on to other programs.
func readReply(r *bufio.Reader, quiet func() bool) (Reply, error) {
	var reply Reply
	for left := maxReply; ; {
		line, err := readLine(r, left)
		left -= len(line) + 1
		code, text, last := cutCode(line, reply.Code != 0)
		switch {
		case code != 0:
			reply.Code = code
		case err != nil && len(line) == 0:
			return reply, err
		case reply.Code == 0 && len(line) == 0:
			continue
		case reply.Code == 0 && err != nil:
			return Reply{}, err
		case reply.Code == 0:
			return Reply{}, &NotSMTPError{foreign.Printable(line[:min(len(line), 80)])}
		}
		if !last && err == nil && r.Buffered() == 0 {
			if whole, odd := cutLast(line, reply.Code, text); odd {
				text, last = bytes.Clone(whole), quiet == nil || quiet() // which overwrites line
			}
		}
		reply.Lines = append(reply.Lines, foreign.Printable(text))
		if last && (err == nil || len(line) > 3) { // of "250" alone the "-" may still have been to come
			return reply, nil
		}
		if err != nil {
			return reply, err
		}
	}
}

// cutCode splits a line into its code, 0 for none, and its text, and reports whether it is the last
// line of its reply. inside means that it is not the first: then it may be text that happens to
// begin with a number.
func cutCode(line []byte, inside bool) (code int, text []byte, last bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' {
		return 0, line, false
	}
	for _, d := range line[:3] {
		if d < '0' || d > '9' {
			return 0, line, false
		}
		code = code*10 + int(d-'0')
	}
	if len(line) == 3 {
		return code, nil, true
	}
	switch next := line[3]; {
	case next == '-':
		return code, line[4:], false
	case next == ' ' || next == '\t':
		return code, line[4:], true
	case inside || next >= '0' && next <= '9':
		return 0, line, false
	}
	return code, line[3:], true
}

// cutLast judges a line that does not say that it is the last of its reply, and that nothing follows.
// text is what cutCode has made of it.
func cutLast(line []byte, code int, text []byte) ([]byte, bool) {
	odd := len(line) > 3 && line[3] != '-' && (line[3] < '0' || line[3] > '9') && string(line[:3]) == strconv.Itoa(code)
	if odd {
		return line[3:], true
	}
	return text, code == 334
}

// readLine reads one line of at most limit bytes and cuts its line end off. The result is good until
// the next read. An error comes with the part of a line that was read before it.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		var long []byte
		for errors.Is(err, bufio.ErrBufferFull) && len(long)+len(line) <= limit {
			long = append(long, line...)
			line, err = r.ReadSlice('\n')
		}
		line = append(long, line...)
	}
	switch {
	case len(line) > limit:
		return nil, errReplyTooLong
	case errors.Is(err, io.EOF) && len(line) > 0:
		err = io.ErrUnexpectedEOF
	case err == nil:
		line = line[:len(line)-1]
	}
	return bytes.TrimRight(line, "\r"), err
}
