package proxy

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/localtls"
)

// certificate is the certificate for local TLS. It is replaced before it expires.
type certificate struct {
	now atomic.Pointer[tls.Certificate]

	mu sync.Mutex // one renewal at a time
}

func (s *Server) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := s.cert.now.Load(); cert != nil && localtls.StillValid(cert.Leaf, s.opts.Now()) {
		return cert, nil
	}
	s.cert.mu.Lock()
	defer s.cert.mu.Unlock()
	if cert := s.cert.now.Load(); cert != nil && localtls.StillValid(cert.Leaf, s.opts.Now()) {
		return cert, nil
	}
	cert, err := s.newCertificate()
	if errors.Is(err, localtls.ErrNotKept) {
		s.log.Warn("the certificate for local TLS is only valid until the next start", "err", err)
	} else if err != nil {
		return nil, fmt.Errorf("certificate for local TLS: %w", err)
	}
	s.cert.now.Store(&cert)
	return &cert, nil
}

// newCertificate finds or makes the certificate next to the configuration file. A server
// without such a file keeps the certificate in memory.
func (s *Server) newCertificate() (tls.Certificate, error) {
	if s.opts.ConfigPath != "" {
		return localtls.Certificate(filepath.Dir(s.opts.ConfigPath), s.opts.Now())
	}
	certPEM, keyPEM, err := localtls.New(s.opts.Now())
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

// Certificate returns the current certificate for local TLS. Its File is empty if it could
// not be stored.
func (s *Server) Certificate() (api.Certificate, error) {
	cert, err := s.certificate(nil)
	if err != nil {
		return api.Certificate{}, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw})
	info := api.Certificate{PEM: string(text), Fingerprint: fingerprint(cert.Leaf.Raw), NotAfter: cert.Leaf.NotAfter.UTC().Format(time.RFC3339)}
	if s.opts.ConfigPath != "" {
		file := filepath.Join(filepath.Dir(s.opts.ConfigPath), localtls.File)
		if stored, err := os.ReadFile(file); err == nil && bytes.Equal(stored, text) {
			info.File = file
		}
	}
	return info, nil
}

// fingerprint is a certificate's SHA-256 in the form that mail programs show.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":")
}
