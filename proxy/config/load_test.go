package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
	"github.com/waxseal/waxseal/proxy/api"
)

// fullConfig has most keys.
const fullConfig = `
listen       = ["127.0.0.1:1587", "[::1]:1587"]   # plain, STARTTLS offered
listen_tls   = ["127.0.0.1:1465"]
metrics      = ""
keystore     = "file"
max_connections = 7
idle_timeout = "90s"

[[provider]]
id = "corp"
name = "Corp Mail"
domains = ["corp.example"]
auth_url = "https://login.corp.example/authorize"
token_url = "https://login.corp.example/token"
device_url = ""
scopes = ["mail.send"]
client_id = "abc"
smtp = "smtp.corp.example:587"
smtp_tls = "starttls"
hello = "[IPv6:2001:db8::1]"
ca_file = "corp.pem"
max_connections = 4
[provider.auth_params]
tenant = "x"

[[account]]
address = "me@corp.example"
provider = "corp"
login = "boss@corp.example"
`

func TestLoadReadsEveryKey(t *testing.T) {
	path := writeTestConfig(t, fullConfig)
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.ListenTLS = []string{"127.0.0.1:1465"}
	want.Metrics, want.Keystore, want.MaxConnections = "", "file", 7
	want.IdleTimeout = Duration(90 * time.Second)
	want.Providers = []Provider{{
		ID: "corp", Name: "Corp Mail", Domains: []string{"corp.example"},
		AuthURL: "https://login.corp.example/authorize", TokenURL: "https://login.corp.example/token",
		Scopes: []string{"mail.send"}, AuthParams: map[string]string{"tenant": "x"}, ClientID: "abc",
		SMTP: "smtp.corp.example:587", SMTPTLS: "starttls", Hello: "[IPv6:2001:db8::1]", MaxConnections: 4,
		CAFile: filepath.Join(filepath.Dir(path), "corp.pem"), // relative to the file
	}}
	want.Accounts = []api.Account{{Address: "me@corp.example", Provider: "corp", Login: "boss@corp.example"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestLoadMissingFileMeansDefaults(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "no", "config.toml")
	got, err := Load(path)
	if err != nil || !reflect.DeepEqual(got, Default()) {
		t.Errorf("Load = %+v, %v", got, err)
	}
	if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("ReadConfig of a vanished file: %v", err)
	}
	if err := Default().Validate(); err != nil {
		t.Errorf("the defaults are not valid: %v", err)
	}
}

func TestLoadZerosAndWindowsText(t *testing.T) {
	const text = "max_connections = 0\r\nidle_timeout = \"0s\"\r\nkeystore = \"\"\r\n"
	for name, content := range encodings(text) {
		got, err := Load(writeTestConfig(t, content))
		if err != nil || !reflect.DeepEqual(got, Default()) {
			t.Errorf("%s: Load = %+v, %v", name, got, err)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	const account = "[[account]]\naddress = \"me@gmail.com\"\n"
	const corp = "[[provider]]\nid = \"corp\"\nauth_url = \"https://c.example/a\"\ntoken_url = \"https://c.example/t\"\nsmtp = \"smtp.c.example:587\"\n"
	for name, test := range map[string]struct {
		text string
		want []string // in the error, in any order
	}{
		"syntax":             {"\nlisten = [", []string{":2:10: not valid TOML"}},
		"not UTF-8":          {"keystore = '\xff'", []string{": this is binary data, or text in an older encoding such as Windows-1252; save it as plain text in UTF-8"}},
		"misspelt key":       {"\n\n  listn = []", []string{`:3:3: unknown key "listn"; did you mean "listen"?`}},
		"misspelt table":     {"[[accounts]]\naddress = 'x'", []string{`:1:3: unknown key "accounts"; did you mean "account"?`}},
		"unknown key":        {"frobnicate = 1", []string{`:1:1: unknown key "frobnicate"; remove it. Known here: listen, listen_tls, `}},
		"two unknown keys":   {"aa = 1\n" + account + "bb = 2", []string{`:1:1: unknown key "aa"`, `:4:1: unknown key "bb"; remove it. Known here: address, provider, login`}},
		"key below a table":  {account + "metrics = ''", []string{`:3:1: unknown key "metrics" in [[account]]; move it above the first [[...]]`}},
		"key below [tls]":    {"[tls]\nmetrics = ''", []string{`:2:1: unknown key "metrics" in [tls]; move it above`}},
		"misspelt in [tls]":  {"[tls]\ncertificat = ''", []string{`:2:1: unknown key "certificat"; did you mean "certificate"?`}},
		"half of [tls]":      {"[tls]\nkey = 'k.pem'", []string{`:1:2: [tls] needs both certificate and key`}},
		"tls is no table":    {"tls = 'k.pem'", []string{`:1:7: "tls" must be written as a table: a line [tls]`}},
		"balancer by name":   {"[proxy_protocol]\nfrom = ['lb.example']", []string{`:2:1: [proxy_protocol] from: "lb.example" is not an address or a network; write it like`}},
		"host in a network":  {"[proxy_protocol]\nfrom = ['10.0.0.5/8']", []string{`:2:1: [proxy_protocol] from: "10.0.0.5/8" is an address in a network; write "10.0.0.5" for that address alone, or "10.0.0.0/8" for the network`}},
		"one balancer":       {"[proxy_protocol]\nfrom = '10.0.0.5'", []string{`:2:8: "proxy_protocol.from" must be a list of texts`}},
		"key in a wrong one": {"[proxy_protocol]\nhostname = 'x'", []string{`:2:1: unknown key "hostname" in [proxy_protocol]; move it above`}},
		"hostname":           {"hostname = 'two words'", []string{`:1:1: hostname: `, "is not a domain name such as"}},
		"account key on top": {"login = 'x'", []string{`:1:1: unknown key "login"; it belongs below an [[account]] line`}},
		"a secret":           {"[[provider]]\nclient_secret = 'x'", []string{`:2:1: unknown key "client_secret"; secrets do not belong`, "account import"}},
		"key twice":          {"keystore = 'file'\nkeystore = 'file'", []string{":2:1: key keystore is already defined; remove one"}},
		"wrong type":         {"listen = 5", []string{`:1:10: "listen" must be a list of texts`}},
		"wrong type in list": {"listen = [5]", []string{`:1:11: "listen" must be a list of texts`}},
		"wrong number":       {account + "max_connections = 'three'", []string{`:3:19: "account.max_connections" must be a whole number`}},
		"wrong bool":         {"allow_remote = 'yes'", []string{`"allow_remote" must be true or false`}},
		"wrong map":          {"[[provider]]\nid = 'c'\nauth_params = { a = 1 }", []string{`:3:21: "provider.auth_params" must be a table of texts`}},
		"huge number":        {"max_connections = 99999999999999999999", []string{`:1:19: "max_connections": decimal number is too large`}},
		"wrong duration":     {"idle_timeout = '5 minutes'", []string{`:1:16: "idle_timeout": "5 minutes" is not a length of time; write it like "5m"`}},
		"bare duration":      {"idle_timeout = 300", []string{`:1:1: idle_timeout is 300ns, which is too short`}},
		"bare delay":         {"drain_delay = 10", []string{`:1:1: drain_delay is 10ns, which is too short; write it with its unit, like "10s"`}},
		"delay for nobody":   {"drain_delay = '10s'\nmetrics = ''", []string{`:1:1: drain_delay is set, but metrics is empty`, "set metrics, or remove drain_delay"}},
		"negative delay":     {"drain_delay = '-5s'", []string{`:1:1: drain_delay is -5s`}},
		"scalar account":     {"account = 1", []string{`:1:11: "account" must be written as a table: a line [[account]]`}},
		"keystore":           {"\nkeystore = 'sytem'", []string{`:2:1: keystore is "sytem"; use system, file, etcd or memory`}},
		"no listener":        {"listen = []\nlisten_tls = []", []string{":1:1: listen and listen_tls are both empty"}},
		"remote":             {"listen = ['0.0.0.0:25']", []string{`:1:1: listen "0.0.0.0:25" can be reached from other machines`, "allow_remote = true"}},
		"remote by name":     {"metrics = 'example.com:80'", []string{"can be reached from other machines"}},
		"remote by nothing":  {"listen_tls = [':465']", []string{"can be reached from other machines"}},
		"no port":            {"listen = ['127.0.0.1']", []string{`listen "127.0.0.1" is not host:port; write it like`}},
		"port too big":       {"listen = ['127.0.0.1:65536']", []string{"does not have a port between 0 and 65535"}},
		"address twice":      {"listen = ['[::1]:99']\nmetrics = '[::1]:99'", []string{`:2:1: metrics "[::1]:99" is already used by listen`}},
		"negative limit":     {"max_connections = -1", []string{":1:1: max_connections is -1"}},
		"account twice":      {account + account + "[[account]]\naddress = 'ME@Gmail.com'", []string{":4:1: account me@gmail.com: there are two", ":6:1: account ME@Gmail.com: there are two accounts with this address (the other one is written me@gmail.com)"}},
		"no address":         {"[[account]]\nprovider = 'gmail'", []string{`:1:3: account 1: address "" is empty; write it like`}},
		"line in address":    {"[[account]]\naddress = \"a\\r\\n@b.c\"", []string{`:2:1: account 1: address "a\r\n@b.c" contains a space or a control character`}},
		"unknown provider":   {account + "provider = 'gogle'", []string{`:3:1: account me@gmail.com: provider "gogle" is not known; did you mean "google"?`}},
		"unheard provider":   {account + "provider = 'zzzzzz'", []string{`provider "zzzzzz" is not known; "waxseal providers" lists`}},
		"unknown domain":     {"[[account]]\naddress = 'a@b.example'", []string{`:1:3: account a@b.example: no provider is known for "b.example"; name one`}},
		"no OAuth":           {"[[account]]\naddress = 'a@icloud.com'", []string{":1:3: account a@icloud.com: mail programs sign in to iCloud Mail without OAuth", "app-specific password"}},
		"inline account":     {"account = [{ address = 'x' }]", []string{`:1:1: account 1: address "x" is not an email address`}},
		"bad override":       {account + "smtp = 'nowhere'", []string{`account me@gmail.com: smtp "nowhere" is not host:port`}},
		"http override":      {account + "token_url = 'http://evil.example/t'", []string{`token_url "http://evil.example/t" must begin with https://`}},
		"bad login":          {account + "login = \"a\\u0000b\"", []string{`:3:1: account me@gmail.com: login "a\x00b" contains`}},
		"JSON as client ID":  {account + "client_id = '{\"installed\":{\"client_id\":\"x\",\"client_secret\":\"geheim\"}}'", []string{`:3:1: account me@gmail.com: client_id contains the provider's JSON`, "--client-secret-file"}},
		"line in client ID":  {corp + "client_id = \"a\\nb\"", []string{`:6:1: provider "corp": client_id contains a control character`}},
		"provider no id":     {"[[provider]]\nname = 'x'", []string{`:1:3: provider "": id must be one word`}},
		"provider bare":      {"[[provider]]\nid = 'corp'", []string{":1:3: provider \"corp\": auth_url is missing", "token_url is missing", "smtp is missing"}},
		"provider twice":     {corp + strings.Replace(corp, "corp", "CORP", 1), []string{`:7:1: provider "CORP": the name "corp" already belongs to provider "corp"`}},
		"built-in twice":     {"[[provider]]\nid='gmail'\n[[provider]]\nid='google'", []string{`:4:1: provider "google": the name`}},
		"stolen alias":       {corp + "aliases = ['gmail']", []string{`:6:1: provider "corp": the alias "gmail" belongs to the built-in provider "google"`}},
		"clear text":         {corp + "smtp_tls = 'none'", []string{`:6:1: provider "corp": smtp_tls = "none" would send tokens unencrypted to smtp.c.example`}},
		"odd TLS":            {corp + "smtp_tls = 'tls'", []string{`:6:1: provider "corp": smtp_tls is "tls"; use`}},
		"http":               {strings.Replace(corp, "https://c.example/t", "http://c.example/t", 1), []string{`:4:1: provider "corp": token_url "http://c.example/t" must begin with https://`}},
		"password in URL":    {strings.Replace(corp, "https://c.example/t", "https://me:geheim@c.example/t", 1), []string{`:4:1: provider "corp": token_url must not contain a user name`}},
		"odd redirect":       {corp + "redirect_host = 'example.com'\nredirect_path = 'x?y'", []string{":6:1: ", ":7:1: "}},
		"odd name in EHLO":   {corp + "hello = 'mail.c.example.'", []string{`:6:1: provider "corp": hello: `, "is not a domain name such as mail.example.com"}},
		"bare address":       {corp + "hello = '192.0.2.1'", []string{`:6:1: provider "corp": hello: `, "in brackets: [192.0.2.1]"}},
		"line in EHLO":       {corp + "hello = \"c.example\\r\\nMAIL\"", []string{`:6:1: provider "corp": hello: `}},
		"odd domain":         {corp + "domains = ['c.example', '@d.example']", []string{`:6:1: provider "corp": domains has "@d.example"; write it like`}},
		"half a provider":    {"[[provider]]\nid = 'google'\ntoken_url = 'https://c.example/t'", []string{"auth_url is missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeTestConfig(t, test.text)
			c, err := Load(path)
			if err == nil {
				t.Fatalf("no error, but %+v", c)
			}
			if !reflect.DeepEqual(c, Config{}) {
				t.Errorf("a Config came with the error: %+v", c)
			}
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, path+":") {
					t.Errorf("line without the file: %s", line)
				}
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "geheim") {
				t.Errorf("the error contains a password: %v", err)
			}
		})
	}
}

func TestLoadUnreadable(t *testing.T) {
	dir := safeiotest.Dir(t)
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "is a folder; choose a file, such as "+filepath.Join(dir, "config.toml")) {
		t.Errorf("a folder: %v", err)
	}
	huge := writeTestConfig(t, strings.Repeat("#", maxConfigSize+1))
	if _, err := Load(huge); err == nil || !strings.Contains(err.Error(), "larger than 4 MiB") {
		t.Errorf("a huge file: %v", err)
	}
}

