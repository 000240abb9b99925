package proxy

import (
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/upstream"
)

// knownAnswers are what providers say when they mean more. An answer is known by
// its code (0 is any) and a word of its text, mostly the enhanced code; the first
// that fits is taken. kind is a short name for the state of an account.
//
// Sources: Microsoft's "Fix NDR errors" and "SMTP AUTH" pages of Exchange
// Online, Google's "SMTP errors and codes" of Workspace, RFC 3463.
var knownAnswers = []struct {
	code             int
	word, kind, cure string
}{
	{0, "5.7.139", "smtp_disabled", "SMTP sending is switched off for this mailbox or organisation: an administrator must enable SMTP AUTH for it"},
	{535, "5.7.3", "wrong_identity", "The signed-in user may not use this mailbox: for a shared mailbox set `login` to the user who signed in"},
	{0, "5.7.30", "basic_retired", "The provider takes no passwords any more and refused the token's form; check the account's provider"},
	{530, "5.7.57", "token_refused", "The provider does not take the sign-in for good: sign in again"},
	{0, "5.7.60", "wrong_sender", "The signed-in user may not send as this sender: use the account's own address in From, or have the right to send as the other one given"},
	{0, "5.2.252", "wrong_sender", "The signed-in user may not send as this sender: use the account's own address in From, or have the right to send as the other one given"},
	{550, "5.4.5", "daily_limit", "The provider's daily limit is reached: it takes messages again within 24 hours"},
	{554, "5.2.0", "daily_limit", "The provider's daily limit is probably reached: it takes messages again within 24 hours"},
	{554, "5.2.2", "mailbox_full", "A mailbox is full: make room in it, or tell its owner"},
	{552, "5.2.2", "mailbox_full", "A mailbox is full: make room in it, or tell its owner"},
	{552, "5.3.4", "too_large", "The message is larger than the provider takes: send less, or a link"},
	{552, "5.2.3", "too_large", "The message is larger than the provider takes: send less, or a link"},
	{0, "5.1.10", "no_recipient", "There is no such recipient: check the address"},
	{0, "5.1.1", "no_recipient", "There is no such recipient: check the address"},
	{432, "4.3.2", "too_many", "Too many messages at a time for this mailbox: lower max_connections of the account, or use another account for some of them"},
	{421, "4.3.2", "later", "The provider is busy: try again later"},
	{421, "4.7.0", "later", "The provider asks for a pause: try again later, and less at a time"},
	{454, "4.7.0", "later", "The provider asks for a pause: try again later"},
}

// knownAnswer explains a provider's answer; both are empty for one that is not known.
func knownAnswer(code int, text string) (kind, cure string) {
	if code < 400 {
		return "", ""
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \n,;:()[]<>-", r) })
	for _, k := range knownAnswers {
		if (k.code == 0 || k.code == code) && slices.Contains(words, k.word) {
			return k.kind, k.cure
		}
	}
	return "", ""
}

// explainRefusal says in people's words why a provider refused a login, and what
// cures it.
func explainRefusal(e *upstream.AuthError) (kind, cure string) {
	if kind, cure = knownAnswer(e.Reply.Code, strings.Join(e.Reply.Lines, " ")); kind != "" {
		return kind, cure
	}
	return "token_refused", "The provider refuses the token: sign in again, with permission to send mail"
}
