package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
)

// TestReadingFacts checks what the built-in providers say about reading.
func TestReadingFacts(t *testing.T) {
	const outlook = "https://outlook.office.com/"
	for id, want := range map[string]string{
		"google":    "imap.gmail.com:993 pop.gmail.com:995 15 | https://mail.google.com/ | https://mail.google.com/",
		"microsoft": "outlook.office365.com:993 outlook.office365.com:995 20 | " + outlook + "SMTP.Send offline_access profile " + outlook + "IMAP.AccessAsUser.All | offline_access profile " + outlook + "POP.AccessAsUser.All",
		"outlook":   "outlook.office365.com:993 outlook.office365.com:995 20 | " + outlook + "SMTP.Send offline_access profile " + outlook + "IMAP.AccessAsUser.All | offline_access profile " + outlook + "POP.AccessAsUser.All",
		"gcc-high":  "outlook.office365.us:993 outlook.office365.us:995 20 | https://outlook.office365.us/SMTP.Send offline_access profile https://outlook.office365.us/IMAP.AccessAsUser.All | offline_access profile https://outlook.office365.us/POP.AccessAsUser.All",
		"dod":       "outlook-dod.office365.us:993 outlook-dod.office365.us:995 20 | https://outlook-dod.office365.us/SMTP.Send offline_access profile https://outlook-dod.office365.us/IMAP.AccessAsUser.All | offline_access profile https://outlook-dod.office365.us/POP.AccessAsUser.All",
		"21vianet":  "partner.outlook.cn:993 partner.outlook.cn:995 20 | https://partner.outlook.cn/SMTP.Send offline_access profile https://partner.outlook.cn/IMAP.AccessAsUser.All | offline_access profile https://partner.outlook.cn/POP.AccessAsUser.All",
		"yahoo":     "imap.mail.yahoo.com:993 pop.mail.yahoo.com:995 0 | mail-w | mail-w",
		"aol":       "imap.aol.com:993 pop.aol.com:995 0 | mail-w | mail-w",
		"fastmail":  "imap.fastmail.com:993 pop.fastmail.com:995 0 | https://www.fastmail.com/dev/protocol-smtp https://www.fastmail.com/dev/protocol-imap | https://www.fastmail.com/dev/protocol-pop",
		"yandex":    "imap.yandex.com:993  0 | mail:smtp mail:imap_full | mail:smtp",
		"mailru":    "imap.mail.ru:993 pop.mail.ru:995 0 | userinfo mail.imap | userinfo mail.imap",
		"comcast":   "imap.comcast.net:993 mail.comcast.net:995 0 | https://email.comcast.net/ profile openid | https://email.comcast.net/ profile openid",
		"seznam":    "imap.seznam.cz:993 pop3.seznam.cz:995 0 | identity calendar email | identity calendar email",
	} {
		p, _ := Default().Provider(id)
		got := fmt.Sprintf("%s %s %d | %s | %s", p.IMAP, p.POP, p.ReadConnections,
			strings.Join(p.ScopesFor([]api.Protocol{api.SMTP, api.IMAP}), " "), strings.Join(p.ScopesFor([]api.Protocol{api.POP}), " "))
		if got != want || p.IMAPTLS != "implicit" || p.POPTLS != "implicit" {
			t.Errorf("%s:\ngot  %s\nwant %s", id, got, want)
		}
		if now := p.ScopesFor([]api.Protocol{api.SMTP}); !slices.Equal(now, p.Scopes) {
			t.Errorf("%s asks for %q to send, and asked for %q before", id, now, p.Scopes)
		}
	}
	if p, _ := Default().Provider("yandex"); p.Auth(api.IMAP) != "xoauth2" || p.Auth(api.SMTP) != "" {
		t.Errorf("Yandex: %q", p.Auth(api.IMAP))
	}
}

func TestNeeds(t *testing.T) {
	both := []api.Protocol{api.SMTP, api.IMAP}
	microsoft, _ := Default().Provider("microsoft")
	want := map[string][]string{"smtp": {"https://outlook.office.com/SMTP.Send"}, "imap": {"https://outlook.office.com/IMAP.AccessAsUser.All"}}
	if got := microsoft.Needs(both); !reflect.DeepEqual(got, want) {
		t.Errorf("Microsoft: %v", got)
	}
	microsoft.Scopes = []string{"https://outlook.office365.com/.default"}
	if got := microsoft.ScopesFor(both); !slices.Equal(got, microsoft.Scopes) {
		t.Errorf("all permissions of the registration, and more: %q", got)
	}
	google, _ := Default().Provider("google")
	if got := google.Needs(both); !slices.Equal(got["imap"], google.Scopes) || !slices.Equal(got["smtp"], google.Scopes) {
		t.Errorf("Google: %v", got)
	}
}

