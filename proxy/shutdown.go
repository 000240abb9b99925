package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

// killTimeout is for connections that were cut off. Whatever holds one longer is not waited for.
const killTimeout = 5 * time.Second

// Drain begins a stop: /readyz asks balancers to send connections elsewhere, and everything else goes on,
// new connections included. It returns how long to wait before Shutdown, 0 if there is nothing to wait for.
func (s *Server) Drain() (delay time.Duration) {
	delay = time.Duration(s.config().DrainDelay)
	if delay <= 0 || s.state() != api.Serving { // nobody sends connections to one that is not ready
		return 0
	}
	s.draining.Store(true)
	s.log.Info("draining: /readyz says no, and everything else goes on", "drain_delay", delay.String())
	s.hall.Changed.Wake()
	return delay
}

// Shutdown stops accepting, tells idle clients 421, lets messages in progress finish, stores what must
// be stored and closes the connections to providers. When ctx ends first, what is left is cut off and
// the error says so.
func (s *Server) Shutdown(ctx context.Context) (err error) {
	s.stop.Do(func() {
		defer close(s.stopped)
		err = s.shutdown(ctx)
	})
	<-s.stopped
	return err
}

func (s *Server) shutdown(ctx context.Context) error {
	s.hall.StopServing() // no connection is admitted from here on
	s.log.Info("stopping", "messages", s.hall.Stats.Messages.Load(), "connections", s.hall.Stats.Connections.Load())
	s.hall.Changed.Wake()
	drained := make(chan struct{})
	// #nosec G118 -- ctx is the limit of the wait below, not of the drain
	go func() { // ends with the last connection, which Kill sees to
		defer close(drained)
		s.smtp.Shutdown(context.Background())
		s.hall.Wait()
	}()
	// go-smtp closes only those listeners whose Serve has begun.
	s.mu.Lock()
	listeners := s.listeners
	s.mu.Unlock()
	for _, l := range listeners {
		l.Close()
	}
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		err = fmt.Errorf("stopped with %d messages in flight: %w", s.hall.Stats.Messages.Load(), ctx.Err())
		s.log.Error("stop timed out", "messages", s.hall.Stats.Messages.Load())
	}
	s.hall.Kill()
	select {
	case <-drained:
	case <-time.After(killTimeout):
		err = errors.Join(err, fmt.Errorf("%d connections did not end after they were cut off", s.hall.Stats.Connections.Load()))
		s.log.Error("connections did not end after they were cut off", "connections", s.hall.Stats.Connections.Load())
	}

	s.signIns.Close() // which may have an account to remove
	s.latePages.Close()
	s.edit.Lock() // a change in progress has been told to end
	boxes := append(slices.Collect(maps.Values(s.hall.Mailboxes())), s.retired...)
	s.edit.Unlock()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	var closing sync.WaitGroup
	for _, b := range boxes {
		closing.Go(func() { b.Close(end) })
	}
	closing.Go(func() {
		if err := errors.Join(s.imap.Close(end), s.pop.Close(end)); err != nil {
			s.log.Warn("a connection for reading did not end in time", "err", err)
		}
	})
	closing.Wait()
	s.mu.Lock()
	web := s.web
	s.mu.Unlock()
	if web != nil {
		web.http.Close()
	}
	if err := s.ages.save(); err != nil {
		s.log.Warn("could not save what is known of consents and names", "err", err)
	}
	if err := s.history.Flush(); err != nil { // a server that does not serve has nothing else that writes it
		s.log.Warn("could not write the history", "err", err)
	}
	s.log.Info("stopped")
	return err
}
