package proxy

import (
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/upstream"
)

// meaning is what providers mean by an enhanced status code (RFC 3463), and what
// a person can do about it.
type meaning struct {
	code string // "5.7.139"
	kind string // a short name for the account's state when a login is answered so; "" where none is
	cure string
}

// meanings are the answers whose own words do not say what to do. They are of
// Exchange, but for 5.4.5 and 4.7.0, which are Google's too.
var meanings = []meaning{
	{"5.7.139", "smtp_disabled", "SMTP sending is switched off for this mailbox or organisation: an administrator must enable SMTP AUTH for it, or ease the policy that blocks it"},
	{"5.7.3", "wrong_identity", "The signed-in user may not use this mailbox: for a shared mailbox set `login` to the user who signed in; else sign in again, with permission to send mail (SMTP.Send)"},
	{"5.7.30", "basic_retired", "The provider takes no passwords any more and refused the token's form; check the account's provider"},
	{"5.7.57", "not_authenticated", "The provider did not count the login: sign in again, and check that the account's smtp is the server for mail programs"},
	{"5.7.60", "", "The signed-in user may not send as this address: an administrator must grant \"Send As\" on the mailbox"},
	{"5.2.252", "", "The signed-in user may not send as this address: an administrator must grant \"Send As\" on the mailbox"},
	{"5.2.0", "", "The mailbox has sent as much as it may for today, or may not send at all; try again tomorrow, or ask an administrator"},
	{"5.4.5", "", "The mailbox has sent as much as it may for today; try again tomorrow"},
	{"5.2.2", "", "The mailbox is full: delete something in it, or ask its owner to"},
	{"5.3.4", "", "The message is larger than the provider takes: send less, or a link"},
	{"5.2.3", "", "The message is larger than the provider takes: send less, or a link"},
	{"5.1.10", "", "There is no such recipient: check the address"},
	{"5.1.1", "", "There is no such recipient: check the address"},
	{"4.3.2", "provider_busy", "Too many messages are being sent from this mailbox at once: send fewer at a time, or lower max_connections"},
	{"4.7.0", "provider_busy", "The provider asks to slow down, or cannot check the login at this moment; try again in some minutes"},
	{"4.2.0", "provider_busy", "The provider could not log the mailbox in at this moment; try again in some minutes"},
}

// meaningOf finds the meaning of a reply. Exchange has been seen to put the code
// not first, so it counts wherever it stands as a word.
func meaningOf(r upstream.Reply) (meaning, bool) {
	words := strings.FieldsFunc(strings.Join(r.Lines, " "), func(c rune) bool { return c != '.' && (c < '0' || c > '9') })
	for _, w := range words {
		w = strings.TrimRight(w, ".")
		if i := slices.IndexFunc(meanings, func(m meaning) bool { return m.code == w }); i >= 0 && int(w[0]-'0') == r.Code/100 {
			return meanings[i], true
		}
	}
	return meaning{}, false
}

// explainRefusal says in people's words why a provider refused a login, and what
// cures it. kind is a short name for the state of the account.
func explainRefusal(e *upstream.AuthError) (kind, cure string) {
	m, ok := meaningOf(e.Reply)
	switch {
	case ok && m.kind != "":
		return m.kind, m.cure
	case e.Reply.Code/100 == 4:
		return "provider_busy", "The provider does not let the account in for the moment; try again in some minutes"
	case ok:
		return "token_refused", m.cure
	}
	return "token_refused", "The provider refuses the token: sign in again, with permission to send mail"
}

// cureOf says what to do about a message that the provider did not take.
func cureOf(r upstream.Reply) string {
	if m, ok := meaningOf(r); ok {
		return m.cure
	}
	if r.Code/100 == 4 {
		return "That passes: try again in some minutes"
	}
	return "That is the provider's decision; its words say why"
}
