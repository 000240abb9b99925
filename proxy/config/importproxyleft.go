package config

import (
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/emailproxy"
)

// warn names something that nobody has to do anything about.
func (m *proxyImport) warn(key string, pairs ...string) {
	m.Warnings = append(m.Warnings, *trouble(api.Say(key, pairs...), api.Text{}))
}

// sections names the sections that were not carried over.
func (m *proxyImport) sections() {
	for _, a := range m.file.CatchAll {
		m.catchAll(a)
	}
	for _, name := range m.file.Nameless {
		m.Left = append(m.Left, api.Problem{Lasting: true, Do: api.AddAccount,
			What: api.Say("Section [{{.Section}}] has the settings of an account, but its name is not an email address.", "Section", name),
			Cure: api.Say("Add the account."),
		})
	}
	for _, name := range m.file.Samples {
		m.warn("Section [{{.Section}}] was left out: it is a sample that has not been filled in.", "Section", name)
	}
	for _, name := range m.file.Unusable {
		m.warn("Section [{{.Section}}] was left out: it needs server_address and server_port.", "Section", name)
	}
	for _, name := range m.file.Twice {
		m.warn("Section [{{.Section}}] occurs twice; the first one counts.", "Section", name)
	}
	for _, name := range m.file.Repeated {
		m.warn("The setting {{.Setting}} occurs twice; the first one counts.", "Setting", name)
	}
	for _, name := range m.file.Unknown {
		m.warn("The setting {{.Setting}} is not known and was left out.", "Setting", name)
	}
}

// catchAll names a section that stands for many addresses, and says how to add them. The
// provider that they need is added if it is new.
func (m *proxyImport) catchAll(a emailproxy.Account) {
	if !m.file.CatchAllUsed {
		m.warn("Section [{{.Section}}] was left out: it stands for several addresses, but allow_catch_all_accounts is off.", "Section", a.Address)
		return
	}
	what := api.Say("Section [{{.Section}}] stands for all addresses, but Waxseal needs each of them.", "Section", a.Address)
	if _, domain, _ := CutDomain(a.Address); domain != "" {
		what = api.Say("Section [{{.Section}}] stands for all addresses at {{.Domain}}, but Waxseal needs each of them.", "Section", a.Address, "Domain", domain)
	}
	left := api.Problem{Lasting: true, What: what, Cure: api.Say("Add those that are not in the file."), Do: api.AddAccount}
	grant, known := grantOf(a.Flow)
	var p Provider
	err := checkURL("token_url", a.TokenURL)
	if known && err == nil {
		p, _, err = m.provider(a, grant)
	}
	if !known || err != nil {
		m.Left = append(m.Left, left)
		return
	}
	left.Cure = api.Say("Add those that are not in the file, with the provider {{.Provider}} and the client ID {{.ID}}.", "Provider", p.ID, "ID", a.ClientID)
	m.Left = append(m.Left, left)
	m.checkRedirect(a, p, ImportEntry{})
}
