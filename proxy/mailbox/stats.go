package mailbox

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// Stats are the counters of the whole server. Each changes by one, where the thing that it
// counts happens, so that totals over accounts need no lock and no account can overwrite
// another's share.
type Stats struct {
	Connections  atomic.Int64 // of mail programs
	Clients      ByProtocol   // the same, apart
	Messages     atomic.Int64
	AuthFailures atomic.Int64
	Refused      atomic.Int64
	Upstream     upstream.Stats
	Seconds      prometheus.Histogram
	Minutes      minutes // of messages sent

	// Of a fleet, see package shared: calls of its engine, and claims to refresh a token.
	StoreSeconds *prometheus.HistogramVec
	Claims       *prometheus.CounterVec

	results map[api.Result]*atomic.Int64 // the map does not change after NewStats
	reading map[api.Protocol]*reading    // nor does this one

	refreshes sync.Map // Refresh -> *atomic.Int64
}

// Refresh is a kind of token refresh that is counted.
type Refresh struct{ Provider, Result string }

// NewStats makes counters that are all 0.
func NewStats() *Stats {
	results := make(map[api.Result]*atomic.Int64, len(api.Results))
	for _, r := range api.Results {
		results[r] = new(atomic.Int64)
	}
	s := &Stats{results: results, reading: make(map[api.Protocol]*reading), Seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "waxseal_message_seconds",
		Help:    "Seconds from MAIL to the provider's final reply, for messages that got one.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
	})}
	s.StoreSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "waxseal_store_seconds", Help: "Seconds of the calls of etcd, by operation.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"op"})
	s.Claims = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waxseal_claims_total", Help: "Attempts to be the machine that refreshes a token, by how they ended.",
	}, []string{"result"})
	for _, p := range api.Protocols {
		if p.Reads() {
			s.reading[p] = newReading()
		}
	}
	return s
}

// Ended counts a message that ended at a time.
func (s *Stats) Ended(r api.Result, at time.Time) {
	s.results[r].Add(1)
	if r == api.Sent {
		s.Minutes.count(at)
	}
}

// Refreshed counts a token refresh.
func (s *Stats) Refreshed(provider, result string) {
	key := Refresh{provider, result}
	n, ok := s.refreshes.Load(key)
	if !ok {
		n, _ = s.refreshes.LoadOrStore(key, new(atomic.Int64))
	}
	n.(*atomic.Int64).Add(1)
}

// RefreshCounts are all token refreshes.
func (s *Stats) RefreshCounts() map[Refresh]int64 {
	m := make(map[Refresh]int64)
	for key, n := range s.refreshes.Range {
		m[key.(Refresh)] = n.(*atomic.Int64).Load()
	}
	return m
}

// Totals are the messages that ended, by result.
func (s *Stats) Totals() map[api.Result]int64 {
	m := make(map[api.Result]int64, len(s.results))
	for r, n := range s.results {
		m[r] = n.Load()
	}
	return m
}

// ByProtocol counts something for each protocol.
type ByProtocol [3]atomic.Int64

// Of is the counter of one protocol.
func (n *ByProtocol) Of(p api.Protocol) *atomic.Int64 { return &n[slices.Index(api.Protocols, p)] }

// Sum is the count of all protocols together.
func (n *ByProtocol) Sum() (sum int64) {
	for i := range n {
		sum += n[i].Load()
	}
	return sum
}
