// Package providertest is a mail provider on this machine: an OAuth 2.0 endpoint over HTTP, a
// submission server, and IMAP and POP servers, which accept only the tokens issued by that endpoint.
// Tests of the whole product use it, and so does "waxseal demo".
//
// Start returns a running Provider. Each of its servers has three addresses, for three ways to
// connect: with STARTTLS, with implicit TLS, and without TLS. A CA made for this Provider alone signs the
// certificate; trust it with Pool or WriteCA.
//
//	p, err := providertest.Start(providertest.Options{})
//	defer p.Close()
//	refresh := p.Grant("me@corp.test") // as if the user had consented in a browser
//	// ... refresh at p.TokenURL(), AUTH XOAUTH2 at p.SMTPAddr, send ...
//	err = p.WaitMessages(ctx, 1)
//	fmt.Println(p.Messages()[0].SHA256)
//
// It is strict where real providers are: PKCE with S256, codes that work once, only CRLF as a line
// end, no AUTH before TLS, no MAIL before AUTH, AUTH lines of at most 512 octets, groups of commands
// only as RFC 2920 allows them, RSET after a chunk that failed. It records the bytes exactly as they
// arrived, and answers 250 only after it has recorded them.
//
// What was sent can be read: a message to an account is in its INBOX, and one to an address that
// nobody has here is in the sender's folder Elsewhere. IMAP and POP return its bytes as they arrived.
// An account's mailbox comes into being when the account first logs in to read, with what the
// provider has recorded until then; Options that keep no bodies leave it empty.
//
// It is an OpenID provider too: anyone who asks for the scope openid gets an ID token. And it issues
// tokens to programs acting for themselves: by client credentials if there is a ClientSecret, and to
// the service account of ServiceKey.
//
// It misbehaves on command: SetFaults installs hooks that see each step of each dialogue and each
// token request, and say what goes wrong there. Odds makes such hooks from probabilities and a seed.
//
// All listeners are on 127.0.0.1, on ports that the system picks. Only WriteCA writes to disk.
package providertest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Provider is a running provider. Its methods may be called at any time from any goroutine.
type Provider struct {
	URL       string // the base of the OAuth endpoint, http://127.0.0.1:port
	SMTPAddr  string // host:port, STARTTLS
	SMTPSAddr string // host:port, implicit TLS
	PlainAddr string // host:port, no TLS, but AUTH is offered

	IMAPAddr      string // host:port, implicit TLS
	IMAPStartAddr string // host:port, STARTTLS
	IMAPPlainAddr string // host:port, no TLS, but logins are allowed

	POPAddr      string // host:port, implicit TLS
	POPStartAddr string // host:port, STLS
	POPPlainAddr string // host:port, no TLS, but logins are allowed

	opts     Options
	log      *slog.Logger
	ca       *authority
	tls      *tls.Config
	expired  *tls.Config // for Action.Expired
	ehlo     [3]string   // the EHLO reply for each door
	grants   grants
	store    store
	quota    quota
	mailroom mailroom
	signer   signer
	service  service
	count    counters
	faults   atomic.Pointer[Faults]

	http      *http.Server
	listeners []net.Listener
	done      chan struct{} // closed by Close; ends every wait
	running   sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	nextConn int
	peers    map[*peer]struct{}
	accounts map[user]*usage
}

// Start starts a provider. Close ends it.
func Start(opts Options) (*Provider, error) {
	p := &Provider{
		opts:     opts.withDefaults(),
		done:     make(chan struct{}),
		peers:    map[*peer]struct{}{},
		accounts: map[user]*usage{},
	}
	p.log = p.opts.Log
	p.store.init(p.opts)
	p.mailroom.init(p)
	p.grants.init(p.opts)
	p.grants.replays = &p.count.replays
	p.faults.Store(new(Faults))
	for d := range p.ehlo {
		p.ehlo[d] = p.opts.ehloText(door(d))
	}
	if err := p.signer.init(); err != nil {
		return nil, fmt.Errorf("provider's signing key: %w", err)
	}
	ca, err := newAuthority(p.opts)
	if err != nil {
		return nil, fmt.Errorf("provider's certificate: %w", err)
	}
	p.ca, p.tls = ca, ca.serverConfig(p.opts.MaxTLSVersion)
	p.expired = p.tls.Clone()
	p.expired.Certificates = []tls.Certificate{ca.expired}
	if err := p.listen(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// listen opens the ports and starts a goroutine for each of them.
func (p *Provider) listen() error {
	first := doorSTARTTLS
	if p.opts.NoSTARTTLS {
		first = doorOpen
	}
	doors := []struct {
		protocol Protocol
		door     door
		addr     *string
	}{
		{SMTP, first, &p.SMTPAddr}, {SMTP, doorTLS, &p.SMTPSAddr}, {SMTP, doorOpen, &p.PlainAddr},
		{IMAP, doorSTARTTLS, &p.IMAPStartAddr}, {IMAP, doorTLS, &p.IMAPAddr}, {IMAP, doorOpen, &p.IMAPPlainAddr},
		{POP, doorSTARTTLS, &p.POPStartAddr}, {POP, doorTLS, &p.POPAddr}, {POP, doorOpen, &p.POPPlainAddr},
	}
	for _, d := range doors {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("provider's %s port: %w", d.protocol, err)
		}
		*d.addr = l.Addr().String()
		p.listeners = append(p.listeners, l)
		p.running.Go(func() { p.accept(l, d.protocol, d.door) })
	}
	return p.listenHTTP()
}

// Close ends all connections and waits until no goroutine of the provider is left. It may be called
// twice.
func (p *Provider) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.running.Wait()
		return nil
	}
	p.closed = true
	close(p.done)
	for c := range p.peers {
		c.abort()
	}
	p.mu.Unlock()
	for _, l := range p.listeners {
		l.Close()
	}
	var err error
	if p.http != nil {
		err = p.http.Close()
	}
	p.running.Wait()
	return err
}

// AuthURL is where a browser shows the consent page.
func (p *Provider) AuthURL() string { return p.URL + "/authorize" }

// TokenURL is where a client gets tokens for a code or a refresh token.
func (p *Provider) TokenURL() string { return p.URL + "/token" }

// RevokeURL is where a client revokes a token (RFC 7009).
func (p *Provider) RevokeURL() string { return p.URL + "/revoke" }

// DeviceURL is where a device without a browser asks for a code (RFC 8628).
func (p *Provider) DeviceURL() string { return p.URL + "/device_authorization" }

// CertPEM is the certificate of the CA that signed the SMTP server's certificate.
func (p *Provider) CertPEM() []byte { return p.ca.pem }

// Pool contains only the CA.
func (p *Provider) Pool() *x509.CertPool { return p.ca.pool }

// wait returns true after d, or false as soon as the provider is closed or ctx ends.
func (p *Provider) wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-p.done:
	}
	return false
}
