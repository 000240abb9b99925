package proxy

import (
	"context"
	"iter"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

// Snapshot returns the server's current state.
func (s *Server) Snapshot() api.Snapshot {
	state := s.state() // comes first: a server that serves already has listeners
	listeners, metrics := s.listensOn()
	boxes, now := *s.boxes.Load(), time.Now()
	snap := api.Snapshot{
		Version: s.opts.Version, PID: os.Getpid(), Started: s.started, State: state,
		Listeners: listeners, Metrics: metrics, PortTaken: s.portTaken.Load(),
		Connections: s.stats.connections.Load(), Messages: s.stats.messages.Load(),
		Upstream: api.UpstreamGauges{
			Dialling: s.stats.upstream.Dialling.Load(), Warm: s.stats.upstream.Warm.Load(), Busy: s.stats.upstream.Busy.Load(),
		},
		Totals: s.stats.totals(), AuthFailures: s.stats.authFailures.Load(), Refused: s.stats.refused.Load(),
		PerMinute: s.stats.minutes.last60(now), LastActivity: s.history.Last(), Failures: s.history.Failures(now.Add(-failuresFor), failuresShown),
		Keystore: s.keystoreStatus(),
		Accounts: make([]api.AccountStatus, 0, len(boxes)),
		Breakers: s.breakers(boxes),
	}
	for _, key := range slices.Sorted(maps.Keys(boxes)) {
		st := s.accountStatus(boxes[key], snap.Keystore, now)
		snap.Upstream.Limit += int64(st.Upstream.Limit)
		snap.Accounts = append(snap.Accounts, st)
	}
	return snap
}

func (s *Server) state() api.ServerState {
	if s.stopping.Load() {
		return api.Stopping
	}
	select {
	case <-s.ready:
	default:
		return api.Starting
	}
	if s.paused.Load() {
		return api.Paused
	}
	return api.Serving
}

// SetPaused pauses or resumes the server. A paused server answers logins and new messages
// with 454 and 451, which mail programs understand as "try again later"; connections stay
// open, and messages in flight finish. The next start is not paused.
func (s *Server) SetPaused(paused bool) {
	if s.paused.Swap(paused) != paused {
		s.log.Info("paused", "now", paused)
		s.changed.wake()
	}
}

// Watch yields a snapshot at once and then after every change, but not more often than once
// per interval (at least a quarter of a second), until ctx ends. While a breaker is open it
// yields every second, for the countdown.
func (s *Server) Watch(ctx context.Context, interval time.Duration) iter.Seq[api.Snapshot] {
	interval = max(interval, 250*time.Millisecond)
	return func(yield func(api.Snapshot) bool) {
		changes, cancel := s.changed.subscribe()
		defer cancel()
		for {
			snap := s.Snapshot()
			if !yield(snap) {
				return
			}
			var tick <-chan time.Time
			if slices.ContainsFunc(snap.Breakers, func(b api.Breaker) bool { return b.State == api.Open }) {
				tick = time.After(max(interval, time.Second))
			}
			select {
			case <-ctx.Done():
				return
			case <-changes:
			case <-tick:
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(interval):
			}
		}
	}
}

// breakers returns the breakers' states, with the names of the providers that they guard.
func (s *Server) breakers(boxes map[string]*mailbox) []api.Breaker {
	names := make(map[string]string, 2*len(boxes))
	for _, b := range boxes {
		names[tokenBreaker(b.provider)], names[mailBreaker(b.provider)] = b.providerName(), b.providerName()
	}
	var all []api.Breaker
	for _, st := range append(s.tokenBreakers.All(), s.smtpBreakers.All()...) {
		all = append(all, api.Breaker{
			Name: st.Name, Provider: names[st.Name], Mail: isMailBreaker(st.Name), State: api.BreakerState(st.State.String()),
			RetryIn: int((st.RetryIn + time.Second - 1) / time.Second), Cause: st.Cause, Transitions: st.Transitions, Failures: st.Failures,
		})
	}
	return all
}

// notifier wakes the watchers of the server. Without watchers it costs one atomic load.
type notifier struct {
	watchers atomic.Pointer[[]chan struct{}]

	mu sync.Mutex // one writer of watchers at a time
}

// wake tells every watcher that something changed. Several calls may become one wake-up.
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
