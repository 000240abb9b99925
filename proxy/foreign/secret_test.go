package foreign

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestMayBeIn: what a server repeats of a command is found, whatever stands around it and wherever it
// is cut off.
func TestMayBeIn(t *testing.T) {
	for _, secret := range []string{"tok-1", "token-of-19-letters", "ya29.a0AfH6SMBx-TOKEN_of/many+letters==", strings.Repeat("another token ", 200)} {
		for _, name := range []string{"plain", "quoted", "base64", "base64 +1", "base64 +2", "XOAUTH2", "AUTH PLAIN", "Basic"} {
			text := "2.1.5 OK after <" + encodings[name](secret) + "> (try HELP)"
			if !NewSecret(secret).MayBeIn(text) || !New(secret).Holds(text) {
				t.Errorf("%s of %.40q is not found", name, secret)
			}
		}
		if long := NewSecret(secret); len(secret) > window {
			for i := range len(secret) - window {
				part := secret[i : i+window]
				if !long.MayBeIn(part) || !long.MayBeIn(encodings["XOAUTH2"](part)) {
					t.Errorf("the part %q is not found", part)
				}
			}
		}
	}
	secret := "ya29.a0AfH6SMBx-TOKEN_of/many+letters=="
	for _, text := range []string{
		"", "2.1.5 OK", "2.0.0 OK 1732891234 5b1f17b1804b1-4439c1f2e5bsm48871585e9.11 - gsmtp",
		"2.6.0 <2F4VGIFVPSU4.G62K7HC19QY63@ghost> [InternalId=36283883719208, Hostname=LO0P265MB5570.GBRP265.PROD.OUTLOOK.COM] 1625284 bytes in 4.124, 384.817 KB/sec Queued mail for delivery",
		"2.0.0 Ok: queued on mail-nwsmtp-smtp-production-main-88.klg.yp-c.yandex.net 1700000000-xYz",
	} {
		if NewSecret(secret).MayBeIn(text) || New(secret).Holds(text) || NewSecret("").MayBeIn(text) {
			t.Errorf("%q was taken for the secret", text)
		}
	}
}

// longToken is one as long as Microsoft's.
func longToken() string {
	p := make([]byte, 1600)
	rand.NewChaCha8([32]byte{}).Read(p)
	return base64.RawURLEncoding.EncodeToString(p)
}

func TestMayBeInAllocatesNothing(t *testing.T) {
	secret := NewSecret(longToken())
	if n := testing.AllocsPerRun(100, func() { secret.MayBeIn("2.0.0 OK 1732891234 5b1f17b1804b1-4439c1f2e5bsm48871585e9.11 - gsmtp") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMayBeIn(b *testing.B) {
	secret := NewSecret(longToken())
	for b.Loop() {
		secret.MayBeIn("2.0.0 OK 1732891234 5b1f17b1804b1-4439c1f2e5bsm48871585e9.11 - gsmtp")
	}
}
