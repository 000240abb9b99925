package proxy

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/lending"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/pace"
)

// A provider's limits are for an account, whichever machine sends for it. Connections and the messages of a minute are
// places that the machines lend each other, see package lending. What was sent in a day is counted by each machine, in
// a record of its own, and the others add it up.

// lots are an account's places.
type lots []*lending.Lot

// The names of an account's lots.
func connectionsLot(account string) string { return "connections/" + account }
func minuteLot(account string) string      { return "minute/" + account }

// lend makes the limits of an account ones that the machines share; the caller holds s.edit, or does not serve yet.
func (s *Server) lend(key string, b *mailbox.Mailbox) {
	if s.lots == nil { // nothing runs that would lend
		return
	}
	s.lots[key].close()
	all := lots{s.desk.Lend(connectionsLot(key), b.Provider.MaxConnections, b.Pool.Use, b.Pool.SetLimit)}
	b.Pool.Share(all[0])
	if n := b.Provider.Limits().PerMinute; n > 0 {
		minute := s.desk.Lend(minuteLot(key), n, b.Pace.Use, b.Pace.SetShare)
		b.Pace.Share(minute.Wake)
		all = append(all, minute)
	}
	s.lots[key] = all
}

// unlend ends the lots of an account that is gone.
func (s *Server) unlend(key string) {
	s.lots[key].close()
	delete(s.lots, key)
}

func (l lots) close() {
	for _, one := range l {
		one.Close()
	}
}

// forgetLimits deletes what is written of the limits of an account that was removed.
func (s *Server) forgetLimits(ctx context.Context, key string) {
	if s.shared == nil {
		return
	}
	records := []string{lending.Record(connectionsLot(key)), lending.Record(minuteLot(key))}
	for _, record := range slices.Concat(records, s.shared.Keys(countPrefix+key+"/")) {
		if err := s.shared.Secrets().Delete(ctx, record); err != nil {
			s.log.Warn("a record of an account that was removed is still in etcd", "key", record, "err", err)
		}
	}
}

const (
	countPrefix = "count/"
	countLook   = 5 * time.Second
	// countAtLeast is how often a count is written that has changed, and countPart the part of the limit by which it
	// changes until it is written at once.
	countAtLeast = time.Minute
	countPart    = 100
)

// counts are what was sent in a day, as the machines tell each other.
type counts struct {
	s    *Server
	told map[string]toldCount // by account
	base map[string]pace.Day  // what this machine has sent under its name and does not know any more
}

type toldCount struct {
	at  time.Time
	sum pace.Counts
}

// count is a machine's record for an account.
type count struct {
	Day pace.Day `json:"day"`
}

// countRecord is the record of one machine's count.
func countRecord(account, instance string) string { return countPrefix + account + "/" + instance }

func newCounts(s *Server) *counts {
	return &counts{s: s, told: make(map[string]toldCount), base: make(map[string]pace.Day)}
}

// shareCounts tells the other machines what this one has sent, and takes over what they have, until ctx ends.
func (s *Server) shareCounts(ctx context.Context) {
	c := newCounts(s)
	for {
		if s.shared.IsLoaded() {
			for key, b := range s.hall.Mailboxes() {
				if l := b.Provider.Limits(); l.Messages+l.Recipients > 0 {
					c.exchange(ctx, key, b, l)
				}
			}
		}
		if !mailbox.Pause(ctx, countLook) {
			break
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	for key, b := range s.hall.Mailboxes() {
		if l := b.Provider.Limits(); l.Messages+l.Recipients > 0 {
			c.tell(last, key, b, 1)
		}
	}
}

func (c *counts) exchange(ctx context.Context, key string, b *mailbox.Mailbox, l pace.Limits) {
	store, now := c.s.shared, c.s.opts.Now()
	mine := countRecord(key, store.Instance())
	if _, known := c.base[key]; !known {
		c.base[key] = nil
		var before count
		if _, err := store.Load(mine, &before); err == nil {
			c.base[key] = lost(before.Day.Since(now), b.Pace.Own())
		}
	}
	elsewhere, alive := slices.Clone(c.base[key]), store.Alive()
	for _, record := range store.Keys(countPrefix + key + "/") {
		var other count
		if revision, err := store.Load(record, &other); err != nil || record == mine {
			continue
		} else if day := other.Day.Since(now); len(day) > 0 {
			elsewhere = append(elsewhere, day...)
		} else if len(other.Day) == 0 || !slices.Contains(alive, strings.TrimPrefix(record, countPrefix+key+"/")) { // else it is a matter of clocks
			_, _ = store.Swap(ctx, record, nil, revision) // of a day that is over; the next look tries again
		}
	}
	b.Pace.SetElsewhere(byHour(elsewhere))
	c.tell(ctx, key, b, int64(max(l.Messages, l.Recipients))/countPart)
}

// tell writes this machine's count if it has changed by so much, or a while ago.
func (c *counts) tell(ctx context.Context, key string, b *mailbox.Mailbox, enough int64) {
	now := c.s.opts.Now()
	day := byHour(slices.Concat(c.base[key], b.Pace.Own()))
	sum, was := day.Sum(now), c.told[key]
	changed := sum.Recipients - was.sum.Recipients + sum.Messages - was.sum.Messages
	if changed == 0 || changed > 0 && changed < enough && time.Since(was.at) < countAtLeast {
		return
	}
	if c.s.shared.Err() != nil { // each account would wait for the engine in its turn
		return
	}
	if err := c.s.shared.Put(ctx, countRecord(key, c.s.shared.Instance()), count{day}); err == nil {
		c.told[key] = toldCount{time.Now(), sum}
	}
}

// lost is what a record has of each hour beyond the machine's own count, which a crash or another disk has shortened.
func lost(told, own pace.Day) (more pace.Day) {
	sums := make(map[int64]pace.Counts)
	for _, h := range own {
		sums[h.Hour] = h.Counts
	}
	for _, h := range byHour(told) {
		n := pace.Counts{Messages: max(h.Messages-sums[h.Hour].Messages, 0), Recipients: max(h.Recipients-sums[h.Hour].Recipients, 0)}
		if n != (pace.Counts{}) {
			more = append(more, pace.Hour{Hour: h.Hour, Counts: n})
		}
	}
	return more
}

// byHour adds up the hours that are there several times.
func byHour(hours pace.Day) pace.Day {
	sums := make(map[int64]pace.Counts)
	for _, h := range hours {
		sum := sums[h.Hour]
		sums[h.Hour] = pace.Counts{Messages: sum.Messages + h.Messages, Recipients: sum.Recipients + h.Recipients}
	}
	var day pace.Day
	for _, hour := range slices.Sorted(maps.Keys(sums)) {
		day = append(day, pace.Hour{Hour: hour, Counts: sums[hour]})
	}
	return day
}

// startLending begins to share the limits, until ctx ends.
func (s *Server) startLending(ctx context.Context) {
	s.edit.Lock()
	s.lots = make(map[string]lots)
	for key, b := range s.hall.Mailboxes() {
		s.lend(key, b)
	}
	s.edit.Unlock()
	s.wg.Go(func() { s.desk.Run(ctx) })
	s.wg.Go(func() { s.shareCounts(ctx) })
}
