// Package emailproxy reads the configuration file of email-oauth2-proxy
// (github.com/simonrob/email-oauth2-proxy), a program of the same purpose, so
// that its users can take their accounts along.
//
// The file is an ini file as Python's configparser reads it. A section named
// SMTP-1587 is a server: that program listens on port 1587 for it. A section
// named by a mail address is an account: its provider's addresses, its
// registration, and the tokens that it was given, each a Fernet token under a
// key from the password that the mail program uses. Nothing in the file says
// which account uses which server; the mail program's port does.
//
// No error and no warning of this package holds a secret.
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
	Consent           = "authorization_code" // also where the file has none
	Device            = "device"
	ClientCredentials = "client_credentials"
	ServiceAccount    = "service_account"
	Password          = "password" // RFC 6749 section 4.3, which RFC 9700 forbids
)

// ErrPassword says that the mail password does not open what is sealed with it.
var ErrPassword = errors.New("the mail password does not open the tokens")

// File is what a configuration file holds.
type File struct {
	Servers  []Server // of SMTP
	Accounts []Account
	Warnings []string // what was left out
}

// Server is an SMTP server and the port of this computer that leads to it.
type Server struct {
	Port     int    // of this computer
	Address  string // host:port
	StartTLS bool   // else TLS from the first byte
}

// Account is one account. Open gives its secrets.
type Account struct {
	Address  string
	Flow     string
	AuthURL  string // for Device the address that gives codes
	TokenURL string
	Scopes   []string
	Resource string // of Microsoft's first endpoints, which know no scopes
	Redirect string
	ClientID string // for ServiceAccount "file" or "key", which tells what the secret is

	plain, secret, refresh string // client_secret, client_secret_encrypted, refresh_token
	salt, rounds           string // token_salt, token_iterations
	sample                 bool   // nobody has filled it in
}

// Secrets are an account's, "" where it has none.
type Secrets struct {
	RefreshToken string
	ClientSecret string
}

var serverName = regexp.MustCompile(`^(IMAP|POP|SMTP)-(\d{1,5})$`)

// Is tells whether a text is such a file, and not one in JSON.
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

// Parse reads a file. It fails for one without any account.
func Parse(data []byte) (File, error) {
	var f File
	sections := parseINI(data)
	seen := map[string]bool{}
	settings := lookup(sections)
	for _, s := range sections {
		if seen[s.name] {
			f.warn("section [%s] is there twice; the first one counts", s.name)
			continue
		}
		seen[s.name] = true
		local, domain, isAddress := strings.Cut(s.name, "@")
		switch m := serverName.FindStringSubmatch(s.name); {
		case m != nil && m[1] == "SMTP":
			f.addServer(s, m[2])
		case m != nil:
			f.warn("section [%s] was left out: Waxseal sends mail, and does not fetch it", s.name)
		case isAddress && local == "":
			f.warn("section [%s] was left out: it names no address but stands for all of %q; add those with `waxseal account add`", s.name, "@"+domain)
		case isAddress:
			if a := newAccount(s.name, settings); a.sample {
				f.warn("section [%s] was left out: it is one of the samples", s.name)
			} else {
				f.Accounts = append(f.Accounts, a)
			}
		}
	}
	if len(f.Accounts) == 0 {
		return f, errors.New("no account is in it: a section named by a mail address, like [me@example.com], with its token_url and client_id")
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

// truth is configparser's getboolean.
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

// Sealed tells whether the account has secrets that only the mail password opens.
func (a Account) Sealed() bool { return a.refresh != "" || a.secret != "" }

// Open gives the account's secrets. Where they are sealed that takes the mail
// password, and about a second of work; ErrPassword says that it is another one.
// With "" only what lies open is given.
func (a Account) Open(password string) (Secrets, error) {
	s := Secrets{ClientSecret: a.plain}
	if !a.Sealed() || password == "" {
		return s, nil
	}
	salt, err := base64.StdEncoding.DecodeString(a.salt)
	if err != nil || len(salt) == 0 {
		return s, errors.New("its token_salt is missing or damaged, so its tokens cannot be opened")
	}
	stated := oldRounds
	if a.rounds != "" {
		stated, err = strconv.Atoi(a.rounds)
		if err != nil || stated < 1 || stated > maxRounds {
			return s, fmt.Errorf("its token_iterations is no number from 1 to %d", maxRounds)
		}
	}
	// A secret may be older than the number beside it; that program tries all.
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

// open puts what is sealed under the key in its place.
func open(key []byte, sealed string, to *string) bool {
	text, err := unseal(key, sealed)
	if err == nil {
		*to = string(bytes.TrimSpace(text))
	}
	return err == nil
}
