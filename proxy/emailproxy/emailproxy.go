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
// No error or warning of this package contains a secret.
package emailproxy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The values of Account.Flow (oauth2_flow in the file).
const (
	Consent           = "authorization_code" // also if the file does not say
	Device            = "device"
	ClientCredentials = "client_credentials"
	ServiceAccount    = "service_account"
	Password          = "password" // RFC 6749 section 4.3, which RFC 9700 forbids
)

// ErrPassword means that this is not the password with which the secrets are encrypted.
var ErrPassword = errors.New("the mail password does not open the tokens")

// File is what a configuration file contains.
type File struct {
	Servers  []Server // SMTP servers only
	Accounts []Account
	Warnings []string // say what was left out
}

// Server is an SMTP server and the local port that leads to it.
type Server struct {
	Port     int    // on this computer
	Address  string // host:port
	StartTLS bool   // otherwise implicit TLS
}

// Account is one account. Open returns its secrets.
type Account struct {
	Address  string
	Flow     string
	AuthURL  string // for Device, the URL that issues the codes
	TokenURL string
	Scopes   []string
	Resource string // for Microsoft's first endpoints, which have no scopes
	Redirect string
	ClientID string // for ServiceAccount "file" or "key", which says what the secret is

	plain, secret, refresh string // client_secret, client_secret_encrypted, refresh_token
	salt, rounds           string // token_salt, token_iterations
	sample                 bool   // one of the file's samples, not filled in
}

// Secrets are an account's secrets; a missing one is "".
type Secrets struct {
	RefreshToken string
	ClientSecret string
}

var serverName = regexp.MustCompile(`^(IMAP|POP|SMTP)-(\d{1,5})$`)

// Is reports whether data is such a file, as opposed to a file in JSON.
func Is(data []byte) bool {
	if json.Valid(data) {
		return false
	}
	for _, s := range parseINI(data) {
		if serverName.MatchString(s.name) || s.name == "emailproxy" {
			return true
		}
		if _, ok := s.values["token_url"]; ok {
			return true
		}
	}
	return false
}

// Parse reads a file. It fails if the file contains no account.
func Parse(data []byte) (File, error) {
	var f File
	sections := parseINI(data)
	seen := map[string]bool{}
	settings := lookup(sections)
	for _, s := range sections {
		if seen[s.name] {
			f.warn("section [%s] occurs twice; the first one counts", s.name)
			continue
		}
		seen[s.name] = true
		local, domain, isAddress := strings.Cut(s.name, "@")
		switch m := serverName.FindStringSubmatch(s.name); {
		case m != nil && m[1] == "SMTP":
			f.addServer(s, m[2])
		case m != nil:
			f.warn("section [%s] was left out: Waxseal only sends mail and does not fetch it", s.name)
		case isAddress && local == "":
			f.warn("section [%s] was left out: it stands for all addresses in %q; add each of them with `waxseal account add`", s.name, "@"+domain)
		case isAddress:
			if a := newAccount(s.name, settings); a.sample {
				f.warn("section [%s] was left out: it is a sample that has not been filled in", s.name)
			} else {
				f.Accounts = append(f.Accounts, a)
			}
		}
	}
	if len(f.Accounts) == 0 {
		return f, errors.New("it contains no account; an account is a section named after an email address, such as [me@example.com], with a token_url and a client_id")
	}
	return f, nil
}

func (f *File) warn(format string, args ...any) {
	f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...))
}

func (f *File) addServer(s section, local string) {
	port, err := strconv.Atoi(local)
	remote, rerr := strconv.Atoi(s.values["server_port"])
	host := s.values["server_address"]
	if err != nil || rerr != nil || remote < 1 || remote > 65535 || host == "" {
		f.warn("section [%s] was left out: it needs server_address and server_port", s.name)
		return
	}
	start, ok := s.values["server_starttls"]
	if !ok {
		start = s.values["starttls"] // its name until 2023
	}
	f.Servers = append(f.Servers, Server{
		Port: port, Address: net.JoinHostPort(host, strconv.Itoa(remote)),
		StartTLS: truth(start),
	})
}

// truth does what configparser's getboolean does.
func truth(s string) bool {
	switch strings.ToLower(s) {
	case "1", "yes", "true", "on":
		return true
	}
	return false
}

func newAccount(name string, settings func(section, key string) string) Account {
	get := func(key string) string { return settings(name, key) }
	a := Account{
		Address: name, Flow: get("oauth2_flow"),
		AuthURL: get("permission_url"), TokenURL: get("token_url"),
		Scopes: strings.Fields(get("oauth2_scope")), Resource: get("oauth2_resource"), Redirect: get("redirect_uri"),
		ClientID: get("client_id"), plain: get("client_secret"), secret: get("client_secret_encrypted"),
		salt: get("token_salt"), rounds: get("token_iterations"), refresh: get("refresh_token"),
	}
	if a.Flow == "" {
		a.Flow = Consent
	}
	const blank = "***" // the sample's "*** your client id here ***"
	if strings.Contains(a.plain, blank) {
		a.plain = ""
	}
	a.sample = strings.Contains(a.ClientID, blank) || strings.Contains(a.TokenURL, blank)
	return a
}

// Sealed reports whether the account has secrets that only the mail password decrypts.
func (a Account) Sealed() bool { return a.refresh != "" || a.secret != "" }

// Open returns the account's secrets. If they are encrypted, it needs the mail
// password and about a second of work; it returns ErrPassword if the password is not
// the right one. With the password "" it returns only secrets that are not encrypted.
func (a Account) Open(password string) (Secrets, error) {
	s := Secrets{ClientSecret: a.plain}
	if !a.Sealed() || password == "" {
		return s, nil
	}
	salt, err := base64.StdEncoding.DecodeString(a.salt)
	if err != nil || len(salt) == 0 {
		return s, errors.New("its token_salt is missing or damaged, so its tokens cannot be decrypted")
	}
	stated := oldRounds
	if a.rounds != "" {
		stated, err = strconv.Atoi(a.rounds)
		if err != nil || stated < 1 || stated > maxRounds {
			return s, fmt.Errorf("its token_iterations is not a number from 1 to %d", maxRounds)
		}
	}
	// A secret may be older than the number next to it, so that program tries all of them.
	rounds := []int{stated, newRounds, oldRounds}
	tokenOpen, secretOpen := a.refresh == "", a.secret == ""
	for i, n := range rounds {
		if slices.Contains(rounds[:i], n) {
			continue
		}
		key, err := deriveKey(password, salt, n)
		if err != nil {
			return s, err
		}
		tokenOpen = tokenOpen || open(key, a.refresh, &s.RefreshToken)
		secretOpen = secretOpen || open(key, a.secret, &s.ClientSecret)
		if tokenOpen && secretOpen {
			return s, nil
		}
	}
	return Secrets{ClientSecret: a.plain}, ErrPassword
}

// open decrypts a secret into *to and reports whether it could.
func open(key []byte, sealed string, to *string) bool {
	text, err := unseal(key, sealed)
	if err == nil {
		*to = string(bytes.TrimSpace(text))
	}
	return err == nil
}
