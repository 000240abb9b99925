package proxy

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const fullImport = `{"accounts": [
  {"email": " Me@gmail.com", "provider": "gmail", "client_id": "id", "client_secret": "cs-geheim", "refresh_token": "rt-geheim",
   "smtp_password": "pw-geheim", "oauth_token_url": "https://t.example/", "oauth_endpoint": "s.example:465", "max_concurrent_messages": 4},
  {"email": "you@outlook.com", "client_id": "id", "refresh_token": "rt", "client_secret": null, "max_concurrent_messages": null}
]}`

func TestParseImport(t *testing.T) {
	want := []ImportEntry{
		{
			Account:      Account{Address: "Me@gmail.com", Provider: "gmail", ClientID: "id", TokenURL: "https://t.example/", SMTP: "s.example:465", MaxConnections: 4},
			ClientSecret: "cs-geheim", RefreshToken: "rt-geheim", Password: "pw-geheim",
		},
		{Account: Account{Address: "you@outlook.com", ClientID: "id"}, RefreshToken: "rt", Index: 1},
	}
	list := strings.TrimSuffix(strings.TrimPrefix(fullImport, `{"accounts": `), "}")
	for name, text := range map[string]string{"object": fullImport, "list": list, "Windows": "\ufeff" + strings.ReplaceAll(list, "\n", "\r\n")} {
		entries, bad, warnings, err := ParseImport([]byte(text), DefaultConfig())
		if err != nil || len(bad)+len(warnings) != 0 || !reflect.DeepEqual(entries, want) {
			t.Errorf("%s: %v, %v, %v\ngot  %+v\nwant %+v", name, err, bad, warnings, entries, want)
		}
	}
	if entries, bad, warnings, err := ParseImport([]byte(" [] "), DefaultConfig()); len(entries)+len(bad)+len(warnings) != 0 || err != nil {
		t.Errorf("an empty list: %v, %v, %v, %v", entries, bad, warnings, err)
	}
}

// What is imported can be written down and loaded.
func TestImportIntoConfig(t *testing.T) {
	entries, _, _, err := ParseImport([]byte(fullImport), DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	path := writeTestConfig(t, "")
	for range 2 { // importing twice changes nothing
		for _, e := range entries {
			if err := addTables(path, nil, []Account{e.Account}); err != nil {
				t.Fatal(err)
			}
		}
		c, err := LoadConfig(path)
		if err != nil || len(c.Accounts) != 2 || c.Accounts[0] != entries[0].Account || c.Accounts[1] != entries[1].Account {
			t.Errorf("LoadConfig = %+v, %v", c.Accounts, err)
		}
	}
	if strings.Contains(readText(t, path), "geheim") {
		t.Errorf("a secret is in the configuration:\n%s", readText(t, path))
	}
}

func TestParseImportBadEntries(t *testing.T) {
	c := DefaultConfig()
	c.Providers = []Provider{{ID: "google", ClientID: "built in"}}
	good := map[string]any{"email": "me@gmail.com", "provider": "google", "client_id": "id", "refresh_token": "geheim"}
	with := func(pairs ...any) map[string]any {
		entry := map[string]any{}
		for k, v := range good {
			entry[k] = v
		}
		entry["email"] = fmt.Sprintf("u%p@gmail.com", &pairs[0])
		for i := 0; i < len(pairs); i += 2 {
			entry[pairs[i].(string)] = pairs[i+1]
		}
		return entry
	}
	tests := []struct {
		entry any
		want  string // "" for a good one
	}{
		{good, ""},
		{with("email", "ME@GMAIL.COM"), "entry 0 has the same address"},
		{with("email", ""), `email "" is empty`},
		{with("email", 5), `email must be a text in quotes`},
		{with("email", "a\r\nb@gmail.com"), "control character"},
		{with("refresh_token", " "), "refresh_token is missing"},
		{with("refresh_token", "gehe\x00im"), "refresh_token holds a control character"},
		{with("smtp_password", []string{"geheim"}), "smtp_password must be a text"},
		{with("client_id", ""), ""}, // the configuration has one
		{with("provider", "microsoft", "client_id", ""), "client_id is missing"},
		{with("provider", "gogle"), `did you mean "google"?`},
		{with("provider", ""), ""}, // by its domain
		{with("provider", "icloud"), "app-specific password"},
		{with("email", "a@b.example", "provider", ""), `no provider is known for "b.example"`},
		{with("oauth_token_url", "http://t.example"), "must begin with https://"},
		{with("oauth_endpoint", "s.example"), "is not host:port"},
		{with("oauth_endpoint", "s.example:587"), ""},
		{with("max_concurrent_messages", 0), "max_concurrent_messages must be a whole number"},
		{with("max_concurrent_messages", -1), "max_concurrent_messages must be"},
		{with("max_concurrent_messages", 1.5), "max_concurrent_messages must be"},
		{with("max_concurrent_messages", "3"), "max_concurrent_messages must be"},
		{"geheim", "it is not an object"},
		{nil, "it is not an object"},
		{[]int{1}, "it is not an object"},
		{with("email", "b@x", "refresh_token", "", "client_id", 7), "client_id must be"},
	}
	var list []any
	for _, test := range tests {
		list = append(list, test.entry)
	}
	data, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	entries, bad, warnings, err := ParseImport(data, c)
	if err != nil || len(warnings) != 0 {
		t.Fatal(err, warnings)
	}
	problems := map[int]string{}
	for _, b := range bad {
		problems[b.Index] = b.Problem
		if strings.Contains(b.Problem+b.Address, "geheim") || strings.Contains(b.Problem, "gehe") {
			t.Errorf("a secret is in %+v", b)
		}
	}
	for i, test := range tests {
		if got := problems[i]; test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("entry %d (%v): problem %q, want %q", i, test.entry, got, test.want)
		}
	}
	if len(entries)+len(bad) != len(tests) {
		t.Errorf("%d good and %d bad of %d", len(entries), len(bad), len(tests))
	}
}

