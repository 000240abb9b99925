package shared

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

const (
	beatEvery = 5 * time.Second
	// goneAfter is after how long without a beat a machine counts as gone, by the clock of whoever looks.
	goneAfter = 15 * time.Second
	// forgetAfter is after how long the record of a machine that is gone is deleted.
	forgetAfter = time.Hour
	leaveLimit  = 2 * time.Second
	// deafAfter is after how long without a beat of its own in the records a machine can't tell whether others live:
	// the engine was away, or the machine itself stood still.
	deafAfter = beatEvery + beatEvery/2
)

// Instance is a machine that uses the records.
type Instance struct {
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Started time.Time `json:"started"` // by its own clock
	Process string    `json:"process"`
	Beat    int       `json:"beat"`         // counts
	Now     time.Time `json:"now,omitzero"` // when it wrote this, by its own clock

	Gone bool          `json:"-"` // it has not been heard of for a while
	Skew time.Duration `json:"-"` // how far its clock is ahead of ours, seen at its last beat
}

// sighting is when a machine's record was last seen to change.
type sighting struct {
	revision int64
	at       time.Time // by the monotonic clock
	skew     time.Duration
}

// sight notes that a machine's record has changed. fresh means that it was written just now; others may have
// waited for us.
func (s *Store) sight(key string, r Record, fresh bool) {
	if !strings.HasPrefix(key, instancePrefix) {
		return
	}
	var i Instance
	_ = json.Unmarshal(r.Value, &i) // what is not one of ours says nothing
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.alive[key]
	if was.revision != r.Revision {
		now := sighting{revision: r.Revision, at: time.Now()}
		if fresh && !i.Now.IsZero() {
			now.skew = i.Now.Sub(now.at.Round(0))
		}
		s.alive[key] = now
	}
	if key != instancePrefix+s.o.Instance {
		return
	}
	if now := s.alive[key].at; now.Sub(was.at) > deafAfter {
		s.hears = now
	}
	if fresh && s.beating && i.Process != "" && i.Process != s.process {
		s.doubled = time.Now()
	}
}

// Hearing is for how long this machine would have heard of all that the others do: it begins anew when the engine was
// away, or the machine stood still, and is 0 while the engine is away. What did not change for so long is worth a
// conclusion; what did not change for longer is not.
func (s *Store) Hearing() time.Duration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	until, now := s.heardLocked()
	if !now {
		return 0
	}
	return until.Sub(s.hears)
}

// heardLocked is until when this machine would have heard of the others' beats, and whether it would now.
func (s *Store) heardLocked() (until time.Time, now bool) {
	until = time.Now()
	if s.o.Passing { // it has no beat to measure by, and ends soon
		return until, s.unwell == nil
	}
	if at := s.alive[instancePrefix+s.o.Instance].at; until.Sub(at) > deafAfter {
		return at, false
	}
	return until, true
}

// silentLocked is for how long a machine was silent while it would have been heard.
func (s *Store) silentLocked(key string) time.Duration {
	since := s.alive[key].at
	if since.Before(s.hears) {
		since = s.hears
	}
	until, _ := s.heardLocked()
	return until.Sub(since)
}

// Doubled reports whether another machine uses this one's name at the moment.
func (s *Store) Doubled() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return !s.doubled.IsZero() && time.Since(s.doubled) <= goneAfter
}

// Damaged are the keys of the records that cannot be decrypted, sorted: they were not written by this fleet.
func (s *Store) Damaged() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var keys []string
	for key, damaged := range s.damaged {
		if damaged {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Instances are the machines that use these records, this one among them, by name.
func (s *Store) Instances() []Instance {
	var all []Instance
	for _, key := range s.Keys(instancePrefix) {
		var i Instance
		if _, err := s.Load(key, &i); err != nil {
			continue
		}
		s.mu.RLock()
		i.Gone = s.silentLocked(key) > goneAfter && i.Process != s.process
		i.Skew = s.alive[key].skew
		s.mu.RUnlock()
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b Instance) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Alive are the names of the machines that are not gone, sorted. This one is always among them.
func (s *Store) Alive() []string {
	names := []string{s.o.Instance}
	for _, i := range s.Instances() {
		if !i.Gone && i.Name != s.o.Instance {
			names = append(names, i.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Others are the names of the other machines that use the records now. A machine that crashed has left its record, so
// this waits until one is heard of, or all are gone.
func (s *Store) Others(ctx context.Context) ([]string, error) {
	first := make(map[string]int) // beat of each process when it was first seen
	ticker := time.NewTicker(beatEvery / 20)
	defer ticker.Stop()
	for {
		var heard []string
		unsure := false
		for _, i := range s.Instances() {
			if i.Gone || i.Process == s.process {
				continue
			}
			if beat, known := first[i.Process]; !known {
				first[i.Process], unsure = i.Beat, true
			} else if beat == i.Beat {
				unsure = true
			} else {
				heard = append(heard, i.Name)
			}
		}
		if len(heard) > 0 || !unsure {
			return heard, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// beat tells the other machines every few seconds that this one lives.
func (s *Store) beat() {
	select {
	case <-s.loaded:
	case <-s.life.Done():
		return
	}
	me := Instance{Name: s.o.Instance, Version: s.o.Version, Started: time.Now().UTC().Truncate(time.Second), Process: s.process}
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	told := false
	for {
		me.Beat, me.Now = me.Beat+1, time.Now().UTC().Round(0)
		if s.Doubled() && !told {
			told = true
			s.log.Error("another machine has the same name; give each its own with WAXSEAL_INSTANCE", "name", me.Name)
		}
		ctx, cancel := context.WithTimeout(s.life, beatEvery)
		// Also over what another machine of this name has written: so each of them hears of the other.
		err := s.Put(ctx, instancePrefix+me.Name, me)
		cancel()
		if err == nil {
			s.mu.Lock()
			s.beating = true
			s.mu.Unlock()
		}
		s.bury()
		select {
		case <-ticker.C:
		case <-s.life.Done():
			return
		}
	}
}

// bury deletes the records of machines that are long gone, which each start under another name leaves.
func (s *Store) bury() {
	for _, key := range s.Keys(instancePrefix) {
		s.mu.RLock()
		silent := s.silentLocked(key)
		revision := s.records[key].Revision
		s.mu.RUnlock()
		if silent > forgetAfter {
			ctx, cancel := context.WithTimeout(s.life, beatEvery)
			_, _ = s.Swap(ctx, key, nil, revision) // the next look tries again
			cancel()
		}
	}
}

// leave tells the other machines that this one is gone.
func (s *Store) leave() {
	if !s.IsLoaded() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveLimit)
	defer cancel()
	key := instancePrefix + s.o.Instance
	var me Instance
	if revision, err := s.Load(key, &me); err == nil && me.Process == s.process {
		_, _ = s.Swap(ctx, key, nil, revision) // else they notice by themselves
	}
}
