package smtpd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// verbatim stands before each line that is the provider's own, on its way through
// go-smtp: conn puts go-smtp's words right, and those could be the provider's
// too. No reply holds it, since upstream takes control characters out.
const verbatim = "\x00"

// passThrough is the provider's reply as go-smtp must be given it: code and
// every line as they came, the enhanced code being part of the text. It is an
// error to go-smtp even when it is a success, since that is the only way to
// give it words (a nil means "OK: queued", whatever the provider said). Its lines
// are marked verbatim.
func passThrough(r upstream.Reply) *smtp.SMTPError {
	if r.Code < 200 || r.Code > 599 || r.Code/100 == 3 {
		return temporary("4.5.0", fmt.Sprintf("The provider answered out of turn (%d)", r.Code))
	}
	return &smtp.SMTPError{Code: r.Code, EnhancedCode: smtp.NoEnhancedCode, Message: verbatim + strings.Join(r.Lines, "\n"+verbatim)}
}

// replyLines are a reply's lines as they go down the wire, without line ends.
func replyLines(r upstream.Reply) []string {
	lines := make([]string, max(len(r.Lines), 1))
	for i := range lines {
		sep, text := "-", ""
		if i == len(lines)-1 {
			sep = " "
		}
		if i < len(r.Lines) {
			text = r.Lines[i]
		}
		lines[i] = fmt.Sprintf("%d%s%s", r.Code, sep, text)
	}
	return lines
}

func temporary(enhanced, text string) *smtp.SMTPError { return answer(451, enhanced, text) }

func answer(code int, enhanced, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: enhanced + " " + text}
}

// replyTo is what a mail program is told of an error: a rendering of what explain
// says. at is the command: "AUTH", "MAIL", "RCPT" or "DATA".
func replyTo(at string, box *mailbox.Mailbox, err error) *smtp.SMTPError {
	if already, ok := errors.AsType[*smtp.SMTPError](err); ok {
		return already
	}
	f := mailbox.Explain(box, err)
	code, enhanced, text := f.Reply, f.Code, f.Sentences()
	switch {
	case at == "AUTH" && f.Lasting:
		// Mail programs show the text of a 535. Many put "login failed" or "wrong
		// password" in front of it, so it begins with what is not at fault.
		code, text = 535, "The password is correct. "+text
	case at == "AUTH":
		code, enhanced = 454, "4.7.0"
	case code != 0:
	case f.Lasting:
		code = 550
	default:
		code = 451
	}
	if at == "MAIL" && enhanced == "5.1.3" {
		enhanced = "5.1.7" // the sender's
	}
	return answer(code, enhanced, text)
}
