package emailproxy

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
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

// Account is one account. Open returns its secrets.
type Account struct {
	Address     string
	Flow        string
	AuthURL     string // for Device, the URL that issues the codes
	TokenURL    string
	Scopes      []string
	Resource    string // for Microsoft's first endpoints, which have no scopes
	Redirect    string
	ClientID    string // for ServiceAccount "file" or "key", which says what the secret is
	Certificate bool   // it authenticates with a certificate instead of a client secret

	plain, secret, refresh string // client_secret, client_secret_encrypted, refresh_token
	salt, rounds           string // token_salt, token_iterations
	sample                 bool   // one of the file's samples, not filled in
}

// Secrets are an account's secrets; a missing one is "".
type Secrets struct {
	RefreshToken string
	ClientSecret string
}

func newAccount(name string, settings func(section, key string) string) Account {
	get := func(key string) string { return settings(name, key) }
	a := Account{
		Address: name, Flow: get("oauth2_flow"),
		AuthURL: get("permission_url"), TokenURL: get("token_url"),
		Scopes: strings.Fields(get("oauth2_scope")), Resource: get("oauth2_resource"), Redirect: get("redirect_uri"),
		ClientID: get("client_id"), plain: get("client_secret"), secret: get("client_secret_encrypted"),
		Certificate: get("jwt_certificate_path") != "" || get("jwt_key_path") != "",
		salt:        get("token_salt"), rounds: get("token_iterations"), refresh: get("refresh_token"),
	}
	if a.Flow == "" {
		a.Flow = Consent
	}
	const blank = "***" // the sample's "*** your client id here ***"
	blankSecret := strings.Contains(a.plain, blank)
	if blankSecret {
		a.plain = ""
	}
	a.sample = strings.Contains(a.ClientID, blank) || strings.Contains(a.TokenURL, blank) || blankSecret && a.Flow == ServiceAccount
	return a
}

// Sealed reports whether the account has secrets that only the mail password decrypts.
func (a Account) Sealed() bool { return a.refresh != "" || a.secret != "" }

// NeedsPassword reports whether an account's secrets are only complete with its mail password.
func (f File) NeedsPassword(a Account) bool {
	return a.Sealed() || f.LoginSecret && a.Flow == ClientCredentials && a.plain == ""
}

// Cached reports whether this is only what that program caches of an account. With
// --cache-store, the file that has it contains nothing else.
func (a Account) Cached() bool { return a.salt != "" && a.TokenURL == "" && a.ClientID == "" }

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
