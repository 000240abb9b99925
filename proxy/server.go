// Package proxy is Waxseal's engine: an SMTP submission server for mail programs
// that only support passwords, in front of providers that take only OAuth 2.0.
//
// A [Server] listens on the loopback interface. A mail program gives an account's address
// and the local password that Waxseal made for it. Package mailbox has the login and the account at work,
// and smtpd the sessions.
//
// The package has no user interface. The window, the command line and the metrics all read
// [Server.Snapshot].
package proxy

import (
	"crypto/tls"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/shared"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/history"
	"github.com/waxseal/waxseal/proxy/imapd"
	"github.com/waxseal/waxseal/proxy/lending"
	"github.com/waxseal/waxseal/proxy/localtls"
	"github.com/waxseal/waxseal/proxy/machine"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/popd"
	"github.com/waxseal/waxseal/proxy/signin"
	"github.com/waxseal/waxseal/proxy/smtpd"
	"github.com/waxseal/waxseal/proxy/updates"
)

// Options are the parts and settings of a Server.
type Options struct {
	Config     config.Config
	ConfigPath string           // where account changes are written; "" keeps them in memory
	Timeouts   mailbox.Timeouts // for providers
	Secrets    *keystore.Store  // refresh tokens, local passwords, client secrets; with etcd, the accounts too
	Log        *slog.Logger     // nil logs nothing
	LogLevel   *slog.LevelVar   // of Log; follows log_level; nil: it cannot be changed
	LogFile    string           // the file of Log, to show to people; "" if there is none
	LastCrash  string           // the report of a crash, to show to people; "" if there is none
	Version    string
	Instance   string // this machine's name among several that share accounts
	UpdateKey  string // with which the feed of releases is signed, see package updates; "" never asks for it

	// Now returns the time; nil means time.Now. It is used where the wall clock counts:
	// when tokens, connections, consents and certificates expire.
	Now func() time.Time

	// WaitForPort makes Serve wait while another program uses its port, instead of
	// failing. Snapshot.PortTaken then says so. Serve tries the port again from time to
	// time, and Configure may choose another one.
	WaitForPort bool

	// OpenKeystore opens another keystore, "system", "file" or "etcd"; nil if secrets cannot be
	// moved. KeystoreFixed says that the keystore was chosen for this start, regardless of
	// the configuration.
	OpenKeystore  func(kind string) (*keystore.Store, error)
	KeystoreFixed bool
}

// Server is the proxy. Its methods may be called by many goroutines at the same time.
type Server struct {
	opts    Options
	log     *slog.Logger
	secrets *keystore.Store
	shared  *shared.Store // what several machines share; nil if this one is alone

	sharedNews  chan struct{}                    // capacity 1: accounts or providers there have changed
	unusable    atomic.Pointer[map[string]error] // accounts there that cannot be used here, by folded address
	desk        *lending.Desk                    // lends the providers’ limits to the other machines
	sharedTaken atomic.Bool                      // the accounts there are in effect here

	hall           *mailbox.Hall // what the sessions share
	smtp           *smtpd.Server
	imap           *imapd.Server
	pop            *popd.Server
	tokenBreakers  *breaker.Set
	serverBreakers *breaker.Set

	cfg atomic.Pointer[config.Config]

	ages    *ages // when consents were last used
	history *history.Log

	introducing atomic.Int64      // connections whose balancer's header is being read
	headerless  mailbox.PerMinute // limits log lines about those without one

	signIns   signin.Desk
	latePages *oauth.LatePages
	approved  atomic.Pointer[func(address string)] // see OnApproved

	edit    sync.Mutex // one change at a time of cfg, boxes, the file and the fields below
	clients dial.Clients

	outbound dial.Proxies       // how providers are reached
	updates  updates.Checker    // of newer releases of this program
	watch    *machine.Watch     // notices that the machine slept or changed its network
	retired  []*mailbox.Mailbox // their last messages may still be in flight
	lots     map[string]lots    // what the desk lends, by folded address; nil while it does not

	cert certificate

	loaded atomic.Bool // the accounts' secrets could be read, once

	draining atomic.Bool // see Drain

	portTaken  atomic.Pointer[api.PortTakenError] // what listenPatiently waits for; nil if it does not
	configured chan struct{}                      // capacity 1: tells it to try again

	stopped chan struct{} // closed when Shutdown is done
	stop    sync.Once
	ready   chan struct{}
	started time.Time

	mu        sync.Mutex // guards what follows
	isOpen    bool       // Serve listens; the listeners change with edit held, too
	listeners []*listener
	web       *metricsServer // nil: no metrics
	wg        sync.WaitGroup // the goroutines Serve started
}

