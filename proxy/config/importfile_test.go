package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
)

const fullImport = `{"accounts": [
  {"email": " Me@gmail.com", "provider": "gmail", "client_id": "id", "client_secret": "cs-geheim", "refresh_token": "rt-geheim",
   "smtp_password": "pw-geheim-long-enough", "oauth_token_url": "https://t.example/", "oauth_endpoint": "s.example:465", "max_concurrent_messages": 4},
  {"email": "you@outlook.com", "client_id": "id", "refresh_token": "rt", "client_secret": null, "max_concurrent_messages": null}
]}`

func TestParseImport(t *testing.T) {
	want := []ImportEntry{
		{
			Account:      api.Account{Address: "Me@gmail.com", Provider: "gmail", ClientID: "id", TokenURL: "https://t.example/", SMTP: "s.example:465", MaxConnections: 4},
			ClientSecret: "cs-geheim", RefreshToken: "rt-geheim", Password: "pw-geheim-long-enough",
		},
		{Account: api.Account{Address: "you@outlook.com", ClientID: "id"}, RefreshToken: "rt", Index: 1},
	}
	list := strings.TrimSuffix(strings.TrimPrefix(fullImport, `{"accounts": `), "}")
	for name, text := range map[string]string{"object": fullImport, "list": list, "Windows": "\ufeff" + strings.ReplaceAll(list, "\n", "\r\n")} {
		found, err := ParseImport([]byte(text), Default())
		if err != nil || len(found.Problems)+len(found.Warnings) != 0 || !reflect.DeepEqual(found.Entries, want) {
			t.Errorf("%s: %v, %v, %v\ngot  %+v\nwant %+v", name, err, found.Problems, found.Warnings, found.Entries, want)
		}
	}
	if found, err := ParseImport([]byte(" [] "), Default()); len(found.Entries)+len(found.Problems)+len(found.Warnings) != 0 || err != nil {
		t.Errorf("an empty list: %v, %v, %v, %v", found.Entries, found.Problems, found.Warnings, err)
	}
}

// What is imported can be written down and loaded.
func TestImportIntoConfig(t *testing.T) {
	found, err := ParseImport([]byte(fullImport), Default())
	if err != nil {
		t.Fatal(err)
	}
	path := writeTestConfig(t, "")
	for range 2 { // importing twice changes nothing
		for _, e := range found.Entries {
			if err := AddAccounts(path, nil, []api.Account{e.Account}); err != nil {
				t.Fatal(err)
			}
		}
		c, err := Load(path)
		if err != nil || len(c.Accounts) != 2 || !c.Accounts[0].Equal(found.Entries[0].Account) || !c.Accounts[1].Equal(found.Entries[1].Account) {
			t.Errorf("LoadConfig = %+v, %v", c.Accounts, err)
		}
	}
	if strings.Contains(readText(t, path), "geheim") {
		t.Errorf("a secret is in the configuration:\n%s", readText(t, path))
	}
}

func TestParseImportBadEntries(t *testing.T) {
	c := Default()
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
		{with("refresh_token", "gehe\x00im"), "refresh_token contains a control character"},
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
	found, err := ParseImport(data, c)
	if err != nil || len(found.Warnings) != 0 {
		t.Fatal(err, found.Warnings)
	}
	problems := map[int]string{}
	for _, b := range found.Problems {
		problems[b.Index] = b.Problem.Error()
		if strings.Contains(b.Problem.Error()+b.Address, "gehe") {
			t.Errorf("a secret is in %+v", b)
		}
	}
	for i, test := range tests {
		if got := problems[i]; test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("entry %d (%v): problem %q, want %q", i, test.entry, got, test.want)
		}
	}
	if len(found.Entries)+len(found.Problems) != len(tests) {
		t.Errorf("%d good and %d bad of %d", len(found.Entries), len(found.Problems), len(tests))
	}
}

func TestParseImportUnknownFields(t *testing.T) {
	const entry = `{"email": "u%d@gmail.com", "client_id": "i", "refresh_token": "r", "colour": "geheim", "refreshtoken": 1}`
	text := `{"version": 3, "accounts": [` + fmt.Sprintf(entry, 1) + "," + fmt.Sprintf(entry, 2) + `]}`
	found, err := ParseImport([]byte(text), Default())
	want := []string{
		`the field "version" next to "accounts" is not known and was ignored`,
		`the field "colour" is not known and was ignored (entry 0 and 1 more)`,
		`the field "refreshtoken" is not known and was ignored (entry 0 and 1 more); did you mean "refresh_token"?`,
	}
	var got []string
	for _, w := range found.Warnings {
		got = append(got, w.Error())
	}
	if err != nil || len(found.Problems) != 0 || len(found.Entries) != 2 || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, %d entries, warnings:\n%s", err, found.Problems, len(found.Entries), strings.Join(got, "\n"))
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
		"\x00\x01\x02":                  "this is binary data; save it as plain text",
	} {
		found, err := ParseImport([]byte(text), Default())
		if err == nil || !strings.HasPrefix(err.Error(), "import file: "+want) || len(found.Entries)+len(found.Problems)+len(found.Warnings) != 0 {
			t.Errorf("%q: error %v, want %q", text, err, want)
		} else if strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q: the error contains a secret: %v", text, err)
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
		if found, err := ParseImport(data, Default()); err != nil || len(found.Entries) != 1000 {
			b.Fatal(len(found.Entries), err)
		}
	}
}

func FuzzParseImport(f *testing.F) {
	f.Add([]byte(fullImport))
	f.Add([]byte(`[{"email": 1}, null, [], {"email": "a@gmail.com", "x": {}}]`))
	f.Add([]byte(`{"accounts": [`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := Default()
		found, err := ParseImport(data, c)
		if err != nil && len(found.Entries)+len(found.Problems) > 0 {
			t.Errorf("entries and the error %v", err)
		}
		for _, e := range found.Entries {
			if e.RefreshToken == "" {
				t.Errorf("entry %d has no refresh token", e.Index)
			}
			c.Accounts = append(c.Accounts, e.Account)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("the entries make a wrong configuration: %v", err)
		}
		for _, b := range found.Problems {
			if b.Problem.Error() == "" {
				t.Errorf("entry %d has an empty problem", b.Index)
			}
		}
	})
}
