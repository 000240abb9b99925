package dial

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"
)

// Anybody may have written what a certificate says about itself.
func TestNamesInCertificates(t *testing.T) {
	reason := &tls.CertificateVerificationError{Err: errors.New("signed by\nnobody")}
	for _, c := range []struct {
		leaf            x509.Certificate
		subject, issuer string
	}{
		{x509.Certificate{Subject: pkix.Name{CommonName: "mail.x.example"}, Issuer: pkix.Name{CommonName: "Virus Scanner"}, RawIssuer: []byte("i")}, "mail.x.example", "Virus Scanner"},
		{x509.Certificate{Subject: pkix.Name{Organization: []string{"Hotel"}}, DNSNames: []string{"login.hotel.example"}, Issuer: pkix.Name{Organization: []string{"A", "B"}}, RawIssuer: []byte("i")}, "login.hotel.example", "A, B"},
		{x509.Certificate{Subject: pkix.Name{Organization: []string{"Hotel"}}}, "Hotel", "itself"},
		{x509.Certificate{RawIssuer: []byte("i")}, "an unnamed holder", "an unnamed issuer"},
		{x509.Certificate{Subject: pkix.Name{CommonName: "a\r\nb\u202e"}, Issuer: pkix.Name{CommonName: strings.Repeat("ü", 80)}, RawIssuer: []byte("i")}, "a??b?", strings.Repeat("ü", 50) + "…"},
	} {
		reason.UnverifiedCertificates = []*x509.Certificate{&c.leaf}
		err := untrusted("smtp.x.example", reason)
		want := "the certificate for smtp.x.example, issued to " + c.subject + " by " + c.issuer + ", is not trusted: signed by?nobody"
		if err.Error() != want || !errors.Is(err, reason) {
			t.Errorf("got %q, want %q", err, want)
		}
	}
	if other := errors.New("other"); untrusted("h", other) != other {
		t.Error("another error was taken for one of a certificate")
	}
}
