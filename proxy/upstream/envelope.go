package upstream

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/emersion/go-smtp"
)

// extensions are what a server offered in its reply to EHLO, as far as they are used here.
type extensions struct {
	startTLS, pipelining, chunking bool
	eightBit, size, utf8, dsn      bool
	auth                           []string // SASL mechanisms, upper case
}

// parseExtensions reads the lines of an EHLO reply after the first (RFC 5321 section 4.1.1.1).
func parseExtensions(hello Reply) extensions {
	var x extensions
	if len(hello.Lines) == 0 {
		return x
	}
	code := strconv.Itoa(hello.Code)
	for _, line := range hello.Lines[1:] {
		if text, odd := strings.CutPrefix(line, code); odd { // with another separator than "-"
			line = strings.TrimLeft(text, "_:.")
		}
		words := strings.FieldsFunc(strings.ToUpper(line), between)
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "STARTTLS":
			x.startTLS = true
		case "PIPELINING":
			x.pipelining = true
		case "CHUNKING":
			x.chunking = true
		case "8BITMIME":
			x.eightBit = true
		case "SIZE":
			x.size = true
		case "SMTPUTF8":
			x.utf8 = true
		case "DSN":
			x.dsn = true
		case "AUTH":
			x.auth = append(x.auth, words[1:]...)
		}
	}
	return x
}

// between reports whether r stands between the words of a line of the EHLO reply. Old servers write
// "AUTH=LOGIN XOAUTH2", as early drafts of SMTP AUTH had it, often beside the right line.
func between(r rune) bool { return strings.ContainsRune("=,:", r) || unicode.IsSpace(r) }

// Recipient is one RCPT command.
type Recipient struct {
	To   string
	Opts *smtp.RcptOptions // NOTIFY and ORCPT go up where the provider offers DSN; may be nil
}

// mailLine is the MAIL command with the parameters that the server knows; the others are left out.
// RequireTLS and BINARYMIME are not supported, and not offered to any client.
func mailLine(from string, opts *smtp.MailOptions, x extensions) (string, error) {
	if opts == nil {
		opts = &smtp.MailOptions{}
	}
	path, err := x.path(from, opts.UTF8)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("MAIL FROM:<" + path + ">")
	if x.size && opts.Size > 0 {
		b.WriteString(" SIZE=" + strconv.FormatInt(opts.Size, 10))
	}
	if x.eightBit && (opts.Body == smtp.Body7Bit || opts.Body == smtp.Body8BitMIME) {
		b.WriteString(" BODY=" + string(opts.Body))
	}
	if opts.UTF8 && x.utf8 {
		b.WriteString(" SMTPUTF8")
	}
	if x.dsn && (opts.Return == smtp.DSNReturnFull || opts.Return == smtp.DSNReturnHeaders) {
		b.WriteString(" RET=" + string(opts.Return))
	}
	if x.dsn && opts.EnvelopeID != "" {
		b.WriteString(" ENVID=" + xtext(opts.EnvelopeID))
	}
	if opts.Auth != nil && len(x.auth) > 0 {
		who, err := x.path(*opts.Auth, opts.UTF8)
		if err != nil {
			return "", err
		}
		if who == "" {
			who = "<>"
		}
		b.WriteString(" AUTH=" + xtext(who))
	}
	return b.String(), nil
}

// rcptLine is the RCPT command for one recipient. utf8 means that the message is an SMTPUTF8 one.
func rcptLine(to Recipient, utf8 bool, x extensions) (string, error) {
	path, err := x.path(to.To, utf8)
	if err != nil {
		return "", err
	}
	if path == "" {
		return "", fmt.Errorf("%w: an empty recipient", ErrEnvelope)
	}
	line := "RCPT TO:<" + path + ">"
	if to.Opts == nil || !x.dsn {
		return line, nil
	}
	if len(to.Opts.Notify) > 0 {
		words := make([]string, len(to.Opts.Notify))
		for i, n := range to.Opts.Notify {
			if !slices.Contains(notifies, n) {
				return "", fmt.Errorf("%w: NOTIFY %+q", ErrEnvelope, n)
			}
			words[i] = string(n)
		}
		line += " NOTIFY=" + strings.Join(words, ",")
	}
	switch who := to.Opts.OriginalRecipient; to.Opts.OriginalRecipientType {
	case smtp.DSNAddressTypeRFC822:
		line += " ORCPT=rfc822;" + xtext(who)
	case smtp.DSNAddressTypeUTF8:
		line += " ORCPT=utf-8;" + unitext(who, utf8 && x.utf8)
	}
	return line, nil
}

// path is an address as it goes between "<" and ">". utf8 says that the mail program asked for
// SMTPUTF8. Some programs, Go's net/smtp among them, ask for it with every message: where the server
// does not offer it, only what needs it is an error.
func (x extensions) path(address string, utf8 bool) (string, error) {
	path, err := quotePath(address, utf8 && x.utf8)
	if utf8 && errors.Is(err, ErrNotASCII) {
		err = ErrUTF8
	}
	return path, err
}

var notifies = []smtp.DSNNotify{smtp.DSNNotifyNever, smtp.DSNNotifyDelayed, smtp.DSNNotifyFailure, smtp.DSNNotifySuccess}
