package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// clients has an HTTP client for each CA file that is trusted in addition to the system's
// CAs; "" stands for none. The caller holds the server's edit lock, or is the only one.
type clients struct {
	outbound *outbound
	byCA     map[string]client
}

type client struct {
	http  *http.Client
	roots *x509.CertPool // nil: the system's CAs
}

// get returns the client for a CA file, which it makes at the first use.
func (c *clients) get(caFile string) (*http.Client, *x509.CertPool, error) {
	if known, ok := c.byCA[caFile]; ok {
		return known.http, known.roots, nil
	}
	roots, err := rootsWith(caFile)
	if err != nil {
		return nil, nil, err
	}
	if c.byCA == nil {
		c.byCA = make(map[string]client)
	}
	made := client{oauth.HTTPClient(&tls.Config{RootCAs: roots}, c.outbound.forRequest), roots}
	made.http.Transport.(*http.Transport).OnProxyConnectResponse = tunnelAnswer
	c.byCA[caFile] = made
	return made.http, made.roots, nil
}

// rootsWith returns the system's CAs and those of a file, or nil if there is no file.
func rootsWith(caFile string) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil
	}
	data, err := safeio.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if der, err := x509.ParseCertificates(data); err == nil && len(der) > 0 { // as Windows exports them
		for _, c := range der {
			roots.AddCert(c)
		}
		return roots, nil
	}
	text, err := safeio.Text(data)
	if err != nil {
		return nil, fmt.Errorf("ca_file %s: %w", caFile, err)
	}
	if !roots.AppendCertsFromPEM([]byte(text)) {
		return nil, fmt.Errorf("ca_file %s: it contains no certificate in PEM format", caFile)
	}
	return roots, nil
}

// forget drops all clients, so that CA files are read again.
func (c *clients) forget() { c.byCA = nil }

// newMailbox makes an account's mailbox. It reads the provider's ca_file and no other
// file.
func (s *Server) newMailbox(a api.Account, p config.Provider) (*mailbox.Mailbox, error) {
	client, roots, err := s.clients.get(p.CAFile)
	if err != nil {
		return nil, fmt.Errorf("provider %q: %w", p.ID, err)
	}
	return s.hall.New(a, p, mailbox.Parts{
		HTTP: client, Roots: roots, Proxy: s.outbound.proxy, LatePages: s.latePages,
		Timeouts: s.opts.Timeouts, Now: s.opts.Now, Tokens: s.tokenBreakers, Servers: s.smtpBreakers,
	}), nil
}
