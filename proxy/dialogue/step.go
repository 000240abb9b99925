package dialogue

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

var operations = []string{
	"->", ".>", "~>", "<-", "<~", "<...", "closed", "starttls", "tcp_connect", "tls_connect",
	"half_close", "close", "wait", "within", "sleep", "check",
}

// parseStep reads "[NAME] OPERATION [TEXT]".
func parseStep(line string) (s step, err error) {
	word, rest, _ := strings.Cut(line, " ")
	if !slices.Contains(operations, word) {
		s.conn = word
		word, rest, _ = strings.Cut(rest, " ")
	}
	s.op = word
	switch word {
	case "->", ".>", "<-":
		s.text = rest
	case "~>":
		s.text, err = evaluate(rest)
	case "<~", "<...":
		s.text = rest
		s.match, err = regexp.Compile(`^(?:` + rest + `)`)
	case "closed", "starttls", "half_close", "close":
		if rest != "" {
			err = fmt.Errorf("unexpected %q after %s", rest, word)
		}
	case "tcp_connect", "tls_connect": // other suites have an address here; the Player knows its own
	case "check":
		if s.text = strings.TrimSpace(rest); s.text == "" {
			err = errors.New("check needs something to check")
		}
	case "wait", "within":
		s.time, err = positive(time.ParseDuration(strings.TrimSpace(rest)))
	case "sleep": // chasquid's wait, in seconds
		s.op = "wait"
		s.time, err = positive(time.ParseDuration(strings.TrimSpace(rest) + "s"))
	default:
		err = fmt.Errorf("%q is not a step of a dialogue", line)
	}
	return s, err
}

func positive(d time.Duration, err error) (time.Duration, error) {
	if err == nil && d <= 0 {
		err = fmt.Errorf("%s is not a time to wait", d)
	}
	return d, err
}
