package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/api"
)

// ImportEntry is an account of an import file, with the secrets that go into the keystore
// and not into the configuration.
type ImportEntry struct {
	Account      api.Account
	ClientSecret string // "" for a public client
	RefreshToken string // "" if the user still has to consent
	Password     string // the local password; if it is "", one is generated
	Sealed       bool   // it has secrets that could not be decrypted without the mail password
	Index        int    // the position in the file, from 0

	// Scopes are those for which the refresh token was issued; none if the file does not say.
	Scopes []string
}

// Imported is the content of an import file: the entries that can be imported, the problems
// of those that cannot, and the providers that the entries need and the catalogue lacks.
type Imported struct {
	Providers []Provider
	Entries   []ImportEntry
	Problems  []api.ImportProblem
	Left      []api.Problem // see [api.ImportReport]
	Warnings  []api.Problem

	// Settings are the addresses to listen on so that mail programs keep their ports.
	Settings api.SettingsChange
}

// importFields are the fields that an entry may have.
var importFields = []string{
	"email", "provider", "client_id", "client_secret", "refresh_token", "smtp_password",
	"oauth_token_url", "oauth_endpoint", "max_concurrent_messages",
}

// ParseImport reads an import file: a JSON list of accounts, or an object with such a list as
// "accounts". It checks the entries against the catalogue of c, and returns the good ones and
// the problems of the bad ones. An unknown field gets one warning, however many entries have
// it. If the file does not contain such a list at all, that is an error.
func ParseImport(data []byte, c Config) (found Imported, err error) {
	list, warnings, err := importList(data)
	if err != nil {
		return Imported{}, fmt.Errorf("import file: %w", err)
	}
	found.Warnings = warnings
	unknown := map[string][]int{}
	seen := map[string]int{}
	known := c.Catalogue()
	for i, raw := range list {
		entry, err := importEntry(raw, i, known, unknown)
		folded := Fold(entry.Account.Address)
		if err == nil {
			if first, twice := seen[folded]; twice {
				err = fmt.Errorf("entry %d has the same address; remove one of the two", first)
			}
		}
		if err != nil {
			found.Problems = append(found.Problems, api.ImportProblem{Index: i, Address: entry.Account.Address, Problem: problemOf(err, entry.Account.Address)})
			continue
		}
		seen[folded] = i
		found.Entries = append(found.Entries, entry)
	}
	found.Warnings = append(found.Warnings, unknownFields(unknown)...)
	found.Warnings = append(found.Warnings, weakPasswords(found.Entries)...)
	return found, nil
}

// importList finds the list of entries. Each entry is still JSON.
func importList(raw []byte) (list []json.RawMessage, warnings []api.Problem, err error) {
	const cure = `it must be a JSON list of accounts, or an object like {"accounts": [...]}`
	text, err := safeio.Text(raw)
	if err != nil {
		return nil, nil, err
	}
	text = strings.TrimSpace(text)
	if kind := otherText(text); kind != "" {
		return nil, nil, fmt.Errorf("it is %s; %s", kind, cure)
	}
	data := []byte(text)
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
		if isClientJSON(object) {
			return nil, nil, errors.New("it is the JSON of a registration or a service account, not a list of accounts; use it with `waxseal account add ADDRESS --client-secret-file FILE`")
		}
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if name != "accounts" {
				warnings = append(warnings, *trouble(api.Say("The field {{.Field}} next to \"accounts\" is not known and was ignored.", "Field", strconv.Quote(name)), api.Text{}))
			}
		}
		data = bytes.TrimSpace(object["accounts"])
	}
	if len(data) == 0 || data[0] != '[' {
		return nil, nil, errors.New(cure)
	}
	return list, warnings, json.Unmarshal(data, &list)
}

// isClientJSON reports whether an object is one of those that ReadClient reads or explains.
func isClientJSON(object map[string]json.RawMessage) bool {
	for _, name := range []string{"accounts", "email"} {
		if _, ok := object[name]; ok {
			return false
		}
	}
	for _, name := range []string{"installed", "web", "private_key", "client_id", "appId", "clientId"} {
		if _, ok := object[name]; ok {
			return true
		}
	}
	return false
}

