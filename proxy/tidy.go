package proxy

import (
	"context"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/localtls"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/updates"
)

// tidyEvery is how often the server checks whether it has become idle.
const tidyEvery = time.Minute

// tidy returns memory to the system after a burst, until ctx ends. Go's collector runs as
// memory grows, so the garbage of 5,000 logins or an import would stay for as long as
// nothing else happens.
func (s *Server) tidy(ctx context.Context) {
	for last := (usage{}); mailbox.Pause(ctx, tidyEvery); {
		if now := s.usage(); now != last && s.hall.Stats.Messages.Load() == 0 {
			debug.FreeOSMemory()
			last = now
		}
	}
}

// usage changes with everything that uses or leaves memory: connections on both sides that
// come and go, and messages.
type usage struct{ came, connections, dialled, upstream, messages int64 }

func (s *Server) usage() usage {
	up := &s.hall.Stats.Upstream
	u := usage{
		came:        int64(s.hall.Sessions()), // #nosec G115 -- no machine counts that far
		connections: s.hall.Stats.Connections.Load(),
		dialled:     up.Dials.Load(), upstream: up.Warm.Load() + up.Busy.Load(),
	}
	for _, n := range s.hall.Stats.Totals() {
		u.messages += n
	}
	return u
}

// tidyFolder removes the unfinished files of an instance that was killed while it wrote.
func (s *Server) tidyFolder() {
	if s.opts.ConfigPath == "" {
		return
	}
	config.RemoveLeftovers(s.opts.ConfigPath)
	certificate := filepath.Join(filepath.Dir(s.opts.ConfigPath), localtls.File)
	for _, path := range []string{agesPath(s.opts.ConfigPath), historyPath(s.opts.ConfigPath), updates.File(s.opts.ConfigPath), certificate, strings.TrimSuffix(certificate, ".crt") + ".key"} {
		safeio.RemoveLeftovers(path)
	}
}
