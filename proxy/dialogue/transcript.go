package dialogue

import (
	"fmt"
	"strings"
)

// isTranscript reports whether text is what swaks prints, as opposed to a file of our own.
func isTranscript(text string) bool {
	return strings.HasPrefix(text, "=== ") || strings.Contains(text, "\n=== ")
}

// transcript reads what swaks prints (swaks(1), section TRANSCRIPT OPTIONS). The first three
// characters of a line say what the rest is.
type transcript struct {
	connected bool // but nothing has been sent or received yet, so this may become implicit TLS
}

func (t *transcript) line(line string) ([]step, error) {
	if strings.TrimSpace(line) == "" {
		return nil, nil
	}
	hint, text := line, ""
	if len(line) > 3 {
		hint, text = line[:3], strings.TrimPrefix(line[3:], " ")
	}
	switch hint {
	case " ->", " ~>", "**>", "*~>":
		return t.said(step{op: "->", text: text}), nil
	case "<- ", "<~ ", "<**", "<~*", "<-", "<~":
		return t.said(step{op: "<-", text: text}), nil
	case "===":
		return t.event(text), nil
	case "***": // of swaks's own errors only this one is part of the dialogue
		if strings.Contains(text, "closed connection") {
			return t.said(step{op: "closed"}), nil
		}
		return nil, nil
	case "  >", "<  ": // --show-raw-text shows the same bytes once more
		return nil, nil
	}
	return nil, fmt.Errorf("%q is not a line of a swaks transcript", line)
}

// said adds the opening of the connection before the first line that is sent or received on it.
func (t *transcript) said(s step) []step {
	if t.connected {
		t.connected = false
		return []step{{op: "tcp_connect"}, s}
	}
	return []step{s}
}

// event reads an informational line.
func (t *transcript) event(text string) []step {
	switch {
	case strings.HasPrefix(text, "Connected to"):
		t.connected = true
	case strings.HasPrefix(text, "TLS started") && t.connected:
		t.connected = false
		return []step{{op: "tls_connect"}}
	case strings.HasPrefix(text, "TLS started"):
		return []step{{op: "starttls"}}
	}
	return nil
}
