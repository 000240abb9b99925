package config

import (
	"strings"
	"unicode"

	"github.com/waxseal/waxseal/proxy/api"
)

// minPassword is the length below which a local password that a person brings along counts as
// weak, in characters. Those that Waxseal generates are longer.
const minPassword = 12

// commonWords are what most guessed passwords consist of, apart from digits and punctuation. A
// word comes before those that it starts with.
var commonWords = []string{
	"password", "passwort", "passwd", "pass", "secret", "geheim", "letmein", "welcome", "willkommen", "hello", "hallo", "changeme",
	"administrator", "admin", "root", "user", "guest", "test", "default", "login", "email", "mail", "smtp", "waxseal",
	"qwertyuiop", "qwertzuiop", "qwerty", "qwertz", "azerty", "asdfghjkl", "asdfgh", "asdf", "yxcvbnm", "zxcvbnm", "abcdefghijkl", "abcdefgh", "abcdef", "abc",
	"dragon", "monkey", "master", "shadow", "sunshine", "princess", "football", "baseball", "iloveyou", "trustno", "superman", "batman",
	"1234567890", "12345678", "123456",
}

// weak reports whether somebody with access to the local ports would guess a password soon: it
// is short, or consists of common words, a few characters, or the address.
func weak(password, address string) bool {
	if len([]rune(password)) < minPassword {
		return true
	}
	lower := strings.ToLower(password)
	distinct := map[rune]bool{}
	for _, r := range lower {
		distinct[r] = true
	}
	local, _, _ := CutDomain(strings.ToLower(address))
	rest := strings.ReplaceAll(lower, local, "")
	for _, word := range commonWords {
		rest = strings.ReplaceAll(rest, word, "")
	}
	letters := 0
	for _, r := range rest {
		if unicode.IsLetter(r) {
			letters++
		}
	}
	return len(distinct) < 5 || letters == 0 && rest != lower
}

// weakPasswords warns about the entries whose local password is weak.
func weakPasswords(entries []ImportEntry) []api.Problem {
	var warnings []api.Problem
	for _, e := range entries {
		if e.Password != "" && weak(e.Password, e.Account.Address) {
			warnings = append(warnings, api.Problem{
				Account: e.Account.Address, Lasting: true, Do: api.NewPassword,
				What: api.Say("The local password of {{.Account}} is easy to guess.", "Account", e.Account.Address),
				Cure: api.Say("Create a strong one, and enter it in the mail program."),
			})
		}
	}
	return warnings
}