// jsonFault says where the JSON is broken. The decoder's own words are only used if they quote
// no more than one character of the file, which is full of secrets.
func jsonFault(data []byte, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return "it cannot be read"
	}
	before := data[:min(int(syntax.Offset), len(data))]
	line := bytes.Count(before, []byte("\n")) + 1
	return fmt.Sprintf("line %d, column %d: %v", line, len(before)-bytes.LastIndexByte(before, '\n')-1, err)
}

// importEntry reads an entry. After an error it returns what it could read, so that the
// address can be shown.
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
	text("oauth_token_url", &e.Account.TokenURL)
	text("oauth_endpoint", &e.Account.SMTP)
	text("refresh_token", &e.RefreshToken)
	text("smtp_password", &e.Password)
	for _, name := range []string{"client_id", "client_secret"} { // people put Google's JSON here, as it is
		if value := bytes.TrimSpace(fields[name]); len(value) > 0 && value[0] == '{' {
			fields[name], _ = json.Marshal(string(value))
		}
	}
	text("client_id", &e.Account.ClientID)
	text("client_secret", &e.ClientSecret)
	if id, secret, err := ReadClientFields(e.Account.ClientID, e.ClientSecret); err != nil {
		errs = append(errs, err)
	} else {
		e.Account.ClientID, e.ClientSecret = id, secret
	}
	if value, ok := fields["max_concurrent_messages"]; ok && string(value) != "null" {
		if json.Unmarshal(value, &e.Account.MaxConnections) != nil || e.Account.MaxConnections < 1 {
			errs = append(errs, errors.New("max_concurrent_messages must be a whole number of at least 1"))
		}
	}
	return e, errors.Join(append(errs, e.check(known))...)
}

// check returns everything that keeps an entry from being used.
func (e ImportEntry) check(known Catalogue) error {
	if err := CheckAddress(e.Account.Address); err != nil {
		return fmt.Errorf("email %q %w", e.Account.Address, err)
	}
	var errs []error
	p, err := known.Resolve(e.Account)
	switch {
	case err != nil:
		errs = append(errs, err)
	case p.ClientID == "":
		errs = append(errs, errors.New("client_id is missing; add the one for which the refresh token was issued"))
	default:
		errs = append(errs, p.CheckSecret(e.ClientSecret))
	}
	if e.RefreshToken == "" && p.Grant == "" {
		errs = append(errs, errors.New("refresh_token is missing"))
	}
	return errors.Join(append(errs, e.checkText())...)
}

// checkText returns an error for each of an entry's texts that could not be sent.
func (e ImportEntry) checkText() error {
	var errs []error
	for _, f := range []struct{ name, value string }{
		{"client_id", e.Account.ClientID}, {"client_secret", e.ClientSecret},
		{"refresh_token", e.RefreshToken}, {"smtp_password", e.Password},
	} {
		if !isServiceKey(f.value) && strings.ContainsFunc(f.value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			errs = append(errs, fmt.Errorf("%s contains a control character", f.name))
		}
	}
	return errors.Join(errs...)
}

// unknownFields returns a warning for each field that entries cannot have.
func unknownFields(unknown map[string][]int) []api.Problem {
	var warnings []api.Problem
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		where := unknown[name]
		what := api.Say("The field {{.Field}} is not known and was ignored (entry {{.Entry}}).", "Field", strconv.Quote(name), "Entry", strconv.Itoa(where[0]))
		if len(where) > 1 {
			what = api.Say("The field {{.Field}} is not known and was ignored (entry {{.Entry}} and {{.More}} more).",
				"Field", strconv.Quote(name), "Entry", strconv.Itoa(where[0]), "More", strconv.Itoa(len(where)-1))
		}
		var cure api.Text
		if near := nearest(name, importFields); near != "" {
			cure = api.Say("Did you mean {{.Field}}?", "Field", strconv.Quote(near))
		}
		warnings = append(warnings, *trouble(what, cure))
	}
	return warnings
}
