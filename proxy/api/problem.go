package api

import "strings"

// Problem explains a failure: what failed, in a person's terms, and what to do. An SMTP
// reply, a line of doctor, a card in the window and a notification are all made from one.
type Problem struct {
	State   State  `json:"state,omitempty"`   // of the account, if the failure is an account's
	Account string `json:"account,omitempty"` // the account that it is about
	Lasting bool   `json:"lasting"`           // trying again cannot help; else it may pass
	Code    string `json:"code,omitempty"`    // enhanced status code (RFC 3463), if SMTP has one for it
	What    Text   `json:"what"`
	Said    string `json:"said,omitempty"` // the other side's own words
	Cure    Text   `json:"cure,omitzero"`
	Copy    string `json:"copy,omitempty"` // a value that the cure needs, such as a link to send to somebody
	Do      Action `json:"do,omitempty"`   // the part of the cure that Waxseal can start
}

// Error is the problem in English, for a line on a terminal: what failed, then the cure.
func (p *Problem) Error() string {
	text := p.Summary()
	if cure := p.Remedy(); cure != "" {
		text += "; " + cure
	}
	return text
}

// Summary says what failed, with the other side's words, as a phrase in English that may
// follow a colon.
func (p *Problem) Summary() string {
	text := phrase(p.What)
	if p.Said != "" {
		text += " (the other side said: " + p.Said + ")"
	}
	return text
}

// Remedy is the cure, with the command that starts it, as a phrase in English; "" if there
// is none.
func (p *Problem) Remedy() string {
	text, command := phrase(p.Cure), p.Do.Command(p.Account)
	if p.Copy != "" {
		text += ": " + p.Copy
	}
	switch {
	case command == "":
		return text
	case text == "":
		return "run `" + command + "`"
	}
	return text + " (`" + command + "`)"
}

// Sentences is the whole problem in English, as one line of prose.
func (p *Problem) Sentences() string {
	text := p.What.String()
	if cure := p.Remedy(); cure != "" {
		text += " " + strings.ToUpper(cure[:1]) + cure[1:] + "."
	}
	if p.Said != "" {
		text += " The other side said: " + p.Said
	}
	return text
}

// phrase is a sentence in the form that follows a colon.
func phrase(t Text) string { return uncapital(strings.TrimSuffix(t.String(), ".")) }

// uncapital makes the first letter of a sentence lower case. Names keep their capitals: the
// rest of the first word must be in lower case.
func uncapital(s string) string {
	word, _, _ := strings.Cut(s, " ")
	if len(word) > 1 && word[1:] == strings.ToLower(word[1:]) && !strings.ContainsAny(word, "’'.") {
		return strings.ToLower(word[:1]) + s[1:]
	}
	return s
}

// Action is something that a person can do about a problem: a button in the window, a
// command on the command line.
type Action string

const (
	SignIn      Action = "sign_in"      // the account's user signs in again
	Register    Action = "register"     // enter another client ID or secret
	NewPassword Action = "new_password" // create another local password
	ShowSetup   Action = "show_setup"   // show what to enter in the mail program
	Unlock      Action = "unlock"       // unlock the keychain
	MakeKeyring Action = "make_keyring" // create the keychain's default keyring
	RunChecks   Action = "run_checks"   // check everything
	AddAccount  Action = "add_account"
	ListAccount Action = "list_accounts"
	OpenSetting Action = "settings"
	ReadAgain   Action = "reload" // read the configuration file again

	ShowActivity Action = "activity" // show the last messages and failed logins
)

// Actions are all actions.
var Actions = []Action{SignIn, Register, NewPassword, ShowSetup, Unlock, MakeKeyring, RunChecks, AddAccount, ListAccount, OpenSetting, ReadAgain, ShowActivity}

// Command is the command line for the action, "" if there is none.
func (a Action) Command(account string) string {
	if account == "" {
		account = "ADDRESS"
	}
	switch a {
	case SignIn:
		return "waxseal account reauthorize " + account
	case Register:
		return "waxseal account reauthorize " + account + " --client-secret-file FILE"
	case NewPassword:
		return "waxseal account password " + account + " --new"
	case ShowSetup:
		return "waxseal account password " + account
	case RunChecks:
		return "waxseal doctor"
	case AddAccount:
		return "waxseal account add " + account
	case ListAccount:
		return "waxseal account list"
	case ReadAgain:
		return "waxseal reload"
	case ShowActivity:
		return "waxseal activity"
	}
	return ""
}

// Label is the text of the action's button.
func (a Action) Label() Text {
	switch a {
	case SignIn:
		return Say("Sign in again")
	case Register:
		return Say("Change registration")
	case NewPassword:
		return Say("Create new password")
	case ShowSetup:
		return Say("Show settings")
	case Unlock:
		return Say("Unlock keychain")
	case MakeKeyring:
		return Say("Create keyring")
	case RunChecks:
		return Say("Run diagnostics")
	case AddAccount:
		return Say("Add account")
	case ListAccount:
		return Say("Show accounts")
	case OpenSetting:
		return Say("Open settings")
	case ReadAgain:
		return Say("Read file again")
	case ShowActivity:
		return Say("Show activity")
	}
	return Text{}
}