func TestParseImportUnknownFields(t *testing.T) {
	const entry = `{"email": "u%d@gmail.com", "client_id": "i", "refresh_token": "r", "colour": "geheim", "refreshtoken": 1}`
	text := `{"version": 3, "accounts": [` + fmt.Sprintf(entry, 1) + "," + fmt.Sprintf(entry, 2) + `]}`
	entries, bad, warnings, err := ParseImport([]byte(text), DefaultConfig())
	want := []string{
		`field "version" beside "accounts" is not known and was left out`,
		`field "colour" is not known and was left out (entry 0 and 1 more)`,
		`field "refreshtoken" is not known and was left out (entry 0 and 1 more); did you mean "refresh_token"?`,
	}
	if err != nil || len(bad) != 0 || len(entries) != 2 || !reflect.DeepEqual(warnings, want) {
		t.Errorf("%v, %v, %d entries, warnings:\n%s", err, bad, len(entries), strings.Join(warnings, "\n"))
	}
}

func TestParseImportNothingToRead(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "it is empty; it must be a JSON list",
		"email,token\n":                 "it is not JSON: line 1, column 1: invalid character 'e'",
		"[\n {\"email\": geheim}]":      "it is not JSON: line 2, column 12: invalid character 'g'",
		`[{"email": "a@b.c"}`:           "it is not JSON: line 1, column 19: unexpected end",
		"[] []":                         "it is not JSON: line 1, column 4",
		"{}":                            "it must be a JSON list",
		`{"accounts": {"a": "geheim"}}`: "it must be a JSON list",
		`"geheim"`:                      "it must be a JSON list",
		"null":                          "it must be a JSON list",
		"\x00\x01\x02":                  "it is not JSON",
	} {
		entries, bad, warnings, err := ParseImport([]byte(text), DefaultConfig())
		if err == nil || !strings.HasPrefix(err.Error(), "import file: "+want) || len(entries)+len(bad)+len(warnings) != 0 {
			t.Errorf("%q: error %v, want %q", text, err, want)
		} else if strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q: the error tells a secret: %v", text, err)
		}
	}
}

func BenchmarkParseImport1000(b *testing.B) {
	var list []map[string]any
	for i := range 1000 {
		list = append(list, map[string]any{"email": fmt.Sprintf("u%d@gmail.com", i), "client_id": "id", "refresh_token": "r"})
	}
	data, err := json.Marshal(list)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if entries, _, _, err := ParseImport(data, DefaultConfig()); err != nil || len(entries) != 1000 {
			b.Fatal(len(entries), err)
		}
	}
}

func FuzzParseImport(f *testing.F) {
	f.Add([]byte(fullImport))
	f.Add([]byte(`[{"email": 1}, null, [], {"email": "a@gmail.com", "x": {}}]`))
	f.Add([]byte(`{"accounts": [`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := DefaultConfig()
		entries, bad, _, err := ParseImport(data, c)
		if err != nil && len(entries)+len(bad) > 0 {
			t.Errorf("entries and the error %v", err)
		}
		for _, e := range entries {
			if e.RefreshToken == "" {
				t.Errorf("entry %d has no refresh token", e.Index)
			}
			c.Accounts = append(c.Accounts, e.Account)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("the entries make a wrong configuration: %v", err)
		}
		for _, b := range bad {
			if b.Problem == "" {
				t.Errorf("entry %d has an empty problem", b.Index)
			}
		}
	})
}
