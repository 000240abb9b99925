package proxy

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// result is how a message ended, and the label of waxseal_messages_total.
type result int

const (
	sent     result = iota // the provider said 2xx
	deferred               // the provider said 4xx, or Waxseal while it is paused
	refused                // the provider said 5xx, to the message or to every recipient, or it could not be passed on
	failed                 // it never reached the end: no connection, no token, connection lost
	unknown                // all of it was sent and the answer was lost
	aborted                // the client left or took it back
	results                // how many there are
)

var resultNames = [results]string{"sent", "deferred", "refused", "failed", "unknown", "aborted"}

func (r result) String() string { return resultNames[r] }

// stats are the counters of the whole server. Each moves only where the thing
// it counts happens, by one, so that sums over accounts need no lock and no
// account can overwrite another's share.
type stats struct {
	connections  atomic.Int64
	messages     atomic.Int64
	results      [results]atomic.Int64
	authFailures atomic.Int64
	refused      atomic.Int64
	upstream     upstream.Stats
	seconds      prometheus.Histogram
	recent       recent
	minutes      minutes // of messages sent

	refreshes sync.Map // refreshKey -> *atomic.Int64
}

type refreshKey struct{ provider, result string }

func newStats() *stats {
	return &stats{seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "waxseal_message_seconds",
		Help:    "Time from MAIL to the provider's final reply, in seconds, of messages that reached one.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
	})}
}

// ended counts a message.
func (s *stats) ended(r result, a *api.Activity) {
	s.results[r].Add(1)
	if r == sent {
		s.minutes.count(a.Time)
	}
	s.recent.add(a)
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

func (s *stats) totals() map[string]int64 {
	m := make(map[string]int64, results)
	for r := range results {
		m[r.String()] = s.results[r].Load()
	}
	return m
}

// notifier wakes those who watch the server. It costs one atomic load where
// nobody does.
type notifier struct {
	watchers atomic.Pointer[[]chan struct{}]

	mu sync.Mutex // one writer of watchers at a time
}

// wake tells every watcher that something changed. Wake-ups merge.
func (n *notifier) wake() {
	watchers := n.watchers.Load()
	if watchers == nil {
		return
	}
	for _, c := range *watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (n *notifier) subscribe() (c chan struct{}, cancel func()) {
	c = make(chan struct{}, 1)
	n.update(func(w []chan struct{}) []chan struct{} { return append(w, c) })
	return c, func() {
		n.update(func(w []chan struct{}) []chan struct{} {
			return slices.DeleteFunc(w, func(other chan struct{}) bool { return other == c })
		})
	}
}

func (n *notifier) update(change func([]chan struct{}) []chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var old []chan struct{}
	if w := n.watchers.Load(); w != nil {
		old = slices.Clone(*w)
	}
	if now := change(old); len(now) > 0 {
		n.watchers.Store(&now)
	} else {
		n.watchers.Store(nil)
	}
}
