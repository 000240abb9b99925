// Package envelope reads what MAIL and RCPT say: the address in its brackets and the
// parameters after it (RFC 5321 section 4.1.2, RFC 6531, and the extensions' own RFCs).
//
// What is not a mailbox is refused and never turned into one: a message that goes to
// another address than was meant is worse than one that is not sent. Each refusal has
// its enhanced code and words for people.
package envelope

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-smtp"
)

// go-smtp's own reading of MAIL and RCPT turns some addresses into others and refuses parameters
// that are right. Sessions therefore read the raw line, here, and go-smtp sees a line that only
// moves its state.

// mailFrom reads what follows MAIL: the sender as it stands on the wire, "" for the null sender, and
// the parameters into opts.
func Mail(arg string, opts *smtp.MailOptions) (from string, refusal *smtp.SMTPError) {
	path, ok := cutFold(arg, "FROM:")
	if !ok {
		return "", refuse(501, "5.5.2", "MAIL takes the form MAIL FROM:<address>")
	}
	from, rest, err := cutPath(path)
	if err == nil && strings.EqualFold(from, postmaster) {
		err = errNoDomain // only a recipient may be without
	}
	if err != nil {
		return "", refuse(501, "5.1.7", "The sender's address "+err.Error())
	}
	return from, parameters("MAIL", rest, func(key, value string, given bool) *smtp.SMTPError {
		return mailParameter(opts, key, value, given)
	})
}

// rcptTo reads what follows RCPT, like mailFrom.
func Rcpt(arg string, opts *smtp.RcptOptions) (to string, refusal *smtp.SMTPError) {
	path, ok := cutFold(arg, "TO:")
	if !ok {
		return "", refuse(501, "5.5.2", "RCPT takes the form RCPT TO:<address>")
	}
	to, rest, err := cutPath(path)
	if err == nil && to == "" {
		err = errNoAddress
	}
	if err != nil {
		return "", refuse(501, "5.1.3", "The recipient's address "+err.Error())
	}
	return to, parameters("RCPT", rest, func(key, value string, _ bool) *smtp.SMTPError {
		return rcptParameter(opts, key, value)
	})
}

func cutFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// parameters gives each parameter (RFC 5321 section 4.1.1.11) to set, its keyword in capitals; given
// says that it has a value, which may be empty.
func parameters(command, s string, set func(key, value string, given bool) *smtp.SMTPError) *smtp.SMTPError {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return refuse(501, "5.5.4", "A parameter of "+command+" holds a control character")
	}
	fields := strings.Fields(s)
	for i, field := range fields {
		key, value, given := strings.Cut(field, "=")
		if slices.ContainsFunc(fields[:i], func(other string) bool {
			other, _, _ = strings.Cut(other, "=")
			return strings.EqualFold(other, key)
		}) {
			return refuse(501, "5.5.4", "A parameter of "+command+" is given twice")
		}
		if strings.Contains(value, "=") {
			return malformed(key)
		}
		if refusal := set(strings.ToUpper(key), value, given); refusal != nil {
			return refusal
		}
	}
	return nil
}

// malformed refuses a parameter that is known. key is one that the client sent, so it is only shown
// where it is a keyword.
func malformed(key string) *smtp.SMTPError {
	if strings.ContainsFunc(key, func(r rune) bool { return r >= utf8.RuneSelf || !isAlnum(byte(r)) && r != '-' }) {
		key = "a parameter"
	}
	return refuse(501, "5.5.4", "The value of "+strings.ToUpper(key)+" is malformed")
}

// mailParameter is one parameter of MAIL.
func mailParameter(opts *smtp.MailOptions, key, value string, given bool) *smtp.SMTPError {
	ok := true
	switch key {
	case "SIZE":
		opts.Size, ok = messageSize(value)
	case "BODY":
		switch opts.Body = smtp.BodyType(strings.ToUpper(value)); opts.Body {
		case smtp.Body7Bit, smtp.Body8BitMIME:
		case smtp.BodyBinaryMIME:
			return refuse(504, "5.5.4", "BINARYMIME is not offered")
		default:
			ok = false
		}
	case "SMTPUTF8":
		opts.UTF8, ok = true, !given // RFC 6531 section 3.4
	case "RET":
		opts.Return = smtp.DSNReturn(strings.ToUpper(value))
		ok = opts.Return == smtp.DSNReturnFull || opts.Return == smtp.DSNReturnHeaders
	case "ENVID": // may be empty (RFC 3461 section 4.4); it then says nothing, and does not go up
		opts.EnvelopeID, ok = decodeXtext(value)
	case "AUTH":
		opts.Auth, ok = authParameter(value)
	case "REQUIRETLS":
		return refuse(504, "5.5.4", "REQUIRETLS is not offered")
	default:
		return refuse(555, "5.5.4", "Unknown MAIL parameter")
	}
	if !ok {
		return malformed(key)
	}
	return nil
}

