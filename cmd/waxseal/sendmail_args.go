package main

import (
	"fmt"
	"os/user"
	"strings"
)

// sendmailCall is how sendmail was called.
type sendmailCall struct {
	from       string // of -f; may be no account
	name       string // of -F: the sender's, for a message without From
	null       bool   // -f '<>': the sender of reports (RFC 5321 section 4.5.5)
	to         []string
	fromHeader bool // -t
	dotEnds    bool // a dot alone on a line ends the message: no -i
	mode       byte // of -b; 0 is the default
	config     string
	help       bool
}

// withValue are the options of sendmail, Postfix and Exim that take a value, in the same argument or
// in the next one. The others stand alone or have it in the same argument.
const withValue = "BCFLNOQRVXfhopr"

// attached are options whose value, if there is one, is in the same argument: -bm, -em, -oi, -q30m.
const attached = "Abdeoq"

// readSendmailArgs reads the arguments of sendmail: letters that may be joined, and Waxseal's own
// --config.
func readSendmailArgs(args []string) (c sendmailCall, err error) {
	c.dotEnds = true
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, value, hasValue := strings.Cut(arg, "=")
		switch {
		case arg == "--":
			c.to = append(c.to, args...)
			return c, nil
		case arg == "--help":
			c.help = true
			return c, nil
		case name == "--config":
			if !hasValue && len(args) > 0 {
				value, args = args[0], args[1:]
			}
			c.config = value
		case strings.HasPrefix(arg, "--"):
			return c, fmt.Errorf("unknown option %s", arg)
		case len(arg) > 1 && arg[0] == '-':
			if args, err = c.letters(arg[1:], args); err != nil {
				return c, err
			}
		default:
			c.to = append(c.to, arg)
		}
	}
	return c, nil
}

// letters reads one argument of options, and the next one if the last of them needs it.
func (c *sendmailCall) letters(letters string, rest []string) ([]string, error) {
	for letters != "" {
		letter := letters[0]
		value := letters[1:]
		letters = value
		switch {
		case strings.IndexByte(attached, letter) >= 0 && (value != "" || letter != 'o'):
			letters = ""
		case strings.IndexByte(withValue, letter) >= 0:
			letters = ""
			if value == "" {
				if len(rest) == 0 {
					return nil, fmt.Errorf("option -%c needs a value", letter)
				}
				value, rest = rest[0], rest[1:]
			}
		}
		c.set(letter, value)
	}
	return rest, nil
}

func (c *sendmailCall) set(letter byte, value string) {
	switch letter {
	case 't':
		c.fromHeader = true
	case 'i':
		c.dotEnds = false
	case 'o':
		if value == "i" {
			c.dotEnds = false
		}
	case 'b':
		if value != "" {
			c.mode = value[0]
		}
	case 'F':
		c.name = value
	case 'f', 'r':
		c.from = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(value), "<"), ">")
		c.null = c.from == ""
	}
}

// inFull gives the names that programs of this computer write to, such as cron, the account's own
// address: there is no mailbox here that they could mean.
func inFull(to []string, account string) []string {
	local := []string{"root", "postmaster"}
	if u, err := user.Current(); err == nil {
		local = append(local, u.Username)
	}
	full := make([]string, 0, len(to))
	for _, address := range to {
		address = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(address), "<"), ">")
		for _, name := range local {
			if strings.EqualFold(address, name) {
				address = account
			}
		}
		full = append(full, address)
	}
	return full
}
