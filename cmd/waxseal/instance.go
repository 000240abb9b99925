package main

import (
	"fmt"
	"os"
	"strings"
)

// instanceEnv names this machine among several.
const instanceEnv = "WAXSEAL_INSTANCE"

// maxInstance is how long an instance's name may be, in bytes: as long as a domain name's label and its
// number in a set, and more.
const maxInstance = 100

// instance is this machine's name in status, metrics and whatever several machines share: as the environment
// says, else the host's.
func (m *Main) instance() (string, error) {
	if name := m.Getenv(instanceEnv); name != "" {
		if len(name) > maxInstance || strings.ContainsFunc(name, notInInstance) {
			return "", &usageError{fmt.Errorf("%s is %q; use up to %d letters, digits, dots, hyphens and underscores", instanceEnv, name, maxInstance)}
		}
		return name, nil
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	host = strings.Map(func(r rune) rune {
		if notInInstance(r) {
			return '-'
		}
		return r
	}, host)
	return host[:min(len(host), maxInstance)], nil
}

// notInInstance reports whether a character has no place in an instance's name, which is part of keys and
// labels elsewhere.
func notInInstance(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_", r))
}
