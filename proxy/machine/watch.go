// Package machine knows the computer that Waxseal runs on: who has a port and which one
// is free, whether there is a network, when the machine slept, and how many files a
// process may open.
package machine

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"
)

const (
	// lookEvery is how often the server looks for signs that the machine slept or that
	// its network changed.
	LookEvery = 3 * time.Second
	// sleptFor is how late a look must be to count as a sign of sleep: no load on a machine
	// in use delays a timer for that long.
	sleptFor = 10 * time.Second
)

// watch finds out, by looking regularly, that the machine slept or changed its network. This
// works the same on all systems; where the system reports sleep, watch knows at once.
type Watch struct {
	Now         func() time.Time
	Addresses   func() ([]net.Addr, error)
	TellOfSleep func(ctx context.Context, log *slog.Logger, told chan<- bool)

	last    time.Time // of the last look, by the wall clock; zero before the first
	network string    // this machine's addresses at the last look
}

func NewWatch() *Watch {
	return &Watch{Now: time.Now, Addresses: net.InterfaceAddrs, TellOfSleep: tellOfSleep}
}

// look says what has changed since the last look, or "" for nothing.
//
// A look that comes late by the wall clock means a sleep. The monotonic clock cannot show
// it: during a sleep it stops on Linux and macOS, and runs on Windows. A clock that somebody
// sets ahead looks the same and costs a few new connections. A clock that is set back hides
// a sleep before the next look and makes warm connections look younger than they are, so it
// counts too.
func (w *Watch) Look() (why string) {
	now := w.Now().Round(0)
	late := now.Sub(w.last) - LookEvery
	first := w.last.IsZero()
	switch {
	case first:
	case late > sleptFor:
		why = "the machine slept, or its clock was set, for " + late.Round(time.Second).String()
	case late < -sleptFor:
		why = "the machine's clock was set back by " + (-late).Round(time.Second).String()
	}
	w.last = now
	addrs, err := w.Addresses()
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
func Online() bool {
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
