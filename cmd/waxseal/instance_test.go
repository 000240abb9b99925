package main

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestInstance(t *testing.T) {
	for set, want := range map[string]string{
		"mail-1": "mail-1", "waxseal_2.office": "waxseal_2.office", strings.Repeat("x", 100): strings.Repeat("x", 100),
		"a/b": "", "two words": "", "a@b": "", "ü": "", "..\n": "", strings.Repeat("x", 101): "",
	} {
		m := &Main{Getenv: func(name string) string { return map[string]string{instanceEnv: set}[name] }}
		got, err := m.instance()
		var usage *usageError
		if got != want || (want == "") != errors.As(err, &usage) {
			t.Errorf("%q: %q, %v", set, got, err)
		}
	}
	m := &Main{Getenv: func(string) string { return "" }}
	got, err := m.instance()
	if host, _ := os.Hostname(); err != nil || got == "" || strings.ContainsFunc(got, notInInstance) || !strings.ContainsFunc(host, notInInstance) && len(host) <= maxInstance && host != "" && got != host {
		t.Errorf("%q on %q, %v", got, host, err)
	}
}
