package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/emailproxy"
)

const proxyServers = `[SMTP-1587]
server_address = smtp.office365.com
server_port = 587
server_starttls = True
[SMTP-2465]
server_address = smtp.gmail.com
server_port = 465
`

// TestEmailProxyProviders finds the provider by an account's URLs, scopes and servers.
func TestEmailProxyProviders(t *testing.T) {
	account := func(lines string) string { return "[me@corp.example]\nclient_id = id\n" + lines }
	const microsoft = "https://login.microsoftonline.com/"
	for name, c := range map[string]struct {
		file string
		want Provider // only what is compared
		own  bool     // it is added to the configuration
		err  string
	}{
		"as in the catalogue": {file: account("token_url = https://oauth2.googleapis.com/token"), want: Provider{ID: "google", SMTP: "smtp.gmail.com:465"}},
		"an endpoint of old": {file: account("permission_url = https://accounts.google.com/o/oauth2/auth\ntoken_url = https://www.googleapis.com/oauth2/v4/token"),
			want: Provider{ID: "google", SMTP: "smtp.gmail.com:465"}},
		"Microsoft": {file: account("token_url = " + microsoft + "common/oauth2/v2.0/token"), want: Provider{ID: "microsoft", SMTP: "smtp.office365.com:587"}},
		"one tenant": {file: account("permission_url = " + microsoft + "1-2/oauth2/v2.0/authorize\ntoken_url = " + microsoft + "1-2/oauth2/v2.0/token"), own: true,
			want: Provider{ID: "microsoft-1-2", SMTP: "smtp.office365.com:587"}},
		"a national cloud": {file: proxyServers + account("token_url = https://login.microsoftonline.us/organizations/oauth2/v2.0/token\noauth2_scope = https://outlook-dod.office365.us/SMTP.Send"),
			want: Provider{ID: "microsoft-dod", SMTP: "outlook-dod.office365.us:587"}},
		"the server of a national cloud": {file: "[SMTP-1]\nserver_address = outlook-dod.office365.us\nserver_port = 587\nserver_starttls = 1\n" +
			account("token_url = https://login.microsoftonline.us/1-2/oauth2/v2.0/token"), own: true,
			want: Provider{ID: "microsoft-dod-1-2", SMTP: "outlook-dod.office365.us:587"}},
		"an older name of a national cloud": {file: "[SMTP-1]\nserver_address = smtp.partner.outlook.cn\nserver_port = 587\nserver_starttls = 1\n" + proxyServers +
			account("permission_url = https://login.chinacloudapi.cn/common/oauth2/v2.0/authorize\ntoken_url = https://login.chinacloudapi.cn/common/oauth2/v2.0/token\noauth2_scope = https://partner.outlook.cn/SMTP.Send offline_access"), own: true,
			want: Provider{ID: "chinacloudapi.cn", SMTP: "smtp.partner.outlook.cn:587"}},
		"the other name of Exchange Online": {file: account("token_url = " + microsoft + "common/oauth2/v2.0/token\noauth2_scope = https://outlook.office365.com/IMAP.AccessAsUser.All https://outlook.office365.com/SMTP.Send"),
			want: Provider{ID: "microsoft", SMTP: "smtp.office365.com:587"}},
		"another server of Microsoft's": {file: "[SMTP-1]\nserver_address = smtp-mail.outlook.com\nserver_port = 587\nserver_starttls = 1\n" +
			account("token_url = "+microsoft+"common/oauth2/v2.0/token"), want: Provider{ID: "microsoft", SMTP: "smtp.office365.com:587"}},
		"scopes of its own": {file: account("token_url = " + microsoft + "common/oauth2/v2.0/token\noauth2_scope = https://outlook.office365.com/.default"), own: true,
			want: Provider{ID: "microsoft-2", SMTP: "smtp.office365.com:587"}},
		"a server of its own": {file: "[SMTP-1]\nserver_address = mail.corp.example\nserver_port = 587\nserver_starttls = 1\n" +
			account("token_url = "+microsoft+"common/oauth2/v2.0/token\noauth2_scope = https://mail.corp.example/SMTP.Send"), own: true,
			want: Provider{ID: "microsoft-corp.example", SMTP: "mail.corp.example:587"}},
		"a server that must not get the token": {file: "[SMTP-1]\nserver_address = mail.corp.example\nserver_port = 587\nserver_starttls = 1\n" +
			account("token_url = https://oauth2.googleapis.com/token\noauth2_scope = https://mail.google.com/"), want: Provider{ID: "google", SMTP: "smtp.gmail.com:465"}},
		"another port": {file: "[SMTP-1]\nserver_address = smtp.gmail.com\nserver_port = 587\nserver_starttls = 1\n" +
			account("token_url = https://oauth2.googleapis.com/token"), want: Provider{ID: "google", SMTP: "smtp.gmail.com:587"}},
		"a redirect with a path": {file: account("token_url = " + microsoft + "common/oauth2/v2.0/token\nredirect_uri = http://localhost:8080/back"), own: true,
			want: Provider{ID: "microsoft-2", SMTP: "smtp.office365.com:587"}},
		"the mail password as the secret": {file: "[emailproxy]\nuse_login_password_as_client_credentials_secret = True\n" +
			account("oauth2_flow = client_credentials\noauth2_scope = https://outlook.office365.com/.default\ntoken_url = "+microsoft+"1-2/oauth2/v2.0/token"), own: true,
			want: Provider{ID: "microsoft-1-2-app", Grant: "client_credentials", SMTP: "smtp.office365.com:587"}},
		"no secret of a program": {file: account("oauth2_flow = client_credentials\ntoken_url = " + microsoft + "1-2/oauth2/v2.0/token"), err: "client secret is missing"},
		"a certificate":          {file: account("jwt_certificate_path = /c.pem\ntoken_url = " + microsoft + "1-2/oauth2/v2.0/token"), err: "certificate (jwt_certificate_path)"},
		"a shared mailbox":       {file: "[me@corp.example\\shared@corp.example]\nclient_id = x\ntoken_url = x", err: "add the mailbox shared@corp.example"},
		"the cache alone":        {file: "[me@corp.example]\ntoken_salt = x\nrefresh_token = x", err: "--cache-store"},
		"a code": {file: account("oauth2_flow = device\npermission_url = " + microsoft + "common/oauth2/v2.0/devicecode\ntoken_url = " + microsoft + "common/oauth2/v2.0/token"),
			want: Provider{ID: "microsoft", SMTP: "smtp.office365.com:587"}},
		"a program's own right": {file: account("oauth2_flow = client_credentials\nclient_secret = s\noauth2_scope = all\ntoken_url = " + microsoft + "1-2/oauth2/v2.0/token"), own: true,
			want: Provider{ID: "microsoft-1-2-app", Grant: "client_credentials", SMTP: "smtp.office365.com:587"}},
		"a service account": {file: "[me@corp.example]\nclient_id = key\noauth2_flow = service_account\noauth2_scope = https://mail.google.com/\ntoken_url = https://oauth2.googleapis.com/token\nclient_secret = {\n  \"client_email\": \"x@y.example\", \"private_key\": \"p\"}\n", own: true,
			want: Provider{ID: "google-app", Grant: "jwt_bearer", SMTP: "smtp.gmail.com:465"}},
		"one server left": {file: proxyServers + "[SMTP-3587]\nserver_address = out.other.example\nserver_port = 465\n" +
			account("permission_url = https://login.elsewhere.example/a\ntoken_url = https://login.elsewhere.example/t\nredirect_uri = http://localhost:8080/back\noauth2_scope = a b"), own: true,
			want: Provider{ID: "elsewhere.example", SMTP: "out.other.example:465"}},
		"the server of its domain": {file: "[SMTP-1]\nserver_address = out.other.example\nserver_port = 465\n[SMTP-2]\nserver_address = mx.corp.example\nserver_port = 587\nstarttls = on\n" +
			account("permission_url = https://login.elsewhere.example/a\ntoken_url = https://login.elsewhere.example/t"), own: true,
			want: Provider{ID: "elsewhere.example", SMTP: "mx.corp.example:587"}},
		"no server":             {file: proxyServers + account("permission_url = https://login.corp.example/a\ntoken_url = https://login.corp.example/t"), err: "which mail server"},
		"a code elsewhere":      {file: "[SMTP-1]\nserver_address = mx.corp.example\nserver_port = 587\n" + account("oauth2_flow = device\ntoken_url = https://login.corp.example/t"), err: "signs in with a code"},
		"no page to sign in":    {file: "[SMTP-1]\nserver_address = mx.corp.example\nserver_port = 587\n" + account("token_url = https://login.corp.example/t"), err: "auth_url is missing"},
		"no token endpoint":     {file: account(""), err: "token_url is missing"},
		"one without TLS":       {file: account("token_url = http://login.corp.example/t"), err: "https://"},
		"no client ID":          {file: "[me@corp.example]\ntoken_url = https://oauth2.googleapis.com/token", err: "client_id is missing"},
		"a resource":            {file: account("oauth2_resource = x\ntoken_url = " + microsoft + "common/oauth2/token"), err: "oauth2_resource"},
		"a flow of tomorrow":    {file: account("oauth2_flow = telepathy\ntoken_url = x"), err: "telepathy"},
		"a key in a file":       {file: "[me@corp.example]\nclient_id = file\noauth2_flow = service_account\ntoken_url = x\nclient_secret = /key.json", err: "that file as the client secret"},
		"no key":                {file: "[me@corp.example]\nclient_id = key\noauth2_flow = service_account\ntoken_url = x\nclient_secret = SECRET", err: "not the JSON key"},
		"no mail address":       {file: "[me@]\nclient_id = x\ntoken_url = https://oauth2.googleapis.com/token", err: "its name"},
		"a token with a line":   {file: account("client_secret = SECRET\n  more\ntoken_url = https://oauth2.googleapis.com/token"), err: "client_secret contains a control character"},
		"the same one again":    {file: account("token_url = https://oauth2.googleapis.com/token\n[ME@corp.example]"), want: Provider{ID: "google", SMTP: "smtp.gmail.com:465"}, err: "another section has the same address"},
		"tokens without a salt": {file: account("refresh_token = x\ntoken_url = https://oauth2.googleapis.com/token"), err: "token_salt"},
	} {
		file, err := emailproxy.Parse([]byte(c.file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m := Default().FromEmailProxy(file, map[string]string{"me@corp.example": "pw"})
		var problems string
		for _, p := range m.Problems {
			problems += p.Problem.Error()
		}
		if (c.err == "") != (problems == "") || !strings.Contains(problems, c.err) || strings.Contains(problems, "SECRET") {
			t.Errorf("%s: problems %q; want %q", name, problems, c.err)
		}
		if c.want.ID == "" {
			if len(m.Entries) != 0 {
				t.Errorf("%s: %+v", name, m.Entries)
			}
			continue
		}
		if len(m.Entries) != 1 || (len(m.Providers) == 1) != c.own {
			t.Errorf("%s: entries %+v, providers %+v", name, m.Entries, m.Providers)
			continue
		}
		cfg := Default()
		cfg.Providers, cfg.Accounts = m.Providers, []api.Account{m.Entries[0].Account}
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p, err := cfg.Resolve(m.Entries[0].Account)
		if got := (Provider{ID: p.ID, Grant: p.Grant, SMTP: p.SMTP}); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
}

// TestEmailProxyTenant: the tenant is in every URL of the provider that is added.
func TestEmailProxyTenant(t *testing.T) {
	file, err := emailproxy.Parse([]byte("[me@corp.example]\nclient_id = id\ntoken_url = https://login.microsoftonline.com/1-2/oauth2/v2.0/token\n"))
	if err != nil {
		t.Fatal(err)
	}
	m := Default().FromEmailProxy(file, nil)
	if len(m.Providers) != 1 {
		t.Fatalf("%+v, %+v", m.Providers, m.Problems)
	}
	for _, u := range []string{m.Providers[0].AuthURL, m.Providers[0].TokenURL, m.Providers[0].DeviceURL} {
		if !strings.HasPrefix(u, "https://login.microsoftonline.com/1-2/oauth2/v2.0/") {
			t.Errorf("%s", u)
		}
	}
}

// TestEmailProxyLeavesNothingSilently: what is not carried over is named, with what to do.
func TestEmailProxyLeavesNothingSilently(t *testing.T) {
	const google = "[me@gmail.com]\nclient_id = id\ntoken_url = https://oauth2.googleapis.com/token\noauth2_scope = https://mail.google.com/\n"
	const microsoft = "[me@corp.example]\nclient_id = id\ntoken_url = https://login.microsoftonline.com/common/oauth2/v2.0/token\n"
	const gmailServer = "[SMTP-2465]\nserver_address = smtp.gmail.com\nserver_port = 465\nlocal_address = 127.0.0.1\n"
	const catchAll = "\ntoken_url = https://login.microsoftonline.com/1-2/oauth2/v2.0/token\nclient_id = shared\nclient_secret = SECRET\n[emailproxy]\nallow_catch_all_accounts = "
	for name, c := range map[string]struct {
		file      string
		left      []string // parts of each, in order
		warned    []string
		providers int
	}{
		"everything is carried over": {file: gmailServer + google, warned: []string{"takes over port 2465"}},
		"a domain": {file: google + "[@corp.example]" + catchAll + "on", providers: 1,
			left: []string{"[@corp.example] stands for all addresses at corp.example, but Waxseal needs each of them; add those that are not in the file, with the provider microsoft-1-2 and the client ID shared (`waxseal account add ADDRESS`)"}},
		"all domains and no account": {file: "[@]\nredirect_uri = https://localhost" + catchAll + "on", providers: 1,
			left: []string{"[@] stands for all addresses, but", "the registration of @ has the redirect address https://localhost"}},
		"a catch-all that is off": {file: google + "[@]" + catchAll + "off", warned: []string{"allow_catch_all_accounts is off"}},
		"other machines": {file: "[SMTP-25]\nserver_address = smtp.gmail.com\nserver_port = 465\nlocal_address = 192.0.2.1\n" + google,
			left: []string{"[SMTP-25] accepts mail programs on other machines (192.0.2.1)"}, warned: []string{"port 25 "}},
		"only this machine": {file: "[SMTP-25]\nserver_address = smtp.gmail.com\nserver_port = 465\nlocal_address = ::1\n" + google, warned: []string{"port 25 "}},
		"a certificate of its own": {file: "[SMTP-25]\nserver_address = smtp.gmail.com\nserver_port = 465\nlocal_address = localhost\nlocal_certificate_path = /c\nplugins = {}\n" + google,
			left: []string{"[SMTP-25] with TLS", "[SMTP-25] has plugins"}, warned: []string{"port 25 "}},
		"a port of Waxseal's": {file: "[IMAP-1587]\nserver_address = imap.gmail.com\nserver_port = 993\nlocal_address = 127.0.0.1\n[SMTP-9587]\nserver_address = smtp.gmail.com\nserver_port = 465\nlocal_address = 127.0.0.1\n" + google,
			left: []string{"already uses port 9587 for something else"}, warned: []string{"takes over port 1587"}},
		"a server for nobody": {file: "[IMAP-1993]\nserver_address = outlook.office365.com\nserver_port = 993\nlocal_address = ::1\n[POP-1995]\n" + microsoft + "oauth2_scope = https://outlook.office.com/SMTP.Send\n",
			warned: []string{"[POP-1995] was left out: it needs", "[IMAP-1993] was left out: no imported account may use it"}},
		"a sample":     {file: google + "[your.email@example.com]\nclient_id = *** your client id here ***\n", warned: []string{"[your.email@example.com] was left out: it is a sample"}},
		"odd sections": {file: google + "[me]\ntoken_url = x\n[SMTP-1]\nserver_address = x\n" + google, left: []string{"[me] has the settings of an account"}, warned: []string{"[SMTP-1] was left out", "[me@gmail.com] occurs twice"}},
		"all machines": {file: strings.Replace(gmailServer, "local_address", "#", 1) + google, warned: []string{"[SMTP-2465] also accepts mail programs on other machines", "port 2465"}},
		"for all servers": {file: "[DEFAULT]\nlocal_address = 0.0.0.0\nserver_address = smtp.gmail.com\n[SMTP-25]\nserver_port = 465\n" + google,
			left: []string{"[SMTP-25] accepts mail programs on other machines (0.0.0.0)"}, warned: []string{"port 25 "}},
		"twice":           {file: google + "Client_ID = other\n", warned: []string{"the setting [me@gmail.com] client_id occurs twice"}},
		"its own options": {file: google + "[emailproxy]\nencrypt_client_secret_on_first_use = True\nshade = dark\n", warned: []string{"the setting [emailproxy] shade is not known"}},
		"odd settings":    {file: google + "colour = green\n", warned: []string{"the setting [me@gmail.com] colour is not known"}},
		"only receiving":  {file: microsoft + "oauth2_scope = https://outlook.office.com/IMAP.AccessAsUser.All offline_access\nrefresh_token = x\ntoken_salt = eA==\n", left: []string{"may only receive mail, not send it (https://outlook.office.com/IMAP.AccessAsUser.All offline_access); make sure that its registration has the permission https://outlook.office.com/SMTP.Send"}},
		"another server": {file: "[SMTP-25]\nserver_address = mail.corp.example\nserver_port = 587\nserver_starttls = 1\nlocal_address = 127.0.0.1\n" + microsoft + "oauth2_scope = https://outlook.office.com/SMTP.Send\n",
			left: []string{"me@corp.example now sends through smtp.office365.com:587, which is not one of the file’s SMTP servers"}, warned: []string{"port 25 "}},
		"its own password": {file: microsoft + "oauth2_flow = password\n", left: []string{"me@corp.example has signed in with its own password (oauth2_flow = password), which Waxseal does not do; sign in with the browser (`waxseal account reauthorize me@corp.example`)"}},
		"a port for it":    {file: google + "redirect_uri = http://localhost:8080\n", warned: []string{"the redirect address of me@gmail.com has a port (http://localhost:8080), but Waxseal uses any free port"}},
		"any port for it":  {file: microsoft + "redirect_uri = http://localhost:8080\n"},
		"another redirect": {file: google + "redirect_uri = https://localhost\n", left: []string{"has the redirect address https://localhost, which Waxseal cannot use; add http://127.0.0.1 to the registration"}},
	} {
		file, err := emailproxy.Parse([]byte(c.file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m := Default().FromEmailProxy(file, nil)
		if len(m.Problems) > 0 || len(m.Entries) != len(file.Accounts) || len(m.Providers) != c.providers {
			t.Errorf("%s: problems %+v, %d entries, providers %+v", name, m.Problems, len(m.Entries), m.Providers)
		}
		for _, list := range []struct {
			kind string
			got  []api.Problem
			want []string
		}{{"left", m.Left, c.left}, {"warnings", m.Warnings, c.warned}} {
			ok := len(list.got) == len(list.want)
			for i := 0; ok && i < len(list.got); i++ {
				ok = strings.Contains(list.got[i].Error(), list.want[i]) && !strings.Contains(list.got[i].Error(), "SECRET")
			}
			if !ok {
				var got []string
				for _, p := range list.got {
					got = append(got, p.Error())
				}
				t.Errorf("%s: %s:\n%s\nwant %q", name, list.kind, strings.Join(got, "\n"), list.want)
			}
		}
		for _, e := range m.Entries {
			if name == "only receiving" && (e.Sealed || e.RefreshToken != "") {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
}

// TestEmailProxyTwice: what one import adds is found by the next.
func TestEmailProxyTwice(t *testing.T) {
	text := "[SMTP-1]\nserver_address = mail.corp.example\nserver_port = 587\nserver_starttls = 1\n"
	for i, scope := range []string{"https://mail.corp.example/SMTP.Send", "https://outlook.office365.com/.default"} {
		for _, tenant := range []string{"common", "1-2"} {
			text += fmt.Sprintf("[u%d@%s.example]\nclient_id = id\noauth2_scope = %s\ntoken_url = https://login.microsoftonline.com/%s/oauth2/v2.0/token\n", i, tenant, scope, tenant)
		}
	}
	file, err := emailproxy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	first := cfg.FromEmailProxy(file, nil)
	cfg.Providers = first.Providers
	second := cfg.FromEmailProxy(file, nil)
	if len(first.Entries) != 4 || len(first.Providers) != 4 || len(second.Providers) != 0 || !reflect.DeepEqual(first.Entries, second.Entries) {
		t.Errorf("first %+v\nsecond %+v", first, second)
	}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
}

// TestEmailProxyReading: accounts go on reading as the file lets them, and mail programs keep their
// ports. The servers and scopes are those of that program's own samples.
func TestEmailProxyReading(t *testing.T) {
	server := func(section, address string, port int, more string) string {
		return fmt.Sprintf("[%s]\nserver_address = %s\nserver_port = %d\nlocal_address = localhost\n%s\n", section, address, port, more)
	}
	const (
		google  = "[me@gmail.com]\nclient_id = id\ntoken_url = https://oauth2.googleapis.com/token\noauth2_scope = https://mail.google.com/\n"
		token   = "[me@corp.example]\nclient_id = id\ntoken_url = https://login.microsoftonline.com/common/oauth2/v2.0/token\noauth2_scope = "
		old     = "https://outlook.office365.com/"
		all     = token + old + "IMAP.AccessAsUser.All " + old + "POP.AccessAsUser.All " + old + "SMTP.Send offline_access\n"
		unknown = "[me@corp.example]\nclient_id = id\npermission_url = https://login.corp.example/a\ntoken_url = https://login.corp.example/t\noauth2_scope = mail\n"
	)
	outlook := server("IMAP-1993", "outlook.office365.com", 993, "") + server("POP-1995", "outlook.office365.com", 995, "") +
		server("SMTP-1587", "smtp.office365.com", 587, "server_starttls = True")
	for name, c := range map[string]struct {
		file      string
		does      string // of the first account
		imap, pop string // of the first account
		listen    string // what Settings changes
	}{
		"the sample": {file: outlook + all, does: "[smtp imap pop]", imap: "outlook.office365.com:993", pop: "outlook.office365.com:995",
			listen: "imap [127.0.0.1:1143 [::1]:1143 127.0.0.1:1993 [::1]:1993] imap_tls [] pop [127.0.0.1:1110 [::1]:1110 127.0.0.1:1995 [::1]:1995] pop_tls []"},
		"Gmail": {file: server("IMAP-2993", "imap.gmail.com", 993, "") + google, does: "[smtp imap]", imap: "imap.gmail.com:993", pop: "pop.gmail.com:995",
			listen: "imap [127.0.0.1:1143 [::1]:1143 127.0.0.1:2993 [::1]:2993]"},
		"with TLS": {file: server("IMAP-2993", "imap.gmail.com", 993, "local_certificate_path = /c") + google, does: "[smtp imap]", imap: "imap.gmail.com:993", pop: "pop.gmail.com:995",
			listen: "imap_tls [127.0.0.1:1993 [::1]:1993 127.0.0.1:2993 [::1]:2993]"},
		"with STARTTLS": {file: server("IMAP-2993", "imap.gmail.com", 993, "local_certificate_path = /c\nlocal_starttls = True") + google, does: "[smtp imap]", imap: "imap.gmail.com:993", pop: "pop.gmail.com:995",
			listen: "imap [127.0.0.1:1143 [::1]:1143 127.0.0.1:2993 [::1]:2993]"},
		"only reading": {file: server("IMAP-1143", "imap-mail.outlook.com", 993, "") + token + old + "IMAP.AccessAsUser.All offline_access", does: "[imap]",
			imap: "outlook.office365.com:993", pop: "outlook.office365.com:995"},
		"only sending": {file: outlook + token + old + "SMTP.Send", does: "[]", imap: "outlook.office365.com:993", pop: "outlook.office365.com:995"},
		"as a program": {file: outlook + "[me@corp.example]\nclient_id = id\nclient_secret = s\noauth2_flow = client_credentials\ntoken_url = https://login.microsoftonline.com/1-2/oauth2/v2.0/token\noauth2_scope = " + old + ".default\n",
			does: "[smtp imap pop]", imap: "outlook.office365.com:993", pop: "outlook.office365.com:995",
			listen: "imap [127.0.0.1:1143 [::1]:1143 127.0.0.1:1993 [::1]:1993] imap_tls [] pop [127.0.0.1:1110 [::1]:1110 127.0.0.1:1995 [::1]:1995] pop_tls []"},
		"another provider": {file: server("IMAP-1143", "imap.corp.example", 143, "server_starttls = True") + server("SMTP-2587", "smtp.corp.example", 465, "") + unknown, does: "[smtp imap]",
			imap: "imap.corp.example:143", listen: "smtp [127.0.0.1:1587 [::1]:1587 127.0.0.1:2587 [::1]:2587]"},
		"another provider to read at": {file: server("POP-1110", "pop.corp.example", 995, "") + unknown, does: "[pop]", pop: "pop.corp.example:995"},
	} {
		file, err := emailproxy.Parse([]byte(c.file))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		m := Default().FromEmailProxy(file, nil)
		if len(m.Entries) != 1 {
			t.Errorf("%s: %+v", name, m.Problems)
			continue
		}
		cfg := Default()
		cfg.Changes(m.Settings).Apply(&cfg)
		cfg.Providers, cfg.Accounts = m.Providers, []api.Account{m.Entries[0].Account}
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p, err := cfg.Resolve(cfg.Accounts[0])
		if err != nil || fmt.Sprint(cfg.Accounts[0].Protocols) != c.does || p.IMAP != c.imap || p.POP != c.pop {
			t.Errorf("%s: %v, %q %q, %v", name, cfg.Accounts[0].Protocols, p.IMAP, p.POP, err)
		}
		if !p.granted(m.Entries[0].Scopes, cfg.Accounts[0].Does()[0]) {
			t.Errorf("%s: the scopes are not granted: %+v", name, p)
		}
		var listen []string
		for i, list := range []*[]string{m.Settings.Listen, m.Settings.ListenTLS, m.Settings.ListenIMAP, m.Settings.ListenIMAPTLS, m.Settings.ListenPOP, m.Settings.ListenPOPTLS} {
			if list != nil {
				listen = append(listen, fmt.Sprint([]string{"smtp", "smtp_tls", "imap", "imap_tls", "pop", "pop_tls"}[i], " ", *list))
			}
		}
		if got := strings.Join(listen, " "); got != c.listen {
			t.Errorf("%s: listens on\n%s, want\n%s", name, got, c.listen)
		}
		cfg.Changes(m.Settings).Apply(&cfg)
		if again := cfg.FromEmailProxy(file, nil); again.Settings != (api.SettingsChange{}) || len(again.Providers) > 0 || !reflect.DeepEqual(again.Entries, m.Entries) {
			t.Errorf("%s: the second import changes %+v", name, again)
		}
	}
}

// TestEmailProxyLeavesPortsInUse: an account that reads keeps its ports.
func TestEmailProxyLeavesPortsInUse(t *testing.T) {
	file, err := emailproxy.Parse([]byte("[IMAP-1993]\nserver_address = imap.gmail.com\nserver_port = 993\nlocal_address = ::1\n[me@gmail.com]\nclient_id = id\ntoken_url = https://oauth2.googleapis.com/token\n"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Accounts = []api.Account{{Address: "you@gmail.com", Protocols: []api.Protocol{api.IMAP}}}
	m := cfg.FromEmailProxy(file, nil)
	if len(m.Left) != 1 || !strings.Contains(m.Left[0].Error(), "already uses port 1993") || m.Settings != (api.SettingsChange{}) {
		t.Errorf("%+v, %+v", m.Left, m.Settings)
	}
}
