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
	// lookEvery is how often the server looks for signs that the machine slept or that
	// its network changed.
	lookEvery = 3 * time.Second
	// sleptFor is how late a look must be to count as a sign of sleep: no load on a machine
	// in use delays a timer for that long.
	sleptFor = 10 * time.Second
)

// Wake tells the server that the machine slept or moved to another network. It closes
// connections to providers, those in use after their message, and makes the breakers let the
// next call through, so that the first message afterwards is sent. The server calls Wake
// itself. why is for the log.
func (s *Server) Wake(why string) {
	s.log.Info("reconnecting to providers", "cause", why)
	s.closeIdle()
	s.tokenBreakers.ResetAll()
	s.smtpBreakers.ResetAll()
	s.changed.wake()
}

// closeIdle closes the idle connections to providers.
func (s *Server) closeIdle() {
	for _, b := range *s.boxes.Load() {
		b.closeIdle()
	}
}

// watchNetwork calls Wake after a sleep or a change of network, until ctx ends. Before a
// sleep it closes connections to providers properly, while that is still possible.
func (s *Server) watchNetwork(ctx context.Context) {
	w := s.watch
	w.look() // the state at the start is not a change
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
				s.log.Info("the machine is about to sleep", "source", sleepTeller)
				s.closeIdle()
				continue
			}
			w.look() // or the clocks would report the same sleep again
			s.Wake("the machine woke up (" + sleepTeller + ")")
		case <-tick.C:
			if why := w.look(); why != "" {
				s.Wake(why)
			}
		}
	}
}

// watch finds out, by looking regularly, that the machine slept or changed its network. This
// works the same on all systems; where the system reports sleep, watch knows at once.
type watch struct {
	now         func() time.Time
	addresses   func() ([]net.Addr, error)
	tellOfSleep func(ctx context.Context, log *slog.Logger, told chan<- bool)

	last    time.Time // of the last look, by the wall clock; zero before the first
	network string    // this machine's addresses at the last look
}

func newWatch() *watch {
	return &watch{now: time.Now, addresses: net.InterfaceAddrs, tellOfSleep: tellOfSleep}
}

// look says what has changed since the last look, or "" for nothing.
//
// A look that comes late by the wall clock means a sleep. The monotonic clock cannot show
// it: during a sleep it stops on Linux and macOS, and runs on Windows. A clock that somebody
// sets ahead looks the same and costs a few new connections. A clock that is set back hides
// a sleep before the next look and makes warm connections look younger than they are, so it
// counts too.
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
		return why // unknown addresses are not a change
	}
	if network := networkOf(addrs); network != w.network {
		if w.network = network; !first && why == "" {
			why = "the machine's network changed"
		}
	}
	return why
}

// online reports whether this machine has an address on a network. If the system does not
// tell, the answer is yes.
func online() bool {
	addrs, err := net.InterfaceAddrs()
	return err != nil || networkOf(addrs) != ""
}

// networkOf names a network by this machine's addresses there. Loopback and link-local
// addresses do not count; they come and go with containers and the like.
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