// TestListeners: the addresses for reading are used only while an account reads.
func TestListeners(t *testing.T) {
	account := func(address string, does ...api.Protocol) api.Account {
		return api.Account{Address: address, Provider: "google", Protocols: does}
	}
	for name, test := range map[string]struct {
		accounts []api.Account
		want     string
	}{
		"nobody":  {nil, "smtp smtp smtp+tls smtp+tls"},
		"sending": {[]api.Account{account("a@x.example")}, "smtp smtp smtp+tls smtp+tls"},
		"IMAP":    {[]api.Account{account("a@x.example"), account("b@x.example", api.IMAP)}, "smtp smtp smtp+tls smtp+tls imap imap imap+tls imap+tls"},
		"all": {[]api.Account{account("a@x.example", api.SMTP, api.POP), account("b@x.example", api.IMAP)},
			"smtp smtp smtp+tls smtp+tls imap imap imap+tls imap+tls pop pop pop+tls pop+tls"},
	} {
		c := Default()
		c.Accounts = test.accounts
		var got []string
		for _, l := range c.Listeners() {
			got = append(got, string(l.Protocol)+map[bool]string{true: "+tls"}[l.TLS])
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q", name, got)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReadingProblems: every mistake has words that say where it is and what to do.
func TestReadingProblems(t *testing.T) {
	for name, test := range map[string]struct{ file, want string }{
		"an unknown protocol":       {"[[account]]\naddress = 'me@gmail.com'\nprotocols = ['smtp', 'pop3']\n", `config.toml:3:1: account me@gmail.com: protocols has "pop3"; use "smtp" to send, and "imap" or "pop" to read`},
		"twice":                     {"[[account]]\naddress = 'me@gmail.com'\nprotocols = ['imap', 'imap']\n", `protocols has "imap" twice; remove one`},
		"not a list":                {"[[account]]\naddress = 'me@gmail.com'\nprotocols = 'imap'\n", `"account.protocols" must be a list of texts`},
		"no server":                 {"[[account]]\naddress = 'me@yandex.com'\nprotocols = ['smtp', 'pop']\n", `no POP server is known for Yandex Mail; set pop = "pop.example.com:995" for the account or the provider, or remove "pop" from its protocols`},
		"a port that is taken":      {"listen = ['127.0.0.1:1143']\n[[account]]\naddress = 'me@gmail.com'\nprotocols = ['imap']\n", `listen_imap "127.0.0.1:1143" is already used by listen; choose another port`},
		"another kind of TLS":       {"listen_pop = ['127.0.0.1:1995']\n[[account]]\naddress = 'me@gmail.com'\nprotocols = ['pop']\n", `listen_pop_tls "127.0.0.1:1995" is already used by listen_pop`},
		"other machines":            {"listen_pop_tls = ['0.0.0.0:995']\n", `listen_pop_tls "0.0.0.0:995" can be reached from other machines; use 127.0.0.1 or [::1], or set allow_remote = true`},
		"nothing to read from":      {"listen_imap = []\nlisten_imap_tls = []\n[[account]]\naddress = 'me@gmail.com'\nprotocols = ['imap']\n", `listen_imap and listen_imap_tls are both empty, but account me@gmail.com has "imap" in its protocols; add an address to one of them`},
		"clear text":                {"[[provider]]\nid = 'corp'\nauth_url = 'https://x.example/'\ntoken_url = 'https://x.example/'\nimap = 'mail.corp.example:143'\nimap_tls = 'none'\n", `imap_tls = "none" would send tokens unencrypted to mail.corp.example`},
		"no port":                   {"[[account]]\naddress = 'me@gmail.com'\npop = 'pop.gmail.com'\n", `pop "pop.gmail.com" is not host:port; write it like "pop.example.com:995"`},
		"another mechanism":         {"[[provider]]\nid = 'google'\nimap_auth = 'plain'\n", `imap_auth is "plain"; use "xoauth2" or "oauthbearer"`},
		"a provider only to read":   {"[[provider]]\nid = 'corp'\nauth_url = 'https://x.example/'\ntoken_url = 'https://x.example/'\nimap = 'mail.corp.example:993'\n[[account]]\naddress = 'me@x.example'\nprovider = 'corp'\n", "account me@x.example: smtp is missing"},
		"a negative limit":          {"[[provider]]\nid = 'google'\nread_connections = -1\n", "must not be negative"},
		"it reads":                  {"[[provider]]\nid = 'corp'\nauth_url = 'https://x.example/'\ntoken_url = 'https://x.example/'\nimap = 'mail.corp.example:993'\n[[account]]\naddress = 'me@x.example'\nprovider = 'corp'\nprotocols = ['imap']\n", ""},
		"nobody needs SMTP":         {"listen = []\nlisten_tls = []\n[[account]]\naddress = 'me@gmail.com'\nprotocols = ['imap']\n", ""},
		"ports that are not opened": {"listen = ['127.0.0.1:1143']\nlisten_tls = ['127.0.0.1:1993']\n[[account]]\naddress = 'me@gmail.com'\n", ""},
	} {
		path := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(path, []byte(test.file), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

// TestReadingServers: the account's server goes before the provider's, and the port says how it does TLS.
func TestReadingServers(t *testing.T) {
	for server, want := range map[string]string{
		"": "imap.gmail.com:993 implicit", "mail.x.example:143": "mail.x.example:143 starttls",
		"mail.x.example:993": "mail.x.example:993 implicit", "mail.x.example:9": "mail.x.example:9 implicit",
	} {
		p, err := Default().Resolve(api.Account{Address: "me@gmail.com", IMAP: server})
		if address, tls := p.Server(api.IMAP); err != nil || address+" "+tls != want {
			t.Errorf("%s: %s %s, %v", server, address, tls, err)
		}
	}
	c := Default()
	c.Providers = []Provider{{ID: "google", IMAP: "mail.x.example:143", ReadConnections: 3, POPAuth: "oauthbearer"}}
	p, _ := c.Provider("google")
	if p.IMAPTLS != "starttls" || p.POP != "pop.gmail.com:995" || p.ReadConnections != 3 || p.Auth(api.POP) != "oauthbearer" {
		t.Errorf("%+v", p)
	}
}

// TestReadingIsWritten: what an account does and where programs connect survive being written.
func TestReadingIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	want := api.Account{Address: "me@gmail.com", Protocols: []api.Protocol{api.SMTP, api.IMAP}, IMAP: "imap.x.example:143", POP: "pop.x.example:995"}
	own := Provider{ID: "corp", Name: "Corp", AuthURL: "https://x.example/", TokenURL: "https://x.example/", SMTP: "x.example:587", IMAP: "x.example:993", IMAPScopes: []string{"read"}, ReadConnections: 4}
	if err := AddAccounts(path, []Provider{own}, []api.Account{want}); err != nil {
		t.Fatal(err)
	}
	lists := []*[]string{{"127.0.0.1:2143"}, {"127.0.0.1:2993"}, {}, {"127.0.0.1:2995"}}
	change := Default().Changes(api.SettingsChange{ListenIMAP: lists[0], ListenIMAPTLS: lists[1], ListenPOP: lists[2], ListenPOPTLS: lists[3]})
	if err := change.Write(path); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil || len(c.Accounts) != 1 || !c.Accounts[0].Equal(want) || !reflect.DeepEqual(c.Providers, []Provider{own}) {
		t.Errorf("%+v, %v", c, err)
	}
	text, _ := os.ReadFile(path)
	for i, list := range [][]string{c.ListenIMAP, c.ListenIMAPTLS, c.ListenPOP, c.ListenPOPTLS} {
		if !slices.Equal(list, *lists[i]) {
			t.Errorf("list %d: %q\n%s", i, list, text)
		}
	}
	if !strings.Contains(string(text), "protocols = [\"smtp\", \"imap\"]\n") {
		t.Errorf("%s", text)
	}
	want.Protocols = nil
	if err := AddAccounts(path, nil, []api.Account{want}); err != nil {
		t.Fatal(err)
	}
	if c, err = Load(path); err != nil || c.Uses(api.IMAP) {
		t.Errorf("%+v, %v", c.Accounts, err)
	}
}
