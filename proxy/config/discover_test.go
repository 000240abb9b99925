package config

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
)

func TestDiscover(t *testing.T) {
	mx := map[string][]*net.MX{
		"workspace.example": {{Host: "ASPMX.L.GOOGLE.COM.", Pref: 1}, {Host: "alt1.aspmx.l.google.com.", Pref: 5}},
		"m365.example":      {{Host: "m365-example.mail.protection.outlook.com.", Pref: 0}},
		"newm365.example":   {{Host: "newm365-example.a-v1.mx.microsoft.", Pref: 0}},
		"fast.example":      {{Host: "in1-smtp.messagingengine.com.", Pref: 10}},
		"gov.example":       {{Host: "gov-example.mail.protection.office365.us.", Pref: 0}},
		"china.example":     {{Host: "china-example.mail.protection.partner.outlook.cn.", Pref: 0}},
		"own.example":       {{Host: "mail.own.example.", Pref: 10}},
		"lookalike.example": {{Host: "mx.notgoogle.com.", Pref: 1}},
	}
	lookup := func(_ context.Context, domain string) ([]*net.MX, error) {
		if hosts, ok := mx[domain]; ok {
			return hosts, nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: domain, IsNotFound: true}
	}
	for address, want := range map[string]string{
		"me@gmail.com": "google", "Me@GMail.com": "google", "me@workspace.example": "google", "me@m365.example": "microsoft",
		"me@newm365.example": "microsoft", "me@fast.example": "fastmail", "me@hotmail.de": "outlook", "me@x.onmicrosoft.com": "microsoft",
		"me@china.example": "microsoft-china", "me@x.partner.onmschina.cn": "microsoft-china",
		"me@gov.example": "", // GCC High or DoD
		"me@own.example": "", "me@lookalike.example": "", "me@nowhere.example": "",
	} {
		p, err := Config{}.Catalogue().discover(t.Context(), address, lookup)
		if p.ID != want || (want == "") != errors.Is(err, ErrNoProvider) {
			t.Errorf("%s: got %q, %v; want %q", address, p.ID, err, want)
		}
	}
	if _, err := (Config{}).Catalogue().discover(t.Context(), "me@icloud.com", lookup); err == nil || !strings.Contains(err.Error(), "app-specific password") {
		t.Errorf("icloud: %v", err)
	}
	_, err := Config{}.Catalogue().discover(t.Context(), "me@gov.example", lookup)
	unknown, ok := errors.AsType[*UnknownProviderError](err)
	if !ok || len(unknown.Choices) != 2 || unknown.Choices[0].ID != "microsoft-gcc-high" || unknown.Choices[1].ID != "microsoft-dod" {
		t.Errorf("two clouds with the same mail servers: %v", err)
	}
	_, err = Config{}.Catalogue().discover(t.Context(), "me@nowhere.example", lookup)
	if unknown, ok := errors.AsType[*UnknownProviderError](err); !ok || len(unknown.Choices) < 10 || !strings.Contains(err.Error(), "nowhere.example, and its mail servers could not be looked up") {
		t.Errorf("no mail servers: %v", err)
	}
	for _, own := range []Provider{{ID: "dod", ClientID: "registered"}, {ID: "corp", MX: []string{"*.office365.us"}}} {
		if p, err := (Config{Providers: []Provider{own}}).Catalogue().discover(t.Context(), "me@gov.example", lookup); err != nil || p.ID != own.ID {
			t.Errorf("with the configured provider %s: %q, %v", own.ID, p.ID, err)
		}
	}
	if _, err := (Config{}).Catalogue().discover(t.Context(), "no address", lookup); err == nil || errors.Is(err, ErrNoProvider) {
		t.Errorf("not an address: %v", err)
	}
}