func TestLoadWrongFileIsShort(t *testing.T) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "key%d = 1\n", i)
	}
	_, err := Load(writeTestConfig(t, text.String()))
	if err == nil || !strings.HasSuffix(err.Error(), "and 980 more like these") {
		t.Errorf("error: %v", err)
	}
}

func TestAllowRemote(t *testing.T) {
	c, err := Load(writeTestConfig(t, "allow_remote = true\nlisten = [':1587', '192.0.2.1:0', '[fe80::1%eth0]:25', 'relay.example:25']"))
	if err != nil || !c.AllowRemote || len(c.Listen) != 4 {
		t.Errorf("Load = %+v, %v", c, err)
	}
}

func TestValidateTakesZeroesForDefaults(t *testing.T) {
	if err := (Config{Listen: []string{"127.0.0.1:0", "127.0.0.1:0"}}).Validate(); err != nil {
		t.Error(err)
	}
	err := Config{Listen: []string{"x"}, Keystore: "y", Accounts: []api.Account{{Address: "z"}}}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("three problems were reported as: %v", err)
	}
}

// manyAccounts is a file with n accounts.
func manyAccounts(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "[[account]]\naddress = \"user%d@corp.example\"\nprovider = \"microsoft\"\nclient_id = \"abc\"\n\n", i)
	}
	return text.String()
}

