package proxy

import (
	"context"
	"iter"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
)

// Snapshot is the server's state now.
func (s *Server) Snapshot() api.Snapshot {
	state := s.state() // first: who serves has listeners already
	listeners, metrics := s.listensOn()
	boxes := *s.boxes.Load()
	snap := api.Snapshot{
		Version: s.opts.Version, PID: os.Getpid(), Started: s.started, State: state,
		Listeners: listeners, Metrics: metrics, PortTaken: s.portTaken.Load(),
		Connections: s.stats.connections.Load(), Messages: s.stats.messages.Load(),
		Upstream: api.UpstreamGauges{
			Dialling: s.stats.upstream.Dialling.Load(), Warm: s.stats.upstream.Warm.Load(), Busy: s.stats.upstream.Busy.Load(),
		},
		Totals: s.stats.totals(), AuthFailures: s.stats.authFailures.Load(), Refused: s.stats.refused.Load(),
		PerMinute: s.stats.minutes.last60(time.Now()), LastActivity: s.stats.recent.last.Load(),
		Keystore: s.keystoreStatus(),
		Accounts: make([]api.AccountStatus, 0, len(boxes)),
		Breakers: append(s.tokenBreakers.All(), s.smtpBreakers.All()...),
	}
	for _, key := range slices.Sorted(maps.Keys(boxes)) {
		st := s.accountStatus(boxes[key])
		snap.Upstream.Limit += int64(st.Upstream.Limit)
		snap.Accounts = append(snap.Accounts, st)
	}
	return snap
}

func (s *Server) state() string {
	if s.stopping.Load() {
		return "stopping"
	}
	select {
	case <-s.ready:
	default:
		return "starting"
	}
	if s.paused.Load() {
		return "paused"
	}
	return "serving"
}

// SetPaused stops and resumes the taking of mail. While the server is paused,
// logins and new messages are answered 454 and 451, which programs take for "try
// again later"; connections stay, and messages in flight finish. A new start
// serves again.
func (s *Server) SetPaused(paused bool) {
	if s.paused.Swap(paused) != paused {
		s.log.Info("paused", "now", paused)
		s.changed.wake()
	}
}

// Watch yields a snapshot at once and then whenever something changed, at most
// every interval (a quarter of a second at the least), until ctx ends. While a
// breaker is open it yields every second, for the countdown.
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
			if slices.ContainsFunc(snap.Breakers, func(b breaker.Status) bool { return b.State == breaker.Open }) {
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
