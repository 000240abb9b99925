package proxy

import (
	"context"
	"path/filepath"
	"runtime/debug"
	"strings"
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
	n := int64(s.nextID.Load()) + s.stats.upstream.Dials.Load() + s.stats.upstream.Reused.Load()
	for r := range results {
		n += s.stats.results[r].Load()
	}
	return n
}

// tidyFolder removes what an instance left that was killed while it wrote.
func (s *Server) tidyFolder() {
	config := s.opts.ConfigPath
	if config == "" {
		return
	}
	editing.Lock()
	defer editing.Unlock()
	certificate := filepath.Join(filepath.Dir(config), certificateFile)
	for _, path := range []string{config, config + ".bak", agesPath(config), certificate, strings.TrimSuffix(certificate, ".crt") + ".key"} {
		removeUnfinished(path)
	}
}
