package config

import "testing"

// Every provider's list says what to do about each error, and an administrator's link is for the
// provider's own cloud and the registration's own directory.
func TestPageErrors(t *testing.T) {
	for _, p := range (Config{}).Catalogue() {
		list, _ := p.PageErrors()
		for _, e := range list {
			if e.Means.IsZero() || e.Cure.IsZero() {
				t.Errorf("%s: %+v", p.ID, e)
			}
		}
	}
	for id, want := range map[string]string{
		"microsoft":       "https://login.microsoftonline.com/organizations/adminconsent?client_id=the+id",
		"outlook":         "https://login.microsoftonline.com/organizations/adminconsent?client_id=the+id",
		"microsoft-china": "https://login.partner.microsoftonline.cn/organizations/adminconsent?client_id=the+id",
	} {
		p, _ := (Config{}).Provider(id)
		if got := p.AdminConsent(); got != "" {
			t.Errorf("%s without a client ID: %s", id, got)
		}
		p.ClientID = "the id"
		if got := p.AdminConsent(); got != want {
			t.Errorf("%s: %s", id, got)
		}
	}
}
