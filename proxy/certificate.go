package proxy

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

// ErrNotKept says that a new certificate could not be stored: it holds until
// the program ends, and mail programs that trusted it will ask again.
var ErrNotKept = errors.New("the local certificate could not be stored")

const (
	certificateFile  = "localhost.crt"
	certificateLife  = 365 * 24 * time.Hour
	certificateRenew = 30 * 24 * time.Hour // left when a new one is made
)

// LocalCertificate is the certificate with which mail programs on this machine
// are served: ECDSA P-256 for localhost, 127.0.0.1 and ::1, not a CA, good for a
// year. It is kept in dir as localhost.crt and localhost.key (0600); a new one
// is made when there is none, when it cannot be read, or when less than 30 days
// of it are left at the time now. Calling it again now and then, while running,
// is how it is renewed: it costs two small reads.
//
// Where the new one cannot be stored, the error is ErrNotKept and the
// certificate works all the same.
func LocalCertificate(dir string, now time.Time) (tls.Certificate, error) {
	certFile, keyFile := filepath.Join(dir, certificateFile), filepath.Join(dir, "localhost.key")
	if cert, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil && usable(cert.Leaf, now) {
		_ = os.Chmod(keyFile, 0o600)
		return cert, nil
	}
	certPEM, keyPEM, err := newCertificate(now)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make local certificate: %w", err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make local certificate: %w", err)
	}
	// A crash between the two leaves a pair that does not fit, which the next
	// start takes for unreadable.
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

// usable reports whether a stored certificate need not be renewed. One from the
// future was made by a clock that has been set right since.
func usable(leaf *x509.Certificate, now time.Time) bool {
	return leaf != nil && !now.Before(leaf.NotBefore) && leaf.NotAfter.Sub(now) >= certificateRenew
}

func newCertificate(now time.Time) (certPEM, keyPEM []byte, err error) {
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
		NotBefore:             now.Add(-time.Hour), // clocks that were set back a little
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
