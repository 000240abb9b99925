// Package emailproxy reads the configuration file of email-oauth2-proxy
// (github.com/simonrob/email-oauth2-proxy), a program with the same purpose, so that
// its users can import their accounts.
//
// The file is an ini file that Python's configparser reads. A section named SMTP-1587
// is a server for which that program listens on port 1587. A section named after an
// email address is an account, with its provider's URLs, its registration and the
// tokens it was given. Each token is a Fernet token, encrypted with a key derived from
// the password that the mail program uses. Nothing in the file says which account uses
// which server; that depends on the port that the mail program connects to.
//
// No error of this package contains a secret.
package emailproxy

import (
	"encoding/json"
	"errors"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/waxseal/waxseal/keystore/safeio"
)

// File is what a configuration file contains. Every section is in one of its lists, apart
// from those for documentation.
type File struct {
	Servers  []Server  // of all protocols
	Accounts []Account // named after an address

	// CatchAll are accounts named "@" or "@domain", which stand for every address that is
	// not in the file, or for every one of a domain. CatchAllUsed reports whether
	// allow_catch_all_accounts lets that program use them.
	CatchAll     []Account
	CatchAllUsed bool

	// LoginSecret reports whether the mail password is the client secret of accounts of the
	// flow ClientCredentials that have none (use_login_password_as_client_credentials_secret).
	LoginSecret bool

	Samples  []string // sections of accounts that have not been filled in
	Unusable []string // sections of servers without address or with a wrong port
	Nameless []string // sections like an account's whose name is not an address
	Twice    []string // sections whose name occurred before
	Repeated []string // settings that occur twice in their section
	Unknown  []string // settings that this package does not know, such as "[SMTP-1587] colour"
}

// Server is a mail server and the local port that leads to it.
type Server struct {
	Section  string
	Protocol string // "smtp", "imap" or "pop"
	Port     int    // on this computer
	Address  string // host:port
	StartTLS bool   // otherwise implicit TLS

	Listen        string // the address that the port is on, "" for all of this computer's
	TLS           bool   // mail programs connect with TLS or, with LocalStartTLS, STARTTLS
	LocalStartTLS bool
	Plugins       bool // scripts change what is sent
}

var serverName = regexp.MustCompile(`^(IMAP|POP|SMTP)-(\d{1,5})$`)

// serverKeys, globalKeys and accountKeys are the settings that this package reads, or that need
// nothing here: Waxseal always uses PKCE, gets new access tokens, keeps secrets encrypted, and
// keeps them after a wrong password.
var (
	serverKeys = []string{
		"server_address", "server_port", "server_starttls", "starttls", "local_address", "local_starttls",
		"local_certificate_path", "local_key_path", "plugins", "documentation",
	}
	globalKeys = []string{
		"delete_account_token_on_password_error", "encrypt_client_secret_on_first_use", "allow_catch_all_accounts",
		"use_login_password_as_client_credentials_secret", "documentation",
	}
	accountKeys = []string{
		"permission_url", "token_url", "oauth2_scope", "oauth2_resource", "oauth2_flow", "redirect_uri", "redirect_listen_address",
		"client_id", "client_secret", "client_secret_encrypted", "jwt_certificate_path", "jwt_key_path", "use_pkce", "documentation",
		"token_salt", "token_iterations", "access_token", "access_token_expiry", "refresh_token", "last_activity",
	}
)

// decode returns the text of a file. On Windows, that program writes it in the system's older
// encoding. Latin-1 stands for all of those here, since only comments are not ASCII.
func decode(data []byte) (string, error) {
	if !utf8.Valid(data) && !slices.Contains(data, 0) {
		runes := make([]rune, len(data))
		for i, b := range data {
			runes[i] = rune(b)
		}
		data = []byte(string(runes))
	}
	text, err := safeio.Text(data)
	return safeio.UnixLines(text), err
}

