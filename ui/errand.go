package ui

import (
	"regexp"
	"strings"
)

// errand is what the window does where the engine names a command. The zero
// value is none.
type errand struct {
	label string // for a button
	page  Page   // where it is done
	renew bool   // make a new password there
}

// command is one that is named in a text of the engine's.
var command = regexp.MustCompile("[`\"]waxseal ([a-z][^`\"]*)[`\"]")

// errandIn finds a command in a text that the window has something for, and
// leaves the clause out that names it. Another command stays: only a person at
// a terminal can follow it.
func errandIn(text string) (rest string, e errand) {
	at := command.FindStringSubmatchIndex(text)
	if at == nil {
		return text, errand{}
	}
	if e = errandOf(strings.Fields(text[at[2]:at[3]])); e.label == "" {
		return text, errand{}
	}
	before, after := text[:at[0]], text[at[1]:]
	begin, end := 0, len(after)
	for _, mark := range []string{"; ", ": ", ". "} {
		if i := strings.LastIndex(before, mark); i >= 0 {
			begin = max(begin, i+len(mark))
		}
		if i := strings.Index(after, mark); i >= 0 {
			end = min(end, i+len(mark))
		}
	}
	if rest = before[:begin] + after[end:]; end == len(after) {
		rest = strings.TrimRight(rest, ";: ")
	}
	return sentence(rest), e
}

// errandOf is the errand for a command's words.
func errandOf(words []string) errand {
	name, rest := words[0], words[1:]
	if name == "account" && len(rest) > 0 {
		name, rest = name+" "+rest[0], rest[1:]
	}
	address := ""
	if len(rest) > 0 && strings.Contains(rest[0], "@") {
		address = rest[0]
	}
	switch {
	case name == "doctor":
		return errand{label: tr("Check everything"), page: Page{Name: "check"}}
	case name == "account add":
		return errand{label: tr("Add account"), page: Page{Name: "add"}}
	case name == "account list" || name == "account password" && address == "":
		return errand{label: tr("Overview"), page: Page{Name: "overview"}}
	case name == "account reauthorize" && address != "":
		return errand{label: tr("Sign in again"), page: Page{Name: "add", Account: address}}
	case name == "account password" && rest[len(rest)-1] == "--new":
		return errand{label: tr("Make a new password"), page: Page{Name: "setup", Account: address}, renew: true}
	case name == "account password":
		return errand{label: tr("Show the settings"), page: Page{Name: "setup", Account: address}}
	}
	return errand{}
}

// plain is a text where there is no room for a button: the errand is told.
func plain(text string) string {
	rest, e := errandIn(text)
	return strings.TrimSpace(rest + " " + sentence(e.label))
}

// do goes where an errand is done.
func (w *window) do(e errand) {
	w.show(e.page)
	if e.renew {
		w.pages["setup"].(*setup).load(true)
	}
}
