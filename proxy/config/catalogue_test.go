package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/pace"
)

// TestCatalogueIsSound: the built-in entries pass every check of a [[provider]] table, and
// no two have the same name or domain.
func TestCatalogueIsSound(t *testing.T) {
	names, domains := map[string]string{}, map[string]string{}
	for _, p := range (Config{}).Catalogue() {
		p.check(func(key, format string, args ...any) {
			t.Errorf("%s: %s: "+format, append([]any{p.ID, key}, args...)...)
		})
		if p.Name == "" || p.Name == p.ID {
			t.Errorf("%s has no name", p.ID)
		}
		if p.NoOAuth == "" && (len(p.Scopes) == 0 || p.TokenURL == "") {
			t.Errorf("%s has no scope or no token_url", p.ID)
		}
		if p.NoOAuth != "" && (p.TokenURL != "" || !strings.Contains(p.NoOAuth, "password")) {
			t.Errorf("%s: no_oauth %q, token_url %q", p.ID, p.NoOAuth, p.TokenURL)
		}
		if p.ClientID != "" {
			t.Errorf("%s has somebody's client_id", p.ID)
		}
		if err := p.checkServer(api.SMTP); err != nil {
			t.Errorf("%s: %v", p.ID, err)
		}
		for _, name := range append([]string{p.ID}, p.Aliases...) {
			if other := names[name]; other != "" || name != strings.ToLower(name) {
				t.Errorf("%s: name %q (also %s)", p.ID, name, other)
			}
			names[name] = p.ID
		}
		for _, d := range p.Domains {
			if other := domains[d]; other != "" || d != Fold(d) || !dial.ValidHost(strings.TrimPrefix(d, "*.")) {
				t.Errorf("%s: domain %q (also %s)", p.ID, d, other)
			}
			domains[d] = p.ID
		}
	}
}

func TestProviderByName(t *testing.T) {
	for id, names := range map[string][]string{
		"google":             {"google", "gmail", "Workspace", "GOOGLE"},
		"microsoft":          {"microsoft", "microsoft365", "office365", "m365", "Outlook365"},
		"outlook":            {"outlook", "Outlook.com", "hotmail", "live", "msn"},
		"microsoft-gcc-high": {"gcchigh"}, "microsoft-dod": {"dod"}, "microsoft-china": {"21vianet"},
		"yahoo": {"yahoo"}, "aol": {"aol"}, "fastmail": {"fastmail"}, "yandex": {"yandex"}, "mailru": {"mailru", "mail.ru"},
		"comcast": {"comcast"}, "seznam": {"seznam"}, "icloud": {"iCloud"}, "gmx": {"gmx"}, "webde": {"web.de"}, "zoho": {"zoho"},
	} {
		for _, name := range names {
			if p, ok := Default().Provider(name); !ok || p.ID != id {
				t.Errorf("Provider(%q) = %q, %v", name, p.ID, ok)
			}
		}
	}
	for _, name := range []string{"", "nobody", "goo"} {
		if p, ok := Default().Provider(name); ok {
			t.Errorf("Provider(%q) = %q", name, p.ID)
		}
	}
}

