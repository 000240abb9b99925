package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// ImportEntry is one account of an import file, with the secrets that go to the
// keystore and not into the configuration.
type ImportEntry struct {
	Account      api.Account
	ClientSecret string // "" for a public client
	RefreshToken string // "" where consent is still to be asked for
	Password     string // the local password; "" lets one be generated
	Index        int    // its place in the file, from 0

	service bool // ClientSecret is a service account's key
}

// Imported is what an import file holds: entries that can be taken, those that
// cannot, and the providers that the entries need beside the catalogue's.
type Imported struct {
	Providers []Provider
	Entries   []ImportEntry
	Problems  []api.ImportProblem
	Warnings  []string
}

// importFields are the fields that an entry may have.
var importFields = []string{
	"email", "provider", "client_id", "client_secret", "refresh_token", "smtp_password",
	"oauth_token_url", "oauth_endpoint", "max_concurrent_messages",
}

// ParseImport reads an import file: a JSON list of accounts, or an object with
// such a list as "accounts". Bad entries are told by their index, the others
// come back, checked against the catalogue of c. An unknown field gets one
// warning, however many entries have it. The error is for a file that holds no
// such list at all.
func ParseImport(data []byte, c Config) (found Imported, err error) {
	list, warnings, err := importList(bytes.TrimPrefix(data, byteOrderMark))
	if err != nil {
		return Imported{}, fmt.Errorf("import file: %w", err)
	}
	unknown := map[string][]int{}
	seen := map[string]int{}
	known := c.Catalogue()
	for i, raw := range list {
		entry, err := importEntry(raw, i, known, unknown)
		folded := Fold(entry.Account.Address)
		if err == nil {
			if first, twice := seen[folded]; twice {
				err = fmt.Errorf("entry %d has the same address; keep one of the two", first)
			}
		}
		if err != nil {
			found.Problems = append(found.Problems, api.ImportProblem{Index: i, Address: entry.Account.Address, Problem: err.Error()})
			continue
		}
		seen[folded] = i
		found.Entries = append(found.Entries, entry)
	}
	found.Warnings = append(warnings, unknownFields(unknown)...)
	return found, nil
}

// importList finds the list of entries, each still JSON.
func importList(data []byte) (list []json.RawMessage, warnings []string, err error) {
	const cure = `it must be a JSON list of accounts, or an object like {"accounts": [...]}`
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return nil, nil, errors.New("it is empty; " + cure)
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, nil, fmt.Errorf("it is not JSON: %s; %s", jsonFault(data, err), cure)
	}
	if data[0] == '{' {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(data, &object); err != nil {
			return nil, nil, errors.New(cure)
		}
		for name := range object {
			if name != "accounts" {
				warnings = append(warnings, fmt.Sprintf("field %q beside \"accounts\" is not known and was left out", name))
			}
		}
		sort.Strings(warnings)
		data = bytes.TrimSpace(object["accounts"])
	}
	if len(data) == 0 || data[0] != '[' {
		return nil, nil, errors.New(cure)
	}
	return list, warnings, json.Unmarshal(data, &list)
}

// jsonFault says where the JSON breaks off. The decoder's own words are kept
// only where they quote no more than one character of the file, which is full
// of secrets.
func jsonFault(data []byte, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return "it cannot be read"
	}
	before := data[:min(int(syntax.Offset), len(data))]
	line := bytes.Count(before, []byte("\n")) + 1
	return fmt.Sprintf("line %d, column %d: %v", line, len(before)-bytes.LastIndexByte(before, '\n')-1, err)
}

// importEntry reads one entry. What it has of an entry comes back with an error
// too, so that the address can be told.
func importEntry(raw json.RawMessage, i int, known Catalogue, unknown map[string][]int) (ImportEntry, error) {
	e := ImportEntry{Index: i}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return e, errors.New("it is not an object like {\"email\": ...}")
	}
	for name := range fields {
		if !slices.Contains(importFields, name) {
			unknown[name] = append(unknown[name], i)
		}
	}
	var errs []error
	text := func(name string, to *string) {
		if value, ok := fields[name]; ok {
			if json.Unmarshal(value, to) != nil {
				errs = append(errs, fmt.Errorf("%s must be a text in quotes", name))
			}
		}
		*to = strings.TrimSpace(*to)
	}
	text("email", &e.Account.Address)
	text("provider", &e.Account.Provider)
	text("client_id", &e.Account.ClientID)
	text("oauth_token_url", &e.Account.TokenURL)
	text("oauth_endpoint", &e.Account.SMTP)
	text("client_secret", &e.ClientSecret)
	text("refresh_token", &e.RefreshToken)
	text("smtp_password", &e.Password)
	if value, ok := fields["max_concurrent_messages"]; ok && string(value) != "null" {
		if json.Unmarshal(value, &e.Account.MaxConnections) != nil || e.Account.MaxConnections < 1 {
			errs = append(errs, errors.New("max_concurrent_messages must be a whole number of at least 1"))
		}
	}
	return e, errors.Join(append(errs, e.check(known))...)
}

// check says what an entry lacks to be used.
func (e ImportEntry) check(known Catalogue) error {
	if err := CheckAddress(e.Account.Address); err != nil {
		return fmt.Errorf("email %q %w", e.Account.Address, err)
	}
	var errs []error
	p, err := known.Resolve(e.Account)
	if err != nil {
		errs = append(errs, err)
	} else if p.ClientID == "" {
		errs = append(errs, errors.New("client_id is missing; give the one that the refresh token was granted to"))
	}
	if e.RefreshToken == "" {
		errs = append(errs, errors.New("refresh_token is missing"))
	}
	return errors.Join(append(errs, e.checkText())...)
}

// checkText says which of an entry's texts could not be sent.
func (e ImportEntry) checkText() error {
	var errs []error
	for _, f := range []struct{ name, value string }{
		{"client_id", e.Account.ClientID}, {"client_secret", e.ClientSecret},
		{"refresh_token", e.RefreshToken}, {"smtp_password", e.Password},
	} {
		if !(e.service && f.name == "client_secret") && strings.ContainsFunc(f.value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			errs = append(errs, fmt.Errorf("%s holds a control character", f.name))
		}
	}
	return errors.Join(errs...)
}

// unknownFields makes one warning for each field that no entry should have.
func unknownFields(unknown map[string][]int) []string {
	var warnings []string
	for name, where := range unknown {
		text := fmt.Sprintf("field %q is not known and was left out (entry %d", name, where[0])
		if len(where) > 1 {
			text += fmt.Sprintf(" and %d more", len(where)-1)
		}
		text += ")"
		if near := nearest(name, importFields); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		}
		warnings = append(warnings, text)
	}
	sort.Strings(warnings)
	return warnings
}
