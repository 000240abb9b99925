package dial

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/waxseal/waxseal/proxy/foreign"
)

// CertificateError is a server's certificate that is not trusted. Whose it is often tells why: a virus
// scanner's, a company's own CA, the login page of a hotel's network.
type CertificateError struct {
	Host    string // for which the certificate was needed
	Subject string // to whom it was issued
	Issuer  string // by whom
	Err     error  // why it is not trusted: a [*tls.CertificateVerificationError]
}

func (e *CertificateError) Error() string {
	_, why, ok := strings.Cut(e.Err.Error(), "tls: failed to verify certificate: ")
	if !ok {
		why = e.Err.Error()
	}
	return fmt.Sprintf("the certificate for %s, issued to %s by %s, is not trusted: %s", e.Host, e.Subject, e.Issuer, shown(why, maxReason))
}

// Unwrap gives the reason.
func (e *CertificateError) Unwrap() error { return e.Err }

// untrusted is the [*CertificateError] of a handshake that failed on the certificate, else err itself.
func untrusted(host string, err error) error {
	failed, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok || len(failed.UnverifiedCertificates) == 0 {
		return err
	}
	leaf := failed.UnverifiedCertificates[0]
	issuer := cmp.Or(leaf.Issuer.CommonName, strings.Join(leaf.Issuer.Organization, ", "), "an unnamed issuer")
	if string(leaf.RawIssuer) == string(leaf.RawSubject) {
		issuer = "itself"
	}
	return &CertificateError{Host: host, Subject: shown(holder(leaf), maxName), Issuer: shown(issuer, maxName), Err: err}
}

// holder names whom a certificate was issued to.
func holder(leaf *x509.Certificate) string {
	if leaf.Subject.CommonName != "" {
		return leaf.Subject.CommonName
	}
	if len(leaf.DNSNames) > 0 {
		return leaf.DNSNames[0]
	}
	return cmp.Or(strings.Join(leaf.Subject.Organization, ", "), "an unnamed holder")
}

// As much of a name in a certificate, and of the reason, which may hold more of them, is shown.
const (
	maxName   = 100
	maxReason = 300
)

// shown is text of somebody else, at most n bytes of it.
func shown(text string, n int) string {
	if len(text) > n {
		text = strings.ToValidUTF8(text[:n], "") + "…"
	}
	return foreign.Printable([]byte(text))
}