func BenchmarkLoad1000(b *testing.B) {
	path := writeTestConfig(b, manyAccounts(1000))
	b.ReportAllocs()
	for b.Loop() {
		if c, err := Load(path); err != nil || len(c.Accounts) != 1000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkResolve1000(b *testing.B) {
	c, err := Load(writeTestConfig(b, manyAccounts(1000)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, a := range c.Accounts {
			if _, err := c.Resolve(a); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(fullConfig))
	f.Add([]byte("listn = 1\n[[account]]\naddress = 'a'\n# end"))
	f.Add([]byte("account = [{ address = 'me@gmail.com' }] # inline"))
	f.Add([]byte("[account]\naddress = 'me@gmail.com'\n\n\n[x]\ny.z = 1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decodeConfig("config.toml", data)
		if err != nil {
			return // and no panic
		}
		if found := c.WithDefaults().problems(); len(found) > 0 {
			if text := locate("config.toml", data, found).Error(); !strings.HasPrefix(text, "config.toml:") {
				t.Errorf("an error without the file: %s", text)
			}
			return
		}
		checkEdits(t, data, c)
	})
}

// checkEdits adds an account to a valid file and removes it again. Neither may change what
// the rest of the file means.
func checkEdits(t *testing.T, data []byte, c Config) {
	path := filepath.Join(safeiotest.Dir(t), "config.toml")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	const address = "added-by-the-fuzzer@gmail.com"
	if err := AddAccounts(path, nil, []api.Account{{Address: address, Provider: "google"}}); err != nil {
		t.Fatalf("add: %v", err)
	}
	added, err := Load(path)
	if err != nil || len(added.Accounts) != len(c.Accounts)+1 {
		t.Fatalf("after add: %+v, %v", added, err)
	}
	if err := RemoveAccount(path, address); err != nil {
		t.Fatalf("remove: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeConfig(path, text)
	if err != nil || !sameConfig(got, c) {
		t.Errorf("after remove: %v\n%+v\nwant %+v", err, got, c)
	}
}

func TestCheckHTTPProxy(t *testing.T) {
	for raw, good := range map[string]bool{
		"": true, "http://proxy.corp.test:3128": true, "https://proxy.corp.test": true, "http://user@[::1]:3128/": true,
		"proxy.corp.test:3128": false, "socks5://proxy.corp.test": false, "http://": false, "http://proxy.corp.test/path": false,
		"http://user:secret-word@proxy.corp.test:3128": false, "http://user:secret-word@ bad": false,
	} {
		err := checkHTTPProxy(raw)
		if (err == nil) != good || err != nil && strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestCheckUpdates(t *testing.T) {
	for raw, ok := range map[string]bool{
		"": true, updatesFeed: true, "https://mirror.corp.example:8443/waxseal": true, "http://127.0.0.1:8080/latest": true, "http://localhost/latest": true,
		"http://mirror.corp.example/latest": false, "ftp://mirror.corp.example/latest": false, "off": false, "https://": false, "https://user:secret@mirror.corp.example/": false,
	} {
		err := checkUpdates(raw)
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", raw, err)
		}
	}
}
