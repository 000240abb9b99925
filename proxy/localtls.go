package proxy

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/localtls"
)

// certificate is the certificate for local TLS, which is replaced before it expires, and that of the
// configuration's [tls].
type certificate struct {
	now atomic.Pointer[tls.Certificate]
	own atomic.Pointer[localtls.Files] // nil: the configuration has none

	mu sync.Mutex // one renewal at a time
}

// certificate chooses the certificate for a connection.
func (s *Server) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := s.ownCertificate(hello); cert != nil {
		return cert, nil
	}
	return s.localCertificate()
}

// relayedCertificate is the certificate for a client of a balancer, which is on another computer even where
// the balancer is on this one.
func (s *Server) relayedCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if files := s.cert.own.Load(); files != nil {
		if cert := files.Get(s.opts.Now()); cert != nil {
			return cert, nil
		}
	}
	return s.localCertificate()
}

// ownCertificate is the certificate of [tls], nil if there is none or if the client does not want it:
// programs on this computer that connect to localhost or 127.0.0.1 trust the one made for those.
func (s *Server) ownCertificate(hello *tls.ClientHelloInfo) *tls.Certificate {
	files := s.cert.own.Load()
	if files == nil {
		return nil
	}
	cert := files.Get(s.opts.Now())
	if cert == nil {
		return nil
	}
	here, ok := hello.Conn.LocalAddr().(*net.TCPAddr)
	if ok && here.IP.IsLoopback() && cert.Leaf.VerifyHostname(hello.ServerName) != nil {
		return nil
	}
	return cert
}

// planCertificate prepares the certificate of a new configuration. If its files cannot be used, the
// configuration is refused.
func (s *Server) planCertificate(cfg config.Config) (*localtls.Files, error) {
	was := s.cert.own.Load()
	switch {
	case cfg.TLS.Certificate == "":
		return nil, nil
	case was != nil && was.Certificate == cfg.TLS.Certificate && was.Key == cfg.TLS.Key:
		return was, nil
	}
	files := &localtls.Files{Certificate: cfg.TLS.Certificate, Key: cfg.TLS.Key, Log: s.log}
	if _, err := files.Load(); err != nil {
		return nil, badCertificate(err)
	}
	return files, nil
}

// badCertificate is the problem of files of [tls] that cannot be used.
func badCertificate(err error) error {
	return &api.Problem{Lasting: true, What: api.Say("The certificate for TLS can’t be used: {{.Why}}", "Why", err.Error()),
		Cure: api.Say("Correct the files that [tls] names in the configuration. Until then Waxseal keeps using the certificate it has.")}
}

func (s *Server) localCertificate() (*tls.Certificate, error) {
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
	cert, err := s.localCertificate()
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
