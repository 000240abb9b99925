package proxy

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// stats are the counters of the whole server. Each changes by one, where the thing that it
// counts happens, so that totals over accounts need no lock and no account can overwrite
// another's share.
type stats struct {
	connections  atomic.Int64
	messages     atomic.Int64
	results      map[api.Result]*atomic.Int64 // the map does not change after newStats
	authFailures atomic.Int64
	refused      atomic.Int64
	upstream     upstream.Stats
	seconds      prometheus.Histogram
	minutes      minutes // of messages sent

	refreshes sync.Map // refreshKey -> *atomic.Int64
}

type refreshKey struct{ provider, result string }

func newStats() *stats {
	results := make(map[api.Result]*atomic.Int64, len(api.Results))
	for _, r := range api.Results {
		results[r] = new(atomic.Int64)
	}
	return &stats{results: results, seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "waxseal_message_seconds",
		Help:    "Seconds from MAIL to the provider's final reply, for messages that got one.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
	})}
}

// ended counts a message that ended at a time.
func (s *stats) ended(r api.Result, at time.Time) {
	s.results[r].Add(1)
	if r == api.Sent {
		s.minutes.count(at)
	}
}

func (s *stats) refreshed(provider, result string) {
	key := refreshKey{provider, result}
	n, ok := s.refreshes.Load(key)
	if !ok {
		n, _ = s.refreshes.LoadOrStore(key, new(atomic.Int64))
	}
	n.(*atomic.Int64).Add(1)
}

func (s *stats) refreshCounts() map[refreshKey]int64 {
	m := make(map[refreshKey]int64)
	for key, n := range s.refreshes.Range {
		m[key.(refreshKey)] = n.(*atomic.Int64).Load()
	}
	return m
}

func (s *stats) totals() map[api.Result]int64 {
	m := make(map[api.Result]int64, len(s.results))
	for r, n := range s.results {
		m[r] = n.Load()
	}
	return m
}
