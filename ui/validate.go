package ui

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// addresses splits a list of addresses at commas, semicolons and spaces.
func addresses(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == ';' })
}

// checkAddresses says what is wrong with addresses; "" is nothing.
func checkAddresses(s string) string {
	for _, a := range addresses(s) {
		if wrong := checkAddress(a); wrong != "" {
			return wrong
		}
	}
	return ""
}

func checkOneAddress(s string) string {
	if s == "" {
		return ""
	}
	return checkAddress(s)
}

// checkAddress checks one host:port. The engine decides which hosts are allowed.
func checkAddress(s string) string {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return tr("“{{.Text}}” has no port. Write it like 127.0.0.1:1587.", values{"Text": clean(s)})
	}
	host, port := s[:i], s[i+1:]
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return tr("“{{.Text}}” is not a port. Ports go from 1 to 65535.", values{"Text": clean(port)})
	}
	bare, bracket := strings.CutPrefix(host, "[")
	if bracket {
		bare, bracket = strings.CutSuffix(bare, "]")
	}
	if _, err := netip.ParseAddr(bare); strings.Contains(bare, ":") && (err != nil || !bracket) {
		return tr("“{{.Text}}” is not an address. Write IPv6 like [::1]:1587.", values{"Text": clean(s)})
	}
	return ""
}

// checkProxy checks the URL of an HTTP proxy.
func checkProxy(s string) string {
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return tr("Write it like http://proxy.example.com:3128.")
	}
	return ""
}