// TestCatalogueFacts checks what a person would notice first if it were wrong.
func TestCatalogueFacts(t *testing.T) {
	for id, want := range map[string]string{
		"google":    "smtp.gmail.com:465 implicit https://oauth2.googleapis.com/token https://mail.google.com/ 127.0.0.1",
		"microsoft": "smtp.office365.com:587 starttls https://login.microsoftonline.com/common/oauth2/v2.0/token https://outlook.office.com/SMTP.Send offline_access profile localhost",
		"outlook":   "smtp-mail.outlook.com:587 starttls https://login.microsoftonline.com/consumers/oauth2/v2.0/token https://outlook.office.com/SMTP.Send offline_access profile localhost",
		"gcc-high":  "smtp.office365.us:587 starttls https://login.microsoftonline.us/organizations/oauth2/v2.0/token https://outlook.office365.us/SMTP.Send offline_access profile localhost",
		"dod":       "outlook-dod.office365.us:587 starttls https://login.microsoftonline.us/organizations/oauth2/v2.0/token https://outlook-dod.office365.us/SMTP.Send offline_access profile localhost",
		"21vianet":  "smtp.partner.outlook.cn:587 starttls https://login.partner.microsoftonline.cn/organizations/oauth2/v2.0/token https://partner.outlook.cn/SMTP.Send offline_access profile localhost",
		"yahoo":     "smtp.mail.yahoo.com:465 implicit https://api.login.yahoo.com/oauth2/get_token mail-w 127.0.0.1",
		"aol":       "smtp.aol.com:465 implicit https://api.login.aol.com/oauth2/get_token mail-w 127.0.0.1",
		"fastmail":  "smtp.fastmail.com:465 implicit https://api.fastmail.com/oauth/refresh https://www.fastmail.com/dev/protocol-smtp localhost",
		"yandex":    "smtp.yandex.com:465 implicit https://oauth.yandex.com/token mail:smtp 127.0.0.1",
		"mailru":    "smtp.mail.ru:465 implicit https://o2.mail.ru/token userinfo mail.imap 127.0.0.1",
		"comcast":   "smtp.comcast.net:465 implicit https://oauth.xfinity.com/oauth/token https://email.comcast.net/ profile openid 127.0.0.1",
		"seznam":    "smtp.seznam.cz:465 implicit https://login.seznam.cz/api/v1/oauth/token identity calendar email localhost",
	} {
		p, _ := Default().Provider(id)
		got := strings.Join([]string{p.SMTP, p.SMTPTLS, p.TokenURL, strings.Join(p.Scopes, " "), p.RedirectHost}, " ")
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", id, got, want)
		}
	}
	google, _ := Default().Provider("google")
	if google.AuthParams["access_type"] != "offline" || google.AuthParams["prompt"] != "consent" {
		t.Errorf("Google would give no refresh token: %v", google.AuthParams)
	}
}

func TestProviderFor(t *testing.T) {
	c := Default()
	c.Providers = []Provider{
		{ID: "corp", Domains: []string{"Corp.example", "*.corp.example", "b\u00fccher.example"}},
		{ID: "mine", Domains: []string{"web.de"}}, // takes precedence over the built-in one
	}
	for address, want := range map[string]string{
		"me@gmail.com": "google", "ME@GoogleMail.com": "google", "me@hotmail.co.uk": "outlook", "me@ya.ru": "yandex",
		"me@x.onmicrosoft.com": "microsoft", "me@icloud.com": "icloud",
		"me@corp.example": "corp", "me@a.b.corp.example": "corp", "me@xn--bcher-kva.example": "corp", "me@web.de": "mine",
		"me@onmicrosoft.com": "", "me@notcorp.example": "", "me@gmail.com.example": "", "gmail.com": "", "me@": "", "": "",
	} {
		if p, ok := c.ProviderFor(address); p.ID != want || ok != (want != "") {
			t.Errorf("ProviderFor(%q) = %q, %v; want %q", address, p.ID, ok, want)
		}
	}
}

