// Package proxy is Waxseal's engine: an SMTP submission server for mail programs
// that know only passwords, in front of providers that take only OAuth 2.0.
//
// A [Server] listens on the loopback interface. A mail program gives an
// account's address and the local password that Waxseal made for it; the session
// then leases a connection on which the provider accepted the account's token,
// and carries commands up and replies down, word for word. Nothing is queued: a
// 250 to the mail program is the provider's 250. See [session] for a message's
// way, [conn] for what stands between go-smtp and the network, and replyTo for
// what a mail program is told when something fails.
//
// The package draws nothing and knows no desktop. A window, the command line and
// the metrics all read [Server.Snapshot].
package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/config"
)

// Options are what a Server is made of.
type Options struct {
	Config     config.Config
	ConfigPath string          // where account changes are written; "" keeps them in memory
	Timeouts   Timeouts        // with providers
	Secrets    *keystore.Store // refresh tokens, local passwords, client secrets
	Log        *slog.Logger    // nil logs nothing
	LogLevel   *slog.LevelVar  // of Log; follows log_level when that changes; nil: it cannot be changed
	LogFile    string          // where Log is kept, for people; "" when it is kept nowhere
	LastCrash  string          // the report that a crash left, for people; "" for none
	Version    string

	// Now tells the time; nil is time.Now. It matters where the wall clock decides:
	// over the ends of tokens, connections, consents and certificates.
	Now func() time.Time

	// WaitForPort has Serve wait for a port that another program has, where it
	// would fail. Snapshot.PortTaken says so; the port is tried again now and
	// then, and Configure may give another.
	WaitForPort bool

	// OpenKeystore opens another place for secrets, "system" or "file"; nil when
	// they cannot be moved. KeystoreFixed says that where they are was chosen for
	// this start, whatever the configuration says.
	OpenKeystore  func(kind string) (*keystore.Store, error)
	KeystoreFixed bool
}

// Server is the proxy. Its methods may be called by many goroutines at a time.
type Server struct {
	opts    Options
	log     *slog.Logger
	secrets *keystore.Store

	stats         *stats
	changed       notifier
	guard         guard
	full          perMinute // the log hears of max_connections
	strangers     strangers
	tokenBreakers *breaker.Set
	smtpBreakers  *breaker.Set

	cfg   atomic.Pointer[config.Config]
	boxes atomic.Pointer[map[string]*mailbox] // by folded address; replaced, never changed

	ages *ages // when consents were last used

	edit    sync.Mutex // one change of accounts at a time: cfg, boxes, the file and what follows
	clients clients

	outbound outbound   // how providers are reached
	watch    *watch     // for a machine that slept or moved
	retired  []*mailbox // their last messages may be under way

	smtp        *smtp.Server
	tls         *tls.Config
	cert        certificate
	idleTimeout time.Duration
	nextID      atomic.Uint64

	portTaken  atomic.Pointer[api.PortTakenError] // what listenPatiently waits for; nil when it does not
	configured chan struct{}                      // capacity 1: tells it to look again

	serving  context.Context // ends when the server stops
	endServe context.CancelFunc
	hard     context.Context // ends when nothing is waited for any more
	kill     context.CancelFunc
	paused   atomic.Bool
	stopping atomic.Bool
	stopped  chan struct{} // closed when Shutdown is done
	stop     sync.Once
	ready    chan struct{}
	started  time.Time

	mu        sync.Mutex // guards what follows
	conns     map[*conn]struct{}
	live      sync.WaitGroup // as many as conns; go-smtp counts a connection later
	isOpen    bool           // Serve listens; what is listened on changes with edit held, too
	listeners []*listener
	web       *metricsServer // nil: no metrics
	wg        sync.WaitGroup // the goroutines Serve started
}

// New builds a server and its accounts. It opens nothing on the network.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = slog.New(bySession{o.Log.Handler()})
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Config = o.Config.WithDefaults()
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		opts: o, log: o.Log, secrets: o.Secrets, stats: newStats(), watch: newWatch(),
		conns: make(map[*conn]struct{}), ready: make(chan struct{}), stopped: make(chan struct{}),
		configured:  make(chan struct{}, 1),
		idleTimeout: time.Duration(o.Config.IdleTimeout), started: time.Now(),
	}
	s.watch.now = o.Now
	s.tokenBreakers, s.smtpBreakers = s.newBreakers()
	s.hard, s.kill = context.WithCancel(context.Background())
	s.serving, s.endServe = context.WithCancel(s.hard)
	s.cfg.Store(&o.Config)
	s.outbound.set(o.Config.HTTPProxy)
	s.clients.outbound = &s.outbound
	boxes, err := s.build(o.Config, nil)
	if err != nil {
		return nil, err
	}
	s.boxes.Store(&boxes)
	if s.ages, err = loadAges(agesPath(o.ConfigPath)); err != nil {
		s.log.Warn("the dates of consents are not known", "err", err)
	}
	s.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificate}
	s.smtp = s.newSMTP()
	return s, nil
}

