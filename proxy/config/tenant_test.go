package config

import (
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
)

// A registration for one directory needs that directory's addresses, which people had to write by hand.
func TestTenant(t *testing.T) {
	const id = "2f1c6d0e-7a55-4b07-9d0c-3c1f7f1b9a42"
	for _, tt := range []struct {
		provider, tenant, own string // own is the account's
		token, err            string
	}{
		{"microsoft", "", id, "https://login.microsoftonline.com/" + id + "/oauth2/v2.0/token", ""},
		{"microsoft", "corp.onmicrosoft.com", "", "https://login.microsoftonline.com/corp.onmicrosoft.com/oauth2/v2.0/token", ""},
		{"microsoft", "corp.onmicrosoft.com", id, "https://login.microsoftonline.com/" + id + "/oauth2/v2.0/token", ""},
		{"microsoft-china", "", id, "https://login.partner.microsoftonline.cn/" + id + "/oauth2/v2.0/token", ""},
		{"microsoft", "", "", "https://login.microsoftonline.com/common/oauth2/v2.0/token", ""},
		{"microsoft", "", "a/b", "", "directory's ID"},
		{"microsoft", "", "..", "", "directory's ID"},
		{"google", "", id, "", "only for Microsoft"},
	} {
		c := Config{Providers: []Provider{{ID: tt.provider, Tenant: tt.tenant}}}
		p, err := c.Resolve(api.Account{Address: "me@corp.example", Provider: tt.provider, Tenant: tt.own})
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s %s: %v", tt.provider, tt.own, err)
			}
			continue
		}
		if err != nil || p.TokenURL != tt.token || !strings.Contains(p.AuthURL+p.DeviceURL, strings.Split(tt.token, "/")[3]) {
			t.Errorf("%s %s: %s, %v", tt.provider, tt.own, p.TokenURL, err)
		}
	}
	for id, want := range map[string]bool{"microsoft": true, "microsoft-dod": true, "outlook": false, "google": false, "fastmail": false} {
		if p, _ := (Config{}).Provider(id); p.Registration().Tenant != want {
			t.Errorf("%s has tenants: %t", id, !want)
		}
	}
	c := Config{Providers: []Provider{{ID: "google", Tenant: "x"}}, Accounts: []api.Account{{Address: "me@corp.example", Provider: "microsoft", Tenant: "a b"}}}
	if err := c.WithDefaults().Validate(); err == nil || strings.Count(err.Error(), "tenant") < 2 {
		t.Errorf("Validate = %v", err)
	}
}
