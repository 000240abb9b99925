package proxy

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// pair is a relay's own certificate: files, and who trusts it.
type pair struct {
	t         *testing.T
	cert, key string
}

func newPair(t *testing.T, name string, until time.Time) *pair {
	p := &pair{t, filepath.Join(safeiotest.Dir(t), "fullchain.pem"), ""}
	p.key = filepath.Join(filepath.Dir(p.cert), "privkey.pem")
	p.issue(name, until)
	return p
}

// issue replaces the files by a new certificate, as a renewal does.
func (p *pair) issue(name string, until time.Time) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(until.Unix()), NotBefore: until.AddDate(0, 0, -90), NotAfter: until, DNSNames: []string{name}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		p.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(p.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	p.write(p.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (p *pair) write(file string, data []byte) {
	p.t.Helper()
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) use(c *config.Config) {
	c.Hostname, c.TLS = office, config.TLS{Certificate: p.cert, Key: p.key}
}

const office = "mail.office.example"

// seen is the certificate that a client sees who asks for a name.
func (r *rig) seen(name string) *x509.Certificate {
	r.t.Helper()
	c, err := tls.Dial("tcp", r.tls, &tls.Config{InsecureSkipVerify: true, ServerName: name})
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

func TestOwnCertificateIsReadAgain(t *testing.T) {
	start := time.Now()
	clock := &providertest.Clock{}
	minutes := time.Duration(0)
	later := func() { minutes++; clock.Set(minutes * time.Minute) }
	p := newPair(t, office, start.AddDate(0, 0, 60))
	r := newRig(t, rigOptions{clock: clock, config: p.use})
	first := r.seen(office)
	if first.VerifyHostname(office) != nil {
		t.Fatalf("a client that asks for %s sees a certificate for %v", office, first.DNSNames)
	}
	for _, name := range []string{"localhost", ""} {
		if got := r.seen(name); got.VerifyHostname("localhost") != nil {
			t.Errorf("a program on this computer that asks for %q sees a certificate for %v", name, got.DNSNames)
		}
	}

	open := r.dialTLS() // its TLS goes on through everything that follows
	p.issue(office, start.AddDate(0, 0, 120))
	later()
	if got := r.seen(office); got.Equal(first) {
		t.Error("the renewed certificate is not used")
	}
	renewed := r.seen(office)
	p.write(p.key, []byte("garbage"))
	later()
	r.log.reset()
	r.seen(office) // may be in the middle of a renewal
	if said := r.log.String(); strings.Contains(said, "cannot be used") {
		t.Errorf("the first look at new files already complains: %s", said)
	}
	for range 3 {
		later()
		if got := r.seen(office); !got.Equal(renewed) {
			t.Error("a mistake in new files changed the certificate")
		}
	}
	if n := strings.Count(r.log.String(), "cannot be used"); n != 1 || !strings.Contains(r.log.String(), "cure=") {
		t.Errorf("the mistake is logged %d times:\n%s", n, r.log.String())
	}
	p.issue(office, start.AddDate(0, 0, 130))
	later()
	if got := r.seen(office); got.Equal(renewed) {
		t.Error("the corrected files are not used")
	}
	open.auth(me, password)
}

func TestOwnCertificateMistakes(t *testing.T) {
	p := newPair(t, office, time.Now().AddDate(0, 0, 60))
	os.Remove(p.key)
	r := newRig(t, rigOptions{config: p.use})
	if got := r.seen(office); got.VerifyHostname("localhost") != nil {
		t.Errorf("without usable files a client sees a certificate for %v", got.DNSNames)
	}
	if !strings.Contains(r.log.String(), "does not exist") {
		t.Errorf("the missing key is not logged:\n%s", r.log.String())
	}
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	// Another file that does not exist: the configuration is refused and the old one stays.
	if err := os.WriteFile(r.config, append(text, "\n[tls]\ncertificate = \"none.pem\"\nkey = \"none.key\"\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.server.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), filepath.Join(filepath.Dir(r.config), "none.pem")) {
		t.Errorf("reload: %v", err)
	}
	if r.server.config().TLS.Certificate != p.cert {
		t.Error("the refused configuration is used")
	}
}

func TestHostname(t *testing.T) {
	r := newRig(t, rigOptions{config: func(c *config.Config) { c.Hostname = office }})
	c, err := net.Dial("tcp", r.plain)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, conn: c, r: bufio.NewReader(c)}
	t.Cleanup(func() { c.Close() })
	p.expect("220 " + office + " ESMTP")
	p.do("EHLO scanner", "250-"+office+" Hello scanner")
	p.do("HELO scanner", "250 "+office+" Hello scanner")

	settings, err := r.server.MailSettings(t.Context(), me, false)
	if err != nil || settings.Servers[0].Host != "127.0.0.1" {
		t.Errorf("a program on this computer is told %v, %v", settings.Servers, err)
	}
}

func TestCertificateCheck(t *testing.T) {
	now := time.Now()
	check := func(p *pair) (finding, error) {
		t.Helper()
		r := newRig(t, rigOptions{config: p.use, idle: true})
		return r.server.checkCertificate(r.server.cert.own.Load())
	}
	if f, err := check(newPair(t, office, now.AddDate(0, 0, 60))); err != nil || !strings.HasPrefix(f.result.String(), office+", valid until ") {
		t.Errorf("%q, %v", f.result, err)
	}
	readable := newPair(t, office, now.AddDate(0, 0, 60))
	os.Chmod(readable.key, 0o644)
	garbage := newPair(t, office, now.AddDate(0, 0, 60))
	garbage.write(garbage.cert, []byte("garbage"))
	for want, p := range map[string]*pair{
		"expired on":           newPair(t, office, now.Add(-time.Hour)),
		"has not been renewed": newPair(t, office, now.AddDate(0, 0, 5)),
		"not for " + office:    newPair(t, "other.example", now.AddDate(0, 0, 60)),
		"not valid yet":        newPair(t, office, now.AddDate(0, 0, 100)),
		"every user":           readable,
		"does not contain PEM": garbage,
	} {
		if p == readable && runtime.GOOS == "windows" {
			continue // it has no such modes
		}
		if _, err := check(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if check := (api.Check{Name: api.CheckCertificate}).Title().String(); check != "Certificate" {
		t.Error(check)
	}
}
