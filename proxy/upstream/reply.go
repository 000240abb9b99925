package upstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"
)

// maxReply bounds one reply, all lines together: a server must not fill our
// memory. The longest in the wild are EHLO replies of about one KiB.
const maxReply = 64 << 10

var (
	errReplyTooLong   = errors.New("the server's reply is longer than 64 KiB")
	errReplyMalformed = errors.New("the server's reply is malformed")
)

// Reply is a server's answer to one command (RFC 5321 section 4.2).
type Reply struct {
	Code  int
	Lines []string // the text of each line, behind "250-" or "250 "; the enhanced code is part of it
}

// Enhanced gives the enhanced status code at the start of the text (RFC 2034),
// and whether there is one that fits the reply's code.
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

// ok is a 2xx reply.
func (r Reply) ok() bool { return r.Code/100 == 2 }

// answer reports whether the reply decides anything: 2xx, 4xx or 5xx.
func (r Reply) answer() bool { return r.Code/100 != 3 }

// readReply reads one reply of one or more lines. Lines may end in a bare LF;
// control characters become "?", since the text goes on to other programs.
func readReply(r *bufio.Reader) (Reply, error) {
	var reply Reply
	for left := maxReply; ; {
		line, err := readLine(r, left)
		if err != nil {
			return Reply{}, err
		}
		left -= len(line)
		code, last, ok := cutCode(line)
		if !ok || (len(reply.Lines) > 0 && code != reply.Code) {
			return Reply{}, fmt.Errorf("%w: %q", errReplyMalformed, line[:min(len(line), 80)])
		}
		reply.Code = code
		text := ""
		if len(line) > 4 {
			text = printable(line[4:])
		}
		reply.Lines = append(reply.Lines, text)
		if last {
			return reply, nil
		}
	}
}

// cutCode reads the code at the start of a line, and whether it is the last line.
func cutCode(line []byte) (code int, last, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' {
		return 0, false, false
	}
	for _, d := range line[:3] {
		if d < '0' || d > '9' {
			return 0, false, false
		}
		code = code*10 + int(d-'0')
	}
	if len(line) == 3 {
		return code, true, true
	}
	return code, line[3] == ' ', line[3] == ' ' || line[3] == '-'
}

// readLine reads one line of at most limit bytes and cuts its line end off. The
// result is good until the next read.
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
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, nil
}

func printable(text []byte) string {
	return strings.Map(func(r rune) rune {
		if (r < ' ' && r != '\t') || r == 0x7f {
			return '?'
		}
		return r
	}, string(text))
}