// Is reports whether data is such a file, as opposed to a file in JSON.
func Is(data []byte) bool {
	text, err := decode(data)
	if err != nil || json.Valid([]byte(text)) {
		return false
	}
	for _, s := range parseINI(text) {
		if serverName.MatchString(s.name) || s.name == "emailproxy" {
			return true
		}
		if _, ok := s.values["token_url"]; ok {
			return true
		}
	}
	return false
}

// Parse reads a file. It fails if the file contains no account that has been filled in.
func Parse(data []byte) (File, error) {
	text, err := decode(data)
	if err != nil {
		return File{}, err
	}
	var f File
	sections := parseINI(text)
	seen := map[string]bool{}
	settings := lookup(sections)
	for _, s := range sections {
		if seen[s.name] {
			f.Twice = append(f.Twice, s.name)
			continue
		}
		seen[s.name] = true
		for _, key := range s.twice {
			f.Repeated = append(f.Repeated, "["+s.name+"] "+key)
		}
		if serverName.MatchString(s.name) {
			s = s.withDefaults(sections)
		}
		f.add(s, settings)
	}
	if len(f.Accounts)+len(f.CatchAll) == 0 {
		text := "it contains no account; an account is a section named after an email address, such as [me@example.com], with a token_url and a client_id"
		if len(f.Samples) > 0 {
			text = "its accounts are samples that have not been filled in, so there is nothing to import"
		}
		return f, errors.New(text)
	}
	return f, nil
}

// add puts a section into the list it belongs to.
func (f *File) add(s section, settings func(section, key string) string) {
	local, _, isAddress := strings.Cut(s.name, "@")
	m := serverName.FindStringSubmatch(s.name)
	switch {
	case m != nil:
		f.addServer(s, strings.ToLower(m[1]), m[2])
	case s.name == "emailproxy":
		f.noteUnknown(s, globalKeys)
		f.CatchAllUsed = truth(s.values["allow_catch_all_accounts"])
		f.LoginSecret = truth(s.values["use_login_password_as_client_credentials_secret"])
	case isAddress:
		f.noteUnknown(s, accountKeys)
		a := newAccount(s.name, settings)
		switch {
		case a.sample:
			f.Samples = append(f.Samples, s.name)
		case local == "":
			f.CatchAll = append(f.CatchAll, a)
		default:
			f.Accounts = append(f.Accounts, a)
		}
	case s.name == "DEFAULT":
	case s.values["token_url"] != "":
		f.Nameless = append(f.Nameless, s.name)
	case s.values["server_address"] != "":
		f.Unusable = append(f.Unusable, s.name)
	}
}

func (f *File) addServer(s section, protocol, local string) {
	f.noteUnknown(s, serverKeys)
	port, err := strconv.Atoi(local)
	remote, rerr := strconv.Atoi(s.values["server_port"])
	host := s.values["server_address"]
	if err != nil || port < 1 || port > 65535 || rerr != nil || remote < 1 || remote > 65535 || host == "" {
		f.Unusable = append(f.Unusable, s.name)
		return
	}
	start, ok := s.values["server_starttls"]
	if !ok {
		start = s.values["starttls"] // its name until 2023
	}
	f.Servers = append(f.Servers, Server{
		Section: s.name, Protocol: protocol, Port: port, Address: net.JoinHostPort(host, strconv.Itoa(remote)), StartTLS: truth(start),
		Listen: s.values["local_address"], TLS: s.values["local_certificate_path"] != "", LocalStartTLS: truth(s.values["local_starttls"]),
		Plugins: s.values["plugins"] != "",
	})
}

// noteUnknown notes the settings of a section that are not among known.
func (f *File) noteUnknown(s section, known []string) {
	for _, key := range s.keys {
		if !slices.Contains(known, key) {
			f.Unknown = append(f.Unknown, "["+s.name+"] "+key)
		}
	}
}

// truth does what configparser's getboolean does.
func truth(s string) bool {
	switch strings.ToLower(s) {
	case "1", "yes", "true", "on":
		return true
	}
	return false
}