// messageSize reads the value of SIZE, which has up to 20 digits (RFC 1870 section 4). More than an
// int64 holds is as much as one holds: too much for any provider.
func messageSize(value string) (int64, bool) {
	if value == "" || len(value) > 20 || strings.Trim(value, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		n = math.MaxInt64
	}
	return n, true
}

// authParameter reads the value of AUTH (RFC 4954 section 5): a mailbox, or "<>" for nobody.
func authParameter(value string) (who *string, ok bool) {
	address, ok := decodeXtext(value)
	if !ok {
		return nil, false
	}
	if address == "<>" {
		address = ""
		return &address, true
	}
	n, err := mailboxLen(address)
	return &address, err == nil && n == len(address) && n <= MaxAddress
}

// rcptParameter is one parameter of RCPT.
func rcptParameter(opts *smtp.RcptOptions, key, value string) *smtp.SMTPError {
	ok := true
	switch key {
	case "NOTIFY":
		opts.Notify, ok = notify(value)
	case "ORCPT":
		kind, address, _ := strings.Cut(value, ";")
		switch opts.OriginalRecipientType = smtp.DSNAddressType(strings.ToUpper(kind)); opts.OriginalRecipientType {
		case smtp.DSNAddressTypeRFC822:
			opts.OriginalRecipient, ok = decodeXtext(address)
		case smtp.DSNAddressTypeUTF8:
			opts.OriginalRecipient, ok = decodeUnitext(address)
		default:
			ok = false
		}
		ok = ok && address != ""
	default:
		return refuse(555, "5.5.4", "Unknown RCPT parameter; RCPT takes one address")
	}
	if !ok {
		return malformed(key)
	}
	return nil
}

// notify reads the value of NOTIFY (RFC 3461 section 4.1): NEVER, or any of the others.
func notify(value string) (list []smtp.DSNNotify, ok bool) {
	for word := range strings.SplitSeq(strings.ToUpper(value), ",") {
		n := smtp.DSNNotify(word)
		switch n {
		case smtp.DSNNotifyNever, smtp.DSNNotifyDelayed, smtp.DSNNotifyFailure, smtp.DSNNotifySuccess:
		default:
			return nil, false
		}
		if slices.Contains(list, n) {
			return nil, false
		}
		list = append(list, n)
	}
	return list, len(list) == 1 || !slices.Contains(list, smtp.DSNNotifyNever)
}

// decodeXtext decodes a value (RFC 3461 section 4): "+" and two capital hex digits stand for a byte.
// What decodes to anything but printable ASCII is refused.
func decodeXtext(value string) (text string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c == '+' {
			if i+2 >= len(value) {
				return "", false
			}
			n, err := strconv.ParseUint(value[i+1:i+3], 16, 8)
			if err != nil || strings.ToUpper(value[i+1:i+3]) != value[i+1:i+3] {
				return "", false
			}
			c = byte(n)
			i += 2
		}
		if c < ' ' || c >= 0x7f {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

// decodeUnitext decodes an internationalised address (RFC 6533 section 3), in which `\x{HEX}` stands
// for a character. Others than printable ones are refused.
func decodeUnitext(value string) (text string, ok bool) {
	var b strings.Builder
	for value != "" {
		r, n := utf8.DecodeRuneInString(value)
		if inner, escaped := strings.CutPrefix(value, `\x{`); escaped {
			hex, _, closed := strings.Cut(inner, "}")
			code, err := strconv.ParseUint(hex, 16, 21)
			if !closed || err != nil || len(hex) < 2 || len(hex) > 6 || fmt.Sprintf("%02X", code) != hex {
				return "", false
			}
			r, n = rune(code), len(`\x{}`)+len(hex)
		} else if r == '\\' || r == '+' || r == '=' || r == utf8.RuneError {
			return "", false
		}
		if r < ' ' || r == 0x7f || !utf8.ValidRune(r) {
			return "", false
		}
		b.WriteRune(r)
		value = value[n:]
	}
	return b.String(), true
}

// refuse is a refusal with its enhanced code in the text (RFC 2034), as go-smtp is given
// it.
func refuse(code int, enhanced, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: enhanced + " " + text}
}
