package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/keystore"
)

// TestUnreachable: a certificate that one side does not trust, or a port that nobody listens on, looked like no
// answer.
func TestUnreachable(t *testing.T) {
	server := func(mode tls.ClientAuthType) (*httptest.Server, string) {
		s := httptest.NewUnstartedServer(nil)
		s.TLS = &tls.Config{ClientAuth: mode}
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.EnableHTTP2 = true // as etcd
		s.StartTLS()
		t.Cleanup(s.Close)
		ca := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		return s, ca
	}
	open, ca := server(tls.NoClientCert)
	strict, strictCA := server(tls.RequireAnyClientCert)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "https://" + l.Addr().String()
	l.Close()
	for name, c := range map[string]struct {
		config Config
		want   string // in the error; "" for none
	}{
		"an authority that is not trusted": {Config{Endpoints: []string{open.URL}}, "certificate"},
		"no certificate of our own":        {Config{Endpoints: []string{strict.URL}, CAFile: strictCA}, "certificate required"},
		"nobody listens":                   {Config{Endpoints: []string{nobody}}, "refused"},
		"one of two answers":               {Config{Endpoints: []string{nobody, open.URL}, CAFile: ca}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			switch err := c.config.unreachable(t.Context()); {
			case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (Config{Endpoints: []string{nobody}}).unreachable(ended); err != nil {
		t.Errorf("whoever has stopped asking is told %v", err)
	}
}

// TestListSaysWhy: the reason is in the error of the first call.
func TestListSaysWhy(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	e, err := Open(Config{Endpoints: []string{s.URL}, Prefix: "/waxseal/"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	_, _, err = e.List(t.Context())
	if unknown := new(x509.UnknownAuthorityError); !errors.Is(err, keystore.ErrUnavailable) || !errors.As(err, unknown) {
		t.Error(err)
	}
}