func TestOwnProviderOverBuiltIn(t *testing.T) {
	built, _ := Default().Provider("google")
	c := Default()
	c.Providers = []Provider{{ID: "Gmail", ClientID: "mine", MaxConnections: 8}}
	for _, name := range []string{"gmail", "google", "workspace"} {
		p, ok := c.Provider(name)
		want := built
		want.ID, want.ClientID, want.MaxConnections = "Gmail", "mine", 8
		want.Aliases = p.Aliases
		if !ok || !reflect.DeepEqual(p, want) {
			t.Errorf("Provider(%q) = %+v, want %+v", name, p, want)
		}
	}
	if p, _ := c.ProviderFor("me@gmail.com"); p.ClientID != "mine" {
		t.Errorf("by domain: %+v", p)
	}
	if list := c.Catalogue(); len(list) != len(builtin()) || list[0].ID != "Gmail" {
		t.Errorf("the catalogue has %d entries, want %d", len(list), len(builtin()))
	}

	c.Providers = []Provider{{ID: "google", AuthURL: "https://a.example/", TokenURL: "https://t.example/", SMTP: "s.example:587"}}
	p, _ := c.Provider("gmail")
	if p.AuthURL != "https://a.example/" || p.RevokeURL != "" || p.SMTPTLS != "starttls" || !slices.Equal(p.Scopes, built.Scopes) {
		t.Errorf("replaced in part: %+v", p)
	}
	if p := merge(Provider{}, Provider{Hello: "mail.example.com"}); p.Hello != "mail.example.com" {
		t.Errorf("hello became %q", p.Hello)
	}
	if again, _ := Default().Provider("google"); !reflect.DeepEqual(again, built) {
		t.Errorf("the built-in entry changed: %+v", again)
	}
	c.Providers = []Provider{{ID: "icloud", AuthURL: "https://a.example/", TokenURL: "https://t.example/"}}
	if p, err := c.Resolve(api.Account{Address: "me@me.com"}); err != nil || p.SMTP != "smtp.mail.me.com:587" {
		t.Errorf("iCloud by a gateway: %+v, %v", p, err)
	}
}

