// Package localtls makes the certificate with which Waxseal serves TLS to mail programs
// on the same machine, and keeps it beside the configuration. It signs itself and is
// not a CA, so that whoever trusts it trusts nothing else.
package localtls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio"
)

// ErrNotKept says that a new certificate could not be stored: it is used until the
// program ends, and then mail programs that trusted it ask again.
var ErrNotKept = errors.New("the local certificate could not be stored")

const (
	File             = "localhost.crt"
	certificateLife  = 365 * 24 * time.Hour
	certificateRenew = 30 * 24 * time.Hour // a new one is made when less than this is left
)

// LocalCertificate returns the certificate for mail programs on this machine: ECDSA
// P-256 for localhost, 127.0.0.1 and ::1, not a CA, valid for a year. It is kept in dir
// as localhost.crt and localhost.key (0600). A new one is made if there is none, if it
// cannot be read, or if fewer than 30 days of it are left at the time now. A running
// server renews it by calling this again; each call costs two small reads.
//
// If the new certificate cannot be stored, the error is ErrNotKept and the certificate
// works all the same.
func Certificate(dir string, now time.Time) (tls.Certificate, error) {
	certFile, keyFile := filepath.Join(dir, File), filepath.Join(dir, "localhost.key")
	if cert, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil && StillValid(cert.Leaf, now) {
		_ = os.Chmod(keyFile, 0o600)
		return cert, nil
	}
	certPEM, keyPEM, err := New(now)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make local certificate: %w", err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make local certificate: %w", err)
	}
	// A crash between the two writes leaves a certificate and a key that do not match;
	// the next start treats them as unreadable.
	err = os.MkdirAll(dir, 0o700)
	if err == nil {
		err = safeio.Replace(keyFile, keyPEM, 0o600)
	}
	if err == nil {
		err = safeio.Replace(certFile, certPEM, 0o644)
	}
	if err != nil {
		return cert, fmt.Errorf("%w in %s; let this user write there: %w", ErrNotKept, dir, err)
	}
	return cert, nil
}

// stillValid reports whether a stored certificate does not need to be renewed. A
// certificate from the future was made while the clock was wrong.
func StillValid(leaf *x509.Certificate, now time.Time) bool {
	return leaf != nil && !now.Before(leaf.NotBefore) && leaf.NotAfter.Sub(now) >= certificateRenew
}

func New(now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "localhost", Organization: []string{"Waxseal on this machine"}},
		NotBefore:             now.Add(-time.Hour), // tolerates clocks that are set back a little
		NotAfter:              now.Add(certificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return certPEM, keyPEM, nil
}
