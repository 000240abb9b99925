package proxy

import (
	"log/slog"
	"maps"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// record is the one place where a message goes into the statistics and the history, and its end
// into the log. told is what the client was told, "" where it did not stay to hear it; err is why,
// where that was Waxseal's own answer.
func (s *Server) record(box *mailbox, log *slog.Logger, a api.Activity, told string, err error) {
	line := []any{"account", a.Account, "result", a.Result, "recipients", a.Recipients, "bytes", a.Bytes, "seconds", a.Took.Seconds()}
	if told != "" {
		line = append(line, "reply", told)
	}
	if a.Kind == api.Test {
		line = append(line, "test", true)
	}
	if err != nil {
		log.Warn("message failed", append(line, "err", err)...)
	} else {
		log.Info("message", line...)
	}
	s.stats.ended(a.Result, a.Time)
	box.ended(a.Result)
	s.remember(a, told, box.address)
}

// remember lists an event, without other people's addresses.
func (s *Server) remember(a api.Activity, told, own string) {
	a.Reply, a.Problem = discreet(told, own), discreetProblem(a.Problem, own)
	s.history.Add(a)
	s.changed.wake()
}

// Activity lists what happened since the event whose Seq is after (0 for all), oldest first and
// at most the newest thousand.
func (s *Server) Activity(after uint64) []api.Activity { return s.history.After(after) }

// failuresShown are the failures of the last failuresFor that a snapshot lists.
const (
	failuresShown = 5
	failuresFor   = time.Hour
)

// historyPath is the file of the history, next to the configuration: each instance has one of
// its own.
func historyPath(config string) string {
	if config == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(config), "history.jsonl")
}

// tally counts what happens in one minute. The minute's number is in the upper half, the
// count in the lower.
type tally struct{ n atomic.Uint64 }

func (t *tally) count(period uint32) {
	for {
		old := t.n.Load()
		now := old + 1
		if uint32(old>>32) != period {
			now = uint64(period)<<32 | 1
		}
		if t.n.CompareAndSwap(old, now) {
			return
		}
	}
}

// of returns the count of a period, or 0 if the last counted period was another one.
func (t *tally) of(period uint32) int64 {
	n := t.n.Load()
	if uint32(n>>32) != period { // #nosec G115 -- the upper half
		return 0
	}
	return int64(uint32(n)) // #nosec G115 -- the lower half
}

// minutes are an hour's tallies.
type minutes [60]tally

func minuteOf(t time.Time) uint32 { return uint32(t.Unix() / 60) } // #nosec G115 -- until the year 10136

func (m *minutes) count(now time.Time) { m[minuteOf(now)%60].count(minuteOf(now)) }

// last60 returns the counts of the last 60 minutes, oldest first.
func (m *minutes) last60(now time.Time) []int64 {
	list := make([]int64, len(m))
	for i := range list {
		minute := minuteOf(now) - uint32(len(m)-1-i)
		list[i] = m[minute%60].of(minute)
	}
	return list
}

var addressLike = regexp.MustCompile(`("[^"]*"|[^\s<>()\[\],;:"]*)@[^\s<>()\[\],;:"]+`)

// longestReply is the maximum length of a reply in the list of messages, in bytes.
const longestReply = 500

// discreet returns a reply without other people's addresses, which providers often
// repeat, and short enough to keep a thousand of them.
func discreet(reply, own string) string {
	if strings.Contains(reply, "@") {
		reply = addressLike.ReplaceAllStringFunc(reply, func(address string) string {
			if config.Fold(strings.TrimRight(address, ".'")) == config.Fold(own) {
				return address
			}
			return "…"
		})
	}
	if len(reply) > longestReply {
		reply = strings.ToValidUTF8(reply[:longestReply], "") + "…"
	}
	return reply
}

// discreetProblem is discreet for all that a problem says. p itself is not changed.
func discreetProblem(p *api.Problem, own string) *api.Problem {
	if p == nil {
		return nil
	}
	q := *p
	q.Said = discreet(p.Said, own)
	for _, t := range []*api.Text{&q.What, &q.Cure} {
		t.Values = maps.Clone(t.Values)
		for name, value := range t.Values {
			t.Values[name] = discreet(value, own)
		}
	}
	return &q
}