func TestResolve(t *testing.T) {
	c := Default()
	c.Providers = []Provider{{
		ID: "lab", AuthURL: "http://127.0.0.1:1/a", TokenURL: "http://127.0.0.1:1/t", DeviceURL: "http://127.0.0.1:1/d", RevokeURL: "http://127.0.0.1:1/r",
		SMTP: "127.0.0.1:2525", SMTPTLS: "none", ClientID: "lab's",
	}}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		account api.Account
		want    string // SMTP SMTPTLS ClientID TokenURL DeviceURL MaxConnections
	}{
		"as it is":   {api.Account{}, "127.0.0.1:2525 none lab's http://127.0.0.1:1/t http://127.0.0.1:1/d"},
		"client":     {api.Account{ClientID: "own"}, "127.0.0.1:2525 none own http://127.0.0.1:1/t http://127.0.0.1:1/d"},
		"token":      {api.Account{TokenURL: "https://t.example/"}, "127.0.0.1:2525 none lab's https://t.example/ "},
		"port 465":   {api.Account{SMTP: "s.example:465"}, "s.example:465 implicit lab's http://127.0.0.1:1/t http://127.0.0.1:1/d"},
		"port 587":   {api.Account{SMTP: "s.example:587"}, "s.example:587 starttls lab's http://127.0.0.1:1/t http://127.0.0.1:1/d"},
		"port 25":    {api.Account{SMTP: "[::1]:25"}, "[::1]:25 starttls lab's http://127.0.0.1:1/t http://127.0.0.1:1/d"},
		"other port": {api.Account{SMTP: "localhost:9"}, "localhost:9 none lab's http://127.0.0.1:1/t http://127.0.0.1:1/d"},
	} {
		test.account.Address, test.account.Provider = "me@x.example", "LAB"
		p, err := c.Resolve(test.account)
		if got := strings.Join([]string{p.SMTP, p.SMTPTLS, p.ClientID, p.TokenURL, p.DeviceURL}, " "); err != nil || got != test.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", name, err, got, test.want)
		}
		if p.MaxConnections != defaultConnections || p.RedirectPath != "/" || p.Name != "lab" {
			t.Errorf("%s: not complete: %+v", name, p)
		}
	}
	for name, test := range map[string]struct {
		account api.Account
		want    string
	}{
		"clear text":  {api.Account{Provider: "lab", SMTP: "s.example:9"}, "unencrypted to s.example"},
		"no port":     {api.Account{Provider: "lab", SMTP: "s.example"}, "is not host:port"},
		"port 0":      {api.Account{Provider: "lab", SMTP: "s.example:0"}, "needs a host and a port"},
		"http":        {api.Account{Provider: "lab", TokenURL: "http://t.example"}, "must begin with https://"},
		"no OAuth":    {api.Account{Provider: "zoho"}, "app password"},
		"no provider": {api.Account{Provider: "lag"}, `did you mean "lab"?`},
		"no domain":   {api.Account{}, `no provider is known for "x.example"`},
	} {
		test.account.Address = "me@x.example"
		if _, err := c.Resolve(test.account); err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "account me@x.example: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestSendingLimits: the limits are the provider's for this kind of account, in what it counts. A
// Workspace account was shown the 500 messages of a personal one, and Exchange's 10,000 recipients
// as messages.
func TestSendingLimits(t *testing.T) {
	c := Default()
	c.Providers = []Provider{{ID: "google", ClientID: "x", Domains: []string{"gmail.com", "corp.example"}}}
	own := Default()
	own.Providers = []Provider{{ID: "google", ClientID: "x", MaxMessages: new(100)}, {ID: "microsoft", ClientID: "x", MaxPerMinute: new(0), MaxRecipients: new(50)},
		{ID: "corp", Domains: []string{"corp.test"}, TokenURL: "https://x.test/", SMTP: "smtp.corp.test:587", MaxMessages: new(7)}}
	for _, w := range []struct {
		c       Config
		account api.Account
		want    pace.Limits
	}{
		{Default(), api.Account{Address: "me@gmail.com"}, pace.Limits{Messages: 500}},
		{Default(), api.Account{Address: "me@GoogleMail.com"}, pace.Limits{Messages: 500}},
		{Default(), api.Account{Address: "me@corp.example", Provider: "google"}, pace.Limits{Messages: 2000, Recipients: 10000}},
		// the file says whose domain it is, not that it is personal
		{c, api.Account{Address: "me@corp.example"}, pace.Limits{Messages: 2000, Recipients: 10000}},
		{c, api.Account{Address: "me@gmail.com"}, pace.Limits{Messages: 500}},
		{own, api.Account{Address: "me@corp.example", Provider: "google"}, pace.Limits{Messages: 100, Recipients: 10000}},
		{own, api.Account{Address: "me@corp.example", Provider: "microsoft"}, pace.Limits{Recipients: 50}},
		{own, api.Account{Address: "me@corp.example", Provider: "microsoft", MaxPerMinute: new(20), MaxMessages: new(9), MaxRecipients: new(0)}, pace.Limits{PerMinute: 20, Messages: 9}},
		{own, api.Account{Address: "me@corp.test"}, pace.Limits{Messages: 7}},
		{Default(), api.Account{Address: "me@corp.example", Provider: "microsoft"}, pace.Limits{PerMinute: 30, Recipients: 10000}},
		{Default(), api.Account{Address: "me@corp.example", Provider: "gcc-high"}, pace.Limits{PerMinute: 30, Recipients: 10000}},
		{Default(), api.Account{Address: "me@yandex.ru"}, pace.Limits{Recipients: 500}},
		{Default(), api.Account{Address: "me@outlook.com"}, pace.Limits{}}, // differs from account to account
		{Default(), api.Account{Address: "me@gmail.com", MaxMessages: new(0)}, pace.Limits{}},
	} {
		p, err := w.c.Resolve(w.account)
		if err != nil || p.Limits() != w.want {
			t.Errorf("%s at %s: %+v, %v; want %+v", w.account.Address, w.account.Provider, p.Limits(), err, w.want)
		}
	}
	for key, bad := range map[string]Config{
		"max_messages_per_day is -1": {Providers: []Provider{{ID: "google", MaxMessages: new(-1)}}},
		"max_per_minute is -2":       {Accounts: []api.Account{{Address: "me@gmail.com", MaxPerMinute: new(-2)}}},
	} {
		if err := bad.WithDefaults().Validate(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
