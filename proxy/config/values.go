package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/dial"
)

// checkClientID does not repeat what it refuses: people put the provider's JSON there, which
// contains a secret.
func checkClientID(id string) error {
	switch {
	case strings.HasPrefix(strings.TrimSpace(id), "{"):
		return errors.New(`client_id contains the provider's JSON, but secrets do not belong in this file; enter only the client_id of the JSON, and give the file to "waxseal account add" with --client-secret-file`)
	case strings.ContainsFunc(id, unicode.IsControl):
		return errors.New("client_id contains a control character; copy the client ID alone")
	}
	return nil
}

// checkURL accepts only https, since tokens are sent there, and http to this machine.
func checkURL(key, raw string) error {
	if raw == "" {
		return fmt.Errorf(`%s is missing; add it, like %[1]s = "https://login.example.com/..."`, key)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || !dial.ValidHost(u.Hostname()):
		return fmt.Errorf(`%s %q is not a web address like "https://login.example.com/token"`, key, raw)
	case u.User != nil || u.Fragment != "":
		return fmt.Errorf("%s must not contain a user name, a password or a #fragment; remove it", key)
	case u.Scheme == "https", u.Scheme == "http" && api.IsLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%s %q must begin with https:// (http:// is only for this machine)", key, raw)
}

// checkHTTPProxy does not repeat what it refuses, since that may contain a password.
func checkHTTPProxy(raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !dial.IsProxyAddress(u) {
		return errors.New(`http_proxy is not the address of a proxy; write it like "http://proxy.example.com:3128"`)
	}
	if _, secret := u.User.Password(); secret {
		return errors.New(`http_proxy contains a password, but secrets do not belong in this file; leave http_proxy empty and set HTTPS_PROXY in the environment`)
	}
	return nil
}

// checkUpdates allows plain HTTP on this machine only: the feed is signed, but a request in clear text
// would tell everybody on the way that Waxseal runs here.
func checkUpdates(raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || !dial.ValidHost(u.Hostname()) || u.Scheme != "https" && !(u.Scheme == "http" && api.IsLoopback(u.Hostname())) {
		return errors.New(`updates is not an address that begins with https://; leave it out for the project's own, or set it to "" to turn the question for newer releases off`)
	}
	return nil
}
