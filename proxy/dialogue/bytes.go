package dialogue

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const mostBytes = 64 << 20 // in one step

// evaluate reads the bytes of a ~> line. The grammar is the part of Python's that chasquid's
// dialogues use, and b64:
//
//	sum     = product { "+" product }
//	product = value { "*" number }
//	value   = string | "(" sum ")" | "b64(" sum ")"
func evaluate(text string) (string, error) {
	e := expression{strings.TrimSpace(text)}
	value, err := e.sum()
	if err == nil && e.rest != "" {
		err = fmt.Errorf("the bytes to send end before %q", e.rest)
	}
	return value, err
}

// expression is what has not been read yet. It never begins with a blank.
type expression struct{ rest string }

func (e *expression) take(token string) bool {
	rest, ok := strings.CutPrefix(e.rest, token)
	if ok {
		e.rest = strings.TrimLeft(rest, " ")
	}
	return ok
}

func (e *expression) sum() (string, error) {
	value, err := e.product()
	for err == nil && e.take("+") {
		var more string
		more, err = e.product()
		value += more
	}
	return value, err
}

func (e *expression) product() (string, error) {
	value, err := e.value()
	for err == nil && e.take("*") {
		digits := len(e.rest) - len(strings.TrimLeft(e.rest, "0123456789"))
		n, err := strconv.Atoi(e.rest[:digits])
		if err != nil {
			return "", fmt.Errorf("how often to repeat a string: %w", err)
		}
		if n > mostBytes/max(1, len(value)) {
			return "", fmt.Errorf("the bytes to send are more than %d", mostBytes)
		}
		value = strings.Repeat(value, n)
		e.take(e.rest[:digits])
	}
	return value, err
}

func (e *expression) value() (string, error) {
	encoded := e.take("b64(")
	switch {
	case encoded || e.take("("):
		value, err := e.sum()
		if err == nil && !e.take(")") {
			err = fmt.Errorf("a closing parenthesis is missing before %q", e.rest)
		}
		if encoded {
			value = base64.StdEncoding.EncodeToString([]byte(value))
		}
		return value, err
	case strings.HasPrefix(e.rest, "'"), strings.HasPrefix(e.rest, `"`):
		return e.quoted()
	}
	return "", fmt.Errorf(`the bytes to send are a string such as 'NOOP\r\n', not %q`, e.rest)
}

// quoted reads a string up to the quote it began with.
func (e *expression) quoted() (string, error) {
	quote := e.rest[0]
	var b strings.Builder
	for s := e.rest[1:]; s != ""; {
		if s[0] == quote {
			e.rest = strings.TrimLeft(s[1:], " ")
			return b.String(), nil
		}
		n := 1
		c := s[0]
		if c == '\\' {
			var err error
			if c, n, err = unescape(s); err != nil {
				return "", err
			}
		}
		b.WriteByte(c)
		s = s[n:]
	}
	return "", errors.New("the closing quote of a string is missing")
}

// unescape reads the escape at the beginning of s, and how long it is.
func unescape(s string) (c byte, length int, err error) {
	if len(s) < 2 {
		return 0, 0, errors.New("a backslash has nothing after it")
	}
	if s[1] == 'x' && len(s) >= 4 {
		n, err := strconv.ParseUint(s[2:4], 16, 8)
		if err == nil {
			return byte(n), 4, nil
		}
	}
	from, to := `rnt0\'"`, "\r\n\t\x00\\'\""
	if i := strings.IndexByte(from, s[1]); i >= 0 {
		return to[i], 2, nil
	}
	return 0, 0, fmt.Errorf("the escape %q is not known", s[:2])
}
