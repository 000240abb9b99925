package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

// Serve listens and serves until ctx ends or Shutdown is called, and returns when
// everything has ended. It can be called once. If an address cannot be listened on, the
// error says why and what to do. When ctx ends, messages in flight have the configuration's
// current shutdown_timeout to finish. If some do not, Serve returns the error of Shutdown.
func (s *Server) Serve(ctx context.Context) (err error) {
	if err := s.listenPatiently(ctx); errors.Is(err, errStopping) {
		<-s.stopped
		return nil
	} else if err != nil {
		s.Shutdown(ctx)
		return err
	}
	background, cancel := context.WithCancel(s.hall.Hard())
	defer cancel()
	s.wg.Go(func() { s.preload(background) })
	s.wg.Go(func() { s.watchKeystore(background) })
	var broken <-chan struct{}
	if s.shared != nil {
		broken = s.shared.Failed()
		s.wg.Go(func() { s.followShared(background) })
		s.startLending(background)
	}
	s.wg.Go(func() { s.renewIdle(background) })
	s.wg.Go(func() { s.tidy(background) })
	s.wg.Go(func() { s.watchNetwork(background) })
	s.wg.Go(func() { s.updates.Run(background) })
	s.wg.Go(func() { s.history.Run(background, s.log) })
	close(s.ready)
	s.log.Info("serving", "addresses", s.addressList(), "accounts", len(s.hall.Mailboxes()))
	s.hall.Changed.Wake()

	select {
	case <-ctx.Done():
		limit, done := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(s.config().ShutdownTimeout))
		defer done()
		err = s.Shutdown(limit)
	case <-broken:
		err = errors.Join(s.shared.Failure(), s.Shutdown(ctx))
	case <-s.stopped:
	}
	cancel()
	s.wg.Wait()
	return err
}

// listen opens the addresses of the configuration and serves there.
func (s *Server) listen() error {
	s.tidyFolder()
	if _, err := s.localCertificate(); err != nil {
		return err
	}
	if own := s.cert.own.Load(); own != nil {
		own.Get(s.opts.Now()) // what is wrong with it is logged now, not when a client comes
	}
	s.edit.Lock()
	defer s.edit.Unlock()
	s.warnAboutBalancers()
	p, err := s.planListening(*s.config())
	if err != nil {
		return err
	}
	return p.apply()
}

// portRetry is the time between two tries of a taken port.
const portRetry = 10 * time.Second

// listenPatiently is like listen. With WaitForPort it waits until a taken port is free, or
// until Configure or Reload has opened another one.
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
		s.hall.Changed.Wake()
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

// Ready returns a channel that is closed once the server accepts mail.
func (s *Server) Ready() <-chan struct{} { return s.ready }
