package proxy

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// lookEvery is how often the server looks for signs that the machine slept
	// or that its network is another one.
	lookEvery = 3 * time.Second
	// sleptFor is how late a look must come to be a sign of sleep: no load of a
	// machine in use holds up a timer for so long.
	sleptFor = 10 * time.Second
)

// Wake tells the server that what it knows of the network is old: the machine
// slept, or moved to another network. Connections to providers that wait for
// work are closed, busy ones when their message is done, and breakers let the
// next call through at once, so that the first message afterwards goes through.
// The server calls it by itself. why is for the log.
func (s *Server) Wake(why string) {
	s.log.Info("providers are connected to anew", "cause", why)
	s.hangUp()
	s.tokenBreakers.ResetAll()
	s.smtpBreakers.ResetAll()
	s.changed.wake()
}

// hangUp closes the connections to providers that wait for work.
func (s *Server) hangUp() {
	for _, b := range *s.boxes.Load() {
		b.hangUp()
	}
}

// watchNetwork calls Wake when there is a reason, until ctx ends. A machine that
// is about to sleep says good-bye to providers while it still can.
func (s *Server) watchNetwork(ctx context.Context) {
	w := s.watch
	w.look() // what is so at the start is no change
	told := make(chan bool)
	var teller sync.WaitGroup
	teller.Go(func() { w.tellOfSleep(ctx, s.log, told) })
	defer teller.Wait()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case asleep := <-told:
			if asleep {
				s.log.Info("the machine is about to sleep", "teller", sleepTeller)
				s.hangUp()
				continue
			}
			w.look() // or the clocks tell it again
			s.Wake("the machine woke, says " + sleepTeller)
		case <-tick.C:
			if why := w.look(); why != "" {
				s.Wake(why)
			}
		}
	}
}

// watch finds out by looking now and then that the machine slept, or changed its
// network. That needs nothing of the system, so it is the same on all of them;
// where the system tells of sleep, it is known at once.
type watch struct {
	now         func() time.Time
	addresses   func() ([]net.Addr, error)
	tellOfSleep func(ctx context.Context, log *slog.Logger, told chan<- bool)

	last    time.Time // of the last look, by the wall clock; zero before the first
	network string    // this machine's addresses then
}

func newWatch() *watch {
	return &watch{now: time.Now, addresses: net.InterfaceAddrs, tellOfSleep: tellOfSleep}
}

// look says what has changed since the last look, "" for nothing.
//
// A look that comes late by the wall clock tells of a sleep. The monotonic clock
// could not: it stands still meanwhile on Linux and macOS, and goes on on Windows.
// A clock that somebody sets ahead looks the same and costs some new connections.
// One set back hides a sleep of before the next look, and makes warm connections
// look young: it costs them too.
func (w *watch) look() (why string) {
	now := w.now().Round(0)
	late := now.Sub(w.last) - lookEvery
	first := w.last.IsZero()
	switch {
	case first:
	case late > sleptFor:
		why = "the machine slept, or its clock was set, for " + late.Round(time.Second).String()
	case late < -sleptFor:
		why = "the machine's clock was set back by " + (-late).Round(time.Second).String()
	}
	w.last = now
	addrs, err := w.addresses()
	if err != nil {
		return why // nothing is known, which is no change
	}
	if network := networkOf(addrs); network != w.network {
		if w.network = network; !first && why == "" {
			why = "the machine's network changed"
		}
	}
	return why
}

// online reports whether this machine has an address that leads anywhere. Where the
// system does not tell, it is taken to have one.
func online() bool {
	addrs, err := net.InterfaceAddrs()
	return err != nil || networkOf(addrs) != ""
}

// networkOf names a network by the addresses that this machine has there. Those
// that lead nowhere are left out; they come and go with containers and the like.
func networkOf(addrs []net.Addr) string {
	var all []string
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && !ip.IP.IsLinkLocalUnicast() {
			all = append(all, a.String())
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
