package proxy

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waxseal/waxseal/keystore/shared"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/pace"
)

var (
	descInstance    = prometheus.NewDesc("waxseal_instance_info", "1, with the name of this machine among several.", []string{"name"}, nil)
	descConnections = prometheus.NewDesc("waxseal_smtp_connections_active", "Open connections of mail programs.", nil, nil)
	descMessages    = prometheus.NewDesc("waxseal_concurrent_messages", "Messages in flight, from MAIL to the final reply.", nil, nil)
	descUpstream    = prometheus.NewDesc("waxseal_upstream_connections", "Connections to providers, by state.", []string{"state"}, nil)
	descTotals      = prometheus.NewDesc("waxseal_messages_total", "Messages ended, by result.", []string{"result"}, nil)
	descRefreshes   = prometheus.NewDesc("waxseal_token_refreshes_total", "Token refreshes, by provider and result.", []string{"provider", "result"}, nil)
	descBreaker     = prometheus.NewDesc("waxseal_breaker_state", "State of the circuit breakers of each host, the worst if there are several: 0 closed, 1 half-open, 2 open.", []string{"breaker"}, nil)
	descTransitions = prometheus.NewDesc("waxseal_breaker_transitions_total", "Changes of state of the circuit breakers of each host.", []string{"breaker"}, nil)
	descReadConns   = prometheus.NewDesc("waxseal_read_connections_active", "Open connections of mail programs that read, by protocol.", []string{"protocol"}, nil)
	descReadActive  = prometheus.NewDesc("waxseal_read_sessions_active", "Sessions of mail programs that a provider has let in, by protocol.", []string{"protocol"}, nil)
	descReadSpares  = prometheus.NewDesc("waxseal_read_spares", "Connections to providers that wait for a mail program, by protocol.", []string{"protocol"}, nil)
	descReadLogins  = prometheus.NewDesc("waxseal_read_logins_total", "Logins of mail programs that read and that a provider has let in, by protocol.", []string{"protocol"}, nil)
	descReadEnded   = prometheus.NewDesc("waxseal_read_sessions_ended_total", "Sessions that have ended, by protocol and by who ended them.", []string{"protocol", "by"}, nil)
	descReadBytes   = prometheus.NewDesc("waxseal_read_bytes_total", "Bytes after login, by protocol and direction: down to mail programs, up to providers.", []string{"protocol", "direction"}, nil)
	descStoreUp     = prometheus.NewDesc("waxseal_store_up", "Whether etcd can be used, of which this machine knows: 1 or 0.", nil, nil)
	descFleet       = prometheus.NewDesc("waxseal_fleet_instances", "Machines that share the accounts and are not gone, this one among them.", nil, nil)
	descUsed        = prometheus.NewDesc("waxseal_sending_used", "How much of a provider's sending limit the account has used that is closest to it.", []string{"provider", "limit"}, nil)
	descLimit       = prometheus.NewDesc("waxseal_sending_limit", "The sending limit of that account, in messages or recipients.", []string{"provider", "limit"}, nil)
	descWaiting     = prometheus.NewDesc("waxseal_messages_waiting", "Messages that wait because of a provider's limit of messages per minute, by provider.", []string{"provider"}, nil)
	descDelayed     = prometheus.NewDesc("waxseal_messages_delayed_total", "Messages that had to wait because of a provider's limit of messages per minute, by provider.", []string{"provider"}, nil)
	descOverLimit   = prometheus.NewDesc("waxseal_messages_over_limit_total", "Messages and recipients that were told to come later because of a sending limit, by provider and limit.", []string{"provider", "limit"}, nil)
	descAuth        = prometheus.NewDesc("waxseal_auth_failures_total", "Failed logins of mail programs.", nil, nil)
)

