package proxy

import (
	"context"
	"sync"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/machine"
)

// Wake tells the server that the machine slept or moved to another network. It closes
// connections to providers, those in use after their message, and makes the breakers let the
// next call through, so that the first message afterwards is sent. The server calls Wake
// itself. why is for the log.
func (s *Server) Wake(why string) {
	s.log.Info("reconnecting to providers", "cause", why)
	s.closeIdle()
	s.tokenBreakers.ResetAll()
	s.serverBreakers.ResetAll()
	s.imap.Drop()
	s.imap.Probe()
	s.pop.Probe()
	s.hall.Changed.Wake()
}

// RetryNow tries the providers that gave passing trouble, without waiting for their time. It
// returns when each has been tried once.
func (s *Server) RetryNow(ctx context.Context) {
	s.Wake("somebody asked to try again now")
	var rounds []func(*checker)
	for _, b := range s.hall.Mailboxes() {
		if s.accountStatus(b, s.keystoreStatus(), time.Now()).Severity() == api.Passing {
			rounds = append(rounds, func(c *checker) { s.tryLogins(c, b) })
		}
	}
	(&checker{ctx: ctx, report: func(api.Check) { s.hall.Changed.Wake() }}).each(accountsAtOnce, rounds)
}

// closeIdle closes the idle connections to providers.
func (s *Server) closeIdle() {
	for _, b := range s.hall.Mailboxes() {
		b.CloseIdle()
	}
}

// watchNetwork calls Wake after a sleep or a change of network, until ctx ends. Before a
// sleep it closes connections to providers properly, while that is still possible.
func (s *Server) watchNetwork(ctx context.Context) {
	w := s.watch
	w.Look() // the state at the start is not a change
	told := make(chan bool)
	var teller sync.WaitGroup
	teller.Go(func() { w.TellOfSleep(ctx, s.log, told) })
	defer teller.Wait()
	tick := time.NewTicker(machine.LookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case asleep := <-told:
			if asleep {
				s.log.Info("the machine is about to sleep", "source", machine.SleepTeller)
				s.closeIdle()
				continue
			}
			w.Look() // or the clocks would report the same sleep again
			s.Wake("the machine woke up (" + machine.SleepTeller + ")")
		case <-tick.C:
			if why := w.Look(); why != "" {
				s.Wake(why)
			}
		}
	}
}
