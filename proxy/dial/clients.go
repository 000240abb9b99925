package dial

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// Clients has an HTTP client for each CA file that is trusted in addition to the system's
// CAs; "" stands for none. Only one goroutine may use it at a time.
type Clients struct {
	Proxies *Proxies

	byCA map[string]client
}

type client struct {
	http  *http.Client
	roots *x509.CertPool // nil: the system's CAs
}

// Get returns the client for a CA file, and the CAs that it trusts, nil for the system's. The file is read
// at the first use.
func (c *Clients) Get(caFile string) (*http.Client, *x509.CertPool, error) {
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
	made := client{oauth.HTTPClient(&tls.Config{RootCAs: roots}, c.Proxies.ForRequest), roots}
	made.http.Transport.(*http.Transport).OnProxyConnectResponse = tunnelAnswer
	c.byCA[caFile] = made
	return made.http, made.roots, nil
}

// Forget drops all clients, so that CA files are read again. Those that are in use stay as they are.
func (c *Clients) Forget() { c.byCA = nil }

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