// New makes a server and its accounts. It does not use the network.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = slog.New(mailbox.BySession{Handler: o.Log.Handler()})
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Config = o.Config.WithDefaults()
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		opts: o, log: o.Log, secrets: o.Secrets, watch: machine.NewWatch(), ready: make(chan struct{}), stopped: make(chan struct{}),
		shared: shared.Of(o.Secrets), sharedNews: make(chan struct{}, 1),
		configured: make(chan struct{}, 1), latePages: oauth.NewLatePages(), started: time.Now(),
	}
	s.watch.Now = o.Now
	var err error
	s.sharedTaken.Store(s.shared != nil && s.shared.IsLoaded())
	if o.Config, err = s.withShared(o.Config); err != nil {
		return nil, err
	}
	s.cfg.Store(&o.Config)
	s.hall = mailbox.NewHall()
	s.hall.Log, s.hall.Secrets, s.hall.Config, s.hall.Shared, s.hall.Unready = o.Log, o.Secrets, s.config, s.shared, s.unready
	s.hall.IdleTimeout = time.Duration(o.Config.IdleTimeout)
	s.hall.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificate}
	s.hall.Relayed = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.relayedCertificate}
	if files := o.Config.TLS; files.Certificate != "" {
		s.cert.own.Store(&localtls.Files{Certificate: files.Certificate, Key: files.Key, Log: s.log})
	}
	s.tokenBreakers, s.serverBreakers = s.newBreakers()
	s.outbound.Set(o.Config.HTTPProxy)
	s.clients.Proxies = &s.outbound
	s.updates = updates.Checker{
		Key: o.UpdateKey, Version: o.Version, File: updates.File(o.ConfigPath), Log: o.Log,
		URL: func() string { return s.config().Updates }, HTTP: oauth.HTTPClient(nil, s.outbound.ForRequest),
		Online: machine.Online, Changed: s.hall.Changed.Wake,
	}
	if s.ages, err = loadAges(agesPath(o.ConfigPath)); err != nil {
		s.log.Warn("could not read when consents were last used", "err", err)
	}
	if s.history, err = history.Open(historyPath(o.ConfigPath)); err != nil {
		s.log.Warn("the history begins anew", "err", err)
	}
	s.history.Keep(o.Config.History)
	s.hall.History = s.history
	boxes, err := s.build(o.Config, nil)
	if err != nil {
		return nil, err
	}
	s.hall.Use(boxes)
	s.smtp = smtpd.New(s.hall)
	s.smtp.OtherPort = s.otherPort
	s.imap, s.pop = imapd.New(s.hall), popd.New(s.hall)
	s.pop.OffersTLS = s.offersTLS
	s.tellReaders()
	if s.shared != nil {
		s.desk = lending.New(s.shared, s.log)
	}
	s.attachShared()
	return s, nil
}

func (s *Server) newBreakers() (tokens, hosts *breaker.Set) {
	settings := breaker.Settings{OpenFor: s.opts.Timeouts.Breaker, OnChange: func(st breaker.Status) {
		s.log.Warn("breaker", "name", st.Name, "state", st.State.String(), "cause", st.Cause)
		s.hall.Changed.Wake()
	}}
	return breaker.NewSet(settings), breaker.NewSet(settings)
}

func (s *Server) config() *config.Config { return s.cfg.Load() }

// listensOn returns the listeners for mail programs, and the address of the metrics or "".
func (s *Server) listensOn() (mail []api.Listener, metrics string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		mail = append(mail, l.status())
	}
	if s.web != nil {
		metrics = s.web.inner.Addr().String()
	}
	return mail, metrics
}

func (s *Server) addressList() string {
	mail, _ := s.listensOn()
	list := make([]string, len(mail))
	several := slices.ContainsFunc(mail, func(l api.Listener) bool { return l.Protocol.Reads() })
	for i, l := range mail {
		list[i] = l.Address + " (" + l.Security() + ")"
		if several {
			list[i] = l.Protocol.Label().String() + " " + list[i]
		}
	}
	return strings.Join(list, ", ")
}

// offersTLS reports whether STARTTLS is offered on loopback too.
func (s *Server) offersTLS() bool { return s.config().OfferSTARTTLS }

// tellReaders says which accounts read, after a change of accounts: before a login, a program is offered
// what the providers of all of them offer.
func (s *Server) tellReaders() {
	does := make(map[api.Protocol][]string)
	for _, b := range s.hall.Mailboxes() {
		for _, p := range b.Account.Does() {
			does[p] = append(does[p], b.Address)
		}
	}
	s.imap.Accounts(does[api.IMAP])
	s.pop.Accounts(does[api.POP])
}

// otherPort names a listener for SMTP, for advice; key is where one is configured.
func (s *Server) otherPort(tls bool, key string) string {
	mail, _ := s.listensOn()
	for _, l := range mail {
		if l.Protocol == api.SMTP && l.TLS == tls {
			return l.Address
		}
	}
	return "a port of `" + key + "`"
}