// collector reads the same counters as Snapshot.
type collector struct{ s *Server }

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descInstance, descConnections, descMessages, descUpstream, descTotals, descRefreshes, descBreaker, descTransitions, descAuth,
		descReadConns, descReadActive, descReadSpares, descReadLogins, descReadEnded, descReadBytes,
		descUsed, descLimit, descWaiting, descDelayed, descOverLimit} {
		ch <- d
	}
	c.s.hall.Stats.Seconds.Describe(ch)
	if c.s.shared != nil {
		ch <- descStoreUp
		ch <- descFleet
		c.s.hall.Stats.StoreSeconds.Describe(ch)
		c.s.hall.Stats.Claims.Describe(ch)
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	st := c.s.hall.Stats
	gauge(descInstance, 1, c.s.opts.Instance)
	gauge(descConnections, st.Clients.Of(api.SMTP).Load())
	gauge(descMessages, st.Messages.Load())
	gauge(descUpstream, st.Upstream.Dialling.Load(), "dialling")
	gauge(descUpstream, st.Upstream.Warm.Load(), "warm")
	gauge(descUpstream, st.Upstream.Busy.Load(), "busy")
	for result, n := range st.Totals() {
		counter(descTotals, float64(n), string(result))
	}
	refreshes := st.RefreshCounts()
	for _, b := range c.s.hall.Mailboxes() { // begin at 0, or rate() misses the first refresh
		for _, result := range oauth.Results {
			refreshes[mailbox.Refresh{Provider: b.Provider.ID, Result: result}] += 0
		}
	}
	for key, n := range refreshes {
		counter(descRefreshes, float64(n), key.Provider, key.Result)
	}
	counter(descAuth, float64(st.AuthFailures.Load()))
	for host, b := range breakersByHost(c.s.tokenBreakers.All(), c.s.serverBreakers.All()) {
		gauge(descBreaker, int64(b.State), host)
		counter(descTransitions, float64(b.Transitions), host)
	}
	for _, r := range everyReading(c.s.Snapshot().Reading) {
		protocol := string(r.Protocol)
		gauge(descReadConns, r.Connections, protocol)
		gauge(descReadActive, r.Sessions, protocol)
		gauge(descReadSpares, r.Spares, protocol)
		counter(descReadLogins, float64(r.Logins), protocol)
		for _, by := range api.EndedBys {
			counter(descReadEnded, float64(r.Ended[by]), protocol, string(by))
		}
		counter(descReadBytes, float64(r.Down), protocol, "down")
		counter(descReadBytes, float64(r.Up), protocol, "up")
	}
	for provider, l := range limitsByProvider(c.s.hall.Mailboxes()) {
		for kind, u := range l.tightest {
			gauge(descUsed, u.Used, provider, string(kind))
			gauge(descLimit, u.Limit, provider, string(kind))
			counter(descOverLimit, float64(l.refused[kind]), provider, string(kind))
		}
		gauge(descWaiting, l.waiting, provider)
		counter(descDelayed, float64(l.delayed), provider)
	}
	st.Seconds.Collect(ch)
	if c.s.shared != nil {
		up := int64(1)
		if c.s.shared.Err() != nil || !c.s.shared.IsLoaded() {
			up = 0
		}
		gauge(descStoreUp, up)
		gauge(descFleet, int64(len(c.s.shared.Alive())))
		for _, op := range shared.Ops { // begin at 0
			st.StoreSeconds.WithLabelValues(op)
		}
		for _, result := range oauth.Claims {
			st.Claims.WithLabelValues(result)
		}
		st.StoreSeconds.Collect(ch)
		st.Claims.Collect(ch)
	}
}

// providerLimits are the sending limits of a provider's accounts.
type providerLimits struct {
	tightest         map[pace.Kind]pace.Use // of the account that is closest to it
	refused          map[pace.Kind]int64
	waiting, delayed int64
}

// limitsByProvider combines the limits of each provider's accounts. The accounts' addresses are nothing for those who
// can read the metrics; `waxseal status` names them.
func limitsByProvider(boxes map[string]*mailbox.Mailbox) map[string]*providerLimits {
	all := make(map[string]*providerLimits)
	for _, b := range boxes {
		st := b.Pace.Status()
		if len(st.Uses) == 0 {
			continue
		}
		l := all[b.Provider.ID]
		if l == nil {
			l = &providerLimits{tightest: map[pace.Kind]pace.Use{}, refused: map[pace.Kind]int64{}}
			all[b.Provider.ID] = l
		}
		for _, u := range st.Uses {
			if was, ok := l.tightest[u.Kind]; !ok || u.Used*was.Limit > was.Used*u.Limit {
				l.tightest[u.Kind] = u
			}
			l.refused[u.Kind] += st.Refused[u.Kind]
		}
		l.waiting, l.delayed = l.waiting+int64(st.Waiting), l.delayed+st.Delayed
	}
	return all
}

// everyReading are the gauges of all protocols for reading, zeros included: a counter that is not
// there from the start hides its first event from rate().
func everyReading(some []api.ReadGauges) []api.ReadGauges {
	var all []api.ReadGauges
	for _, p := range api.Protocols {
		if !p.Reads() {
			continue
		}
		g := api.ReadGauges{Protocol: p}
		if i := slices.IndexFunc(some, func(r api.ReadGauges) bool { return r.Protocol == p }); i >= 0 {
			g = some[i]
		}
		all = append(all, g)
	}
	return all
}

// breakersByHost combines the breakers of each host: the worst state and the sum of the
// transitions. Breakers are named by host and path, and the path may contain the ID of a
// tenant, which nobody who can read the metrics needs to know.
func breakersByHost(lists ...[]breaker.Status) map[string]breaker.Status {
	hosts := make(map[string]breaker.Status)
	for _, b := range slices.Concat(lists...) {
		host := mailbox.BreakerHost(b.Name)
		was := hosts[host]
		hosts[host] = breaker.Status{State: max(was.State, b.State), Transitions: was.Transitions + b.Transitions}
	}
	return hosts
}

func (s *Server) keystoreStatus() api.KeystoreStatus {
	st := api.KeystoreStatus{Kind: s.secrets.Kind()}
	if err := s.secrets.Err(); err != nil {
		st.Problem = mailbox.ExplainAlone(err)
	}
	return st
}
