package proxy

import (
	"context"
	"runtime/debug"
	"time"
)

// tidyEvery is how often the server looks whether it has become idle.
const tidyEvery = time.Minute

// tidy gives memory back to the system when a burst is over, until ctx ends:
// Go's collector runs as memory grows, so what 5,000 logins or an import left
// behind would stay for as long as nothing more happens.
func (s *Server) tidy(ctx context.Context) {
	for done := int64(-1); pause(ctx, tidyEvery); {
		if now := s.work(); now != done && s.stats.messages.Load() == 0 {
			debug.FreeOSMemory()
			done = now
		}
	}
}

// work grows with whatever uses memory: connections, logins, messages.
func (s *Server) work() int64 {
	n := int64(s.nextID.Load()) + // #nosec G115 -- no machine counts so far
		s.stats.upstream.Dials.Load() + s.stats.upstream.Reused.Load()
	for r := range results {
		n += s.stats.results[r].Load()
	}
	return n
}
