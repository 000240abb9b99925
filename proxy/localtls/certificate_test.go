package localtls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
)

var certificateTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// checkCertificate checks what mail programs check, at the time now.
func checkCertificate(t *testing.T, cert tls.Certificate, now time.Time) {
	t.Helper()
	leaf := cert.Leaf
	if leaf == nil || leaf.IsCA || leaf.NotAfter.Sub(now) < certificateRenew {
		t.Fatalf("leaf %+v", leaf)
	}
	if key, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("key %T", leaf.PublicKey)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(leaf)
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: trusted, DNSName: name, CurrentTime: now}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: trusted, DNSName: "example.com", CurrentTime: now}); err == nil {
		t.Error("the certificate is valid for example.com")
	}
}

func TestLocalCertificate(t *testing.T) {
	dir := filepath.Join(safeiotest.Dir(t), "new")
	make := func(now time.Time) tls.Certificate {
		t.Helper()
		cert, err := Certificate(dir, now)
		if err != nil {
			t.Fatal(err)
		}
		checkCertificate(t, cert, now)
		return cert
	}
	first := make(certificateTime)
	if got := first.Leaf.NotAfter.Sub(certificateTime); got != 365*24*time.Hour {
		t.Errorf("valid for %v", got)
	}
	if info, err := os.Stat(filepath.Join(dir, "localhost.key")); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("key file %v, %v", info.Mode(), err)
	}
	serial := first.Leaf.SerialNumber
	change := func(what string, now time.Time, renewed bool) {
		t.Helper()
		cert := make(now)
		if (cert.Leaf.SerialNumber.Cmp(serial) != 0) != renewed {
			t.Errorf("%s: renewed %v, want %v", what, !renewed, renewed)
		}
		serial = cert.Leaf.SerialNumber
	}
	change("the next day", certificateTime.Add(24*time.Hour), false)
	change("30 days left", first.Leaf.NotAfter.Add(-certificateRenew), false)
	now := first.Leaf.NotAfter.Add(-certificateRenew + time.Second)
	change("less than 30 days left", now, true)
	change("a clock set back", certificateTime.Add(-1000*time.Hour), true)
	for _, name := range []string{"localhost.crt", "localhost.key"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("garbage"), 0o600); err != nil {
			t.Fatal(err)
		}
		change("garbage in "+name, certificateTime, true)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		change("without "+name, certificateTime, true)
	}
	// After a crash between the two writes: the old certificate with a new key.
	old, err := os.ReadFile(filepath.Join(dir, "localhost.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "localhost.crt")); err != nil {
		t.Fatal(err)
	}
	serial = make(certificateTime).Leaf.SerialNumber
	if err := os.WriteFile(filepath.Join(dir, "localhost.crt"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	change("a certificate and a key that do not match", certificateTime, true)
}

func TestLocalCertificateNotKept(t *testing.T) {
	dir := filepath.Join(file(t), "below a file")
	cert, err := Certificate(dir, certificateTime)
	if !errors.Is(err, ErrNotKept) {
		t.Errorf("error %v", err)
	}
	checkCertificate(t, cert, certificateTime)
}

// A real handshake, like that of a mail program that trusts the certificate.
func TestLocalCertificateHandshake(t *testing.T) {
	cert, err := Certificate(safeiotest.Dir(t), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(cert.Leaf)
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	failed := make(chan error, 1)
	go func() { failed <- tls.Server(there, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake() }()
	if err := tls.Client(here, &tls.Config{RootCAs: trusted, ServerName: "127.0.0.1"}).Handshake(); err != nil {
		t.Error(err)
	}
	if err := <-failed; err != nil {
		t.Error(err)
	}
}
