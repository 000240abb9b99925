package dial

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
)

// TestCAFileInOtherNotations: Windows exports certificates as DER, and PowerShell writes UTF-16.
func TestCAFileInOtherNotations(t *testing.T) {
	cert, _ := certificate(t, "smtp.corp.test")
	der := string(cert.Certificates[0].Certificate[0])
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(der)}))
	var little strings.Builder
	little.WriteString("\xff\xfe")
	for _, b := range text {
		little.Write([]byte{byte(b), 0})
	}
	for name, content := range map[string]string{"PEM": text, "PEM with a mark": "\ufeff" + text, "UTF-16": little.String(), "DER": der, "a ZIP archive": "PK\x03\x04", "nothing": ""} {
		file := filepath.Join(safeiotest.Dir(t), "ca")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		clients := Clients{Proxies: new(Proxies)}
		client, roots, err := clients.Get(file)
		if (err == nil) != (client != nil && roots != nil) {
			t.Errorf("%s: %v, %v, %v", name, client, roots, err)
		}
		switch name {
		case "nothing":
			if err == nil || !strings.Contains(err.Error(), "no certificate in PEM format") {
				t.Errorf("%s: %v", name, err)
			}
		case "a ZIP archive":
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		default:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestClientsAreShared: accounts with the same CA file have one client, until files are read again.
func TestClientsAreShared(t *testing.T) {
	clients := Clients{Proxies: new(Proxies)}
	get := func() any {
		c, roots, err := clients.Get("")
		if err != nil || roots != nil {
			t.Fatalf("%v, %v", roots, err)
		}
		return c
	}
	first, second := get(), get()
	clients.Forget()
	if third := get(); first != second || first == third {
		t.Errorf("%p, %p and after Forget %p", first, second, third)
	}
}