func (s *Server) newBreakers() (tokens, hosts *breaker.Set) {
	settings := breaker.Settings{OpenFor: s.opts.Timeouts.Breaker, OnChange: func(st breaker.Status) {
		s.log.Warn("breaker", "name", st.Name, "state", st.State.String(), "cause", st.Cause)
		s.changed.wake()
	}}
	return breaker.NewSet(settings), breaker.NewSet(settings)
}

func (s *Server) newSMTP() *smtp.Server {
	srv := smtp.NewServer(smtp.BackendFunc(s.newSession))
	srv.Domain = "localhost"
	srv.EnableSMTPUTF8, srv.EnableDSN = true, true
	srv.AllowInsecureAuth = true // session.needsTLS decides, by the interface
	srv.MaxLineLength = 0        // conn bounds commands; bodies have no lines to it
	srv.ErrorLog = smtpLog{s.log}
	return srv
}

func (s *Server) config() *config.Config { return s.cfg.Load() }

// mailbox finds an account by the address a mail program gives, however it is
// written; nil when there is none.
func (s *Server) mailbox(address string) *mailbox { return (*s.boxes.Load())[config.Fold(address)] }

// Serve listens and serves until ctx ends or Shutdown is called, and returns
// when everything has ended. It can be called once. An address that cannot be
// listened on is an error that says why and what to do. When ctx ends, messages in
// flight have the configuration's shutdown_timeout as it is then; what it cuts off
// is an error, as it is Shutdown's.
func (s *Server) Serve(ctx context.Context) (err error) {
	if err := s.listenPatiently(ctx); errors.Is(err, errStopping) {
		<-s.stopped
		return nil
	} else if err != nil {
		s.Shutdown(ctx)
		return err
	}
	background, cancel := context.WithCancel(s.hard)
	defer cancel()
	s.wg.Go(func() { s.preload(background, s.log) })
	s.wg.Go(func() { s.renewIdle(background) })
	s.wg.Go(func() { s.tidy(background) })
	s.wg.Go(func() { s.watchNetwork(background) })
	close(s.ready)
	s.log.Info("serving", "addresses", s.addressList(), "accounts", len(*s.boxes.Load()))
	s.changed.wake()

	select {
	case <-ctx.Done():
		limit, done := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(s.config().ShutdownTimeout))
		defer done()
		err = s.Shutdown(limit)
	case <-s.stopped:
	}
	cancel()
	s.wg.Wait()
	return err
}

// listen opens what the configuration says, and serves there.
func (s *Server) listen() error {
	s.tidyFolder()
	if _, err := s.certificate(nil); err != nil {
		return err
	}
	s.edit.Lock()
	defer s.edit.Unlock()
	o, err := s.open(*s.config())
	if err != nil {
		return err
	}
	return o.use()
}

// portRetry is how often a taken port is tried again.
const portRetry = 10 * time.Second

// listenPatiently is listen, and with WaitForPort it waits while a port is taken:
// until it is free, or Configure or Reload have opened another.
func (s *Server) listenPatiently(ctx context.Context) error {
	for {
		err := s.listen()
		taken, isTaken := errors.AsType[*api.PortTakenError](err)
		if !s.opts.WaitForPort || !isTaken {
			s.portTaken.Store(nil)
			return err
		}
		if s.portTaken.Swap(taken) == nil {
			s.log.Error("waiting for a port", "err", err)
		}
		s.changed.wake()
		select {
		case <-s.configured:
		case <-time.After(portRetry):
		case <-ctx.Done():
			s.Shutdown(context.WithoutCancel(ctx)) // nothing is in flight
			return errStopping
		case <-s.stopped:
			return errStopping
		}
	}
}

// Ready is closed when the server accepts mail.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// each does something to every connection there is.
func (s *Server) each(do func(*conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		do(c)
	}
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	_, here := s.conns[c]
	delete(s.conns, c)
	s.mu.Unlock()
	s.stats.connections.Add(-1)
	s.strangers.gone(c)
	s.changed.wake()
	if here {
		s.live.Done()
	}
}

// listensOn are the addresses of mail programs and metrics, "" for none of the latter.
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
	for i, l := range mail {
		list[i] = l.Address + " (" + l.Security() + ")"
	}
	return strings.Join(list, ", ")
}

func (s *Server) newID() string { return strconv.FormatUint(s.nextID.Add(1), 36) }
