package config

import (
	"errors"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// trouble is a lasting problem: trying again does not help.
func trouble(what, cure api.Text) *api.Problem {
	return &api.Problem{Lasting: true, What: what, Cure: cure}
}

// problemOf returns an error as a problem of an account. Errors of other kinds are not
// translated.
func problemOf(err error, account string) api.Problem {
	p := *trouble(api.Say("{{.Reason}}", "Reason", strings.ReplaceAll(err.Error(), "\n", "; ")), api.Text{})
	if known, ok := errors.AsType[*api.Problem](err); ok && known.Error() == err.Error() {
		p = *known
	}
	p.Account = account
	return p
}
