package proxy

import (
	"context"
	"iter"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// Snapshot returns the server's current state.
func (s *Server) Snapshot() api.Snapshot {
	state := s.state() // comes first: a server that serves already has listeners
	listeners, metrics := s.listensOn()
	boxes, now := s.hall.Mailboxes(), time.Now()
	snap := api.Snapshot{
		Version: s.opts.Version, Instance: s.opts.Instance, PID: os.Getpid(), Started: s.started, State: state,
		Listeners: listeners, Metrics: metrics, PortTaken: s.portTaken.Load(), Update: s.updates.Newer(),
		Connections: s.hall.Stats.Clients.Of(api.SMTP).Load(), Clients: s.hall.Stats.Connections.Load(), Messages: s.hall.Stats.Messages.Load(),
		Upstream: api.UpstreamGauges{
			Dialling: s.hall.Stats.Upstream.Dialling.Load(), Warm: s.hall.Stats.Upstream.Warm.Load(), Busy: s.hall.Stats.Upstream.Busy.Load(),
		},
		Totals: s.hall.Stats.Totals(), AuthFailures: s.hall.Stats.AuthFailures.Load(), Refused: s.hall.Stats.Refused.Load(),
		PerMinute: s.hall.Stats.Minutes.Last60(now), LastActivity: s.history.Last(), Failures: s.history.Failures(now.Add(-failuresFor), failuresShown),
		Keystore: s.keystoreStatus(), Fleet: s.fleetStatus(),
		Accounts: make([]api.AccountStatus, 0, len(boxes)),
		Breakers: s.breakers(boxes),
	}
	reads := make(map[api.Protocol]bool)
	for _, key := range slices.Sorted(maps.Keys(boxes)) {
		st := s.accountStatus(boxes[key], snap.Keystore, now)
		for _, r := range st.Reading {
			reads[r.Protocol] = true
		}
		snap.Upstream.Limit += int64(st.Upstream.Limit)
		snap.Accounts = append(snap.Accounts, st)
	}
	for _, p := range api.Protocols {
		if reads[p] {
			snap.Reading = append(snap.Reading, s.hall.Stats.Reading(p))
		}
	}
	return snap
}

func (s *Server) state() api.ServerState {
	if s.hall.Stopping() {
		return api.Stopping
	}
	if !s.isServing() || s.unready("") != nil {
		return api.Starting
	}
	if s.draining.Load() {
		return api.Draining
	}
	if s.hall.Paused() {
		return api.Paused
	}
	return api.Serving
}

// isServing reports whether Serve has begun to listen.
func (s *Server) isServing() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// SetPaused pauses or resumes the server. A paused server answers logins and new messages
// with 454 and 451, which mail programs understand as "try again later"; connections stay
// open, and messages in flight finish. The next start is not paused.
func (s *Server) SetPaused(paused bool) {
	if s.hall.Pause(paused) {
		s.log.Info("paused", "now", paused)
		s.hall.Changed.Wake()
	}
}

// Watch yields a snapshot at once and then after every change, but not more often than once
// per interval (at least a quarter of a second), until ctx ends. While a breaker is open it
// yields every second, for the countdown.
func (s *Server) Watch(ctx context.Context, interval time.Duration) iter.Seq[api.Snapshot] {
	interval = max(interval, 250*time.Millisecond)
	return func(yield func(api.Snapshot) bool) {
		changes, cancel := s.hall.Changed.Subscribe()
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
func (s *Server) breakers(boxes map[string]*mailbox.Mailbox) []api.Breaker {
	names := make(map[string]string, 2*len(boxes))
	for _, b := range boxes {
		names[mailbox.TokenBreaker(b.Provider)] = b.ProviderName()
		for _, p := range b.Account.Does() {
			names[mailbox.ServerBreaker(b.Provider, p)] = b.ProviderName()
		}
	}
	var all []api.Breaker
	for _, st := range append(s.tokenBreakers.All(), s.serverBreakers.All()...) {
		all = append(all, api.Breaker{
			Name: st.Name, Provider: names[st.Name], Mail: mailbox.IsMailBreaker(st.Name), Protocol: mailbox.BreakerProtocol(st.Name), State: api.BreakerState(st.State.String()),
			RetryIn: int((st.RetryIn + time.Second - 1) / time.Second), Cause: st.Cause, Transitions: st.Transitions, Failures: st.Failures,
		})
	}
	return all
}

// accountStatus returns the status of an account.
func (s *Server) accountStatus(b *mailbox.Mailbox, secrets api.KeystoreStatus, now time.Time) api.AccountStatus {
	return b.Status(mailbox.Circumstances{
		Secrets: secrets.Problem, Past: s.history.Account(b.Address, now), Renewed: s.ages.get(b.Address).Renewed, Now: now,
	})
}

// stateOf is the state of an account now.
func (s *Server) stateOf(b *mailbox.Mailbox) api.State {
	return s.accountStatus(b, s.keystoreStatus(), time.Now()).State
}
