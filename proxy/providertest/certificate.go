package providertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority is a CA and the certificates it has signed: a valid one and an expired one. They use
// P-256, because its handshakes cost least.
type authority struct {
	pem  []byte
	pool *x509.CertPool
	leaf tls.Certificate

	expired tls.Certificate
}

func newAuthority(o Options) (*authority, error) {
	start := time.Now().Add(-time.Hour)
	if o.NotAfter.Before(start) {
		start = o.NotAfter.Add(-time.Hour) // an expired certificate was valid once
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Waxseal test provider CA"},
		NotBefore:             start,
		NotAfter:              time.Now().Add(48 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "Waxseal test provider"},
		NotBefore:    start,
		NotAfter:     o.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range o.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, h)
		}
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	old := *leaf
	old.SerialNumber, old.NotBefore, old.NotAfter = big.NewInt(3), time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	oldDER, err := x509.CreateCertificate(rand.Reader, &old, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	a := &authority{
		pem:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
		pool: x509.NewCertPool(),
		leaf: tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key},

		expired: tls.Certificate{Certificate: [][]byte{oldDER}, PrivateKey: key},
	}
	a.pool.AppendCertsFromPEM(a.pem)
	return a, nil
}

// serverConfig allows TLS 1.2 and newer, or exactly maxVersion if that is older.
func (a *authority) serverConfig(maxVersion uint16) *tls.Config {
	c := &tls.Config{
		Certificates: []tls.Certificate{a.leaf},
		MinVersion:   tls.VersionTLS12,
		MaxVersion:   maxVersion,
	}
	if maxVersion != 0 && maxVersion < c.MinVersion {
		c.MinVersion = maxVersion
	}
	return c
}

// WriteCA writes the CA's certificate to a file in dir, for clients that need a file.
func (p *Provider) WriteCA(dir string) (path string, err error) {
	path = filepath.Join(dir, "provider-ca.pem")
	if err := os.WriteFile(path, p.ca.pem, 0o644); err != nil {
		return "", fmt.Errorf("provider's CA certificate: %w", err)
	}
	return path, nil
}
