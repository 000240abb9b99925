package shared

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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
	if was := s.alive[key]; was.revision != r.Revision {
		now := sighting{revision: r.Revision, at: time.Now()}
		if fresh && !i.Now.IsZero() {
			now.skew = i.Now.Sub(now.at.Round(0))
		}
		s.alive[key] = now
	}
	if key == instancePrefix+s.o.Instance && fresh && s.beating && i.Process != "" && i.Process != s.process {
		s.doubled = time.Now()
	}
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
		i.Gone = time.Since(s.alive[key].at) > goneAfter && i.Process != s.process
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
		key := instancePrefix + me.Name
		var was Instance
		revision, err := s.Load(key, &was)
		if err == nil {
			if s.Doubled() && !told {
				told = true
				s.log.Error("another machine has the same name; give each its own with WAXSEAL_INSTANCE", "name", me.Name)
			}
			ctx, cancel := context.WithTimeout(s.life, beatEvery)
			_, err = s.Save(ctx, key, me, revision)
			cancel()
			if err == nil {
				s.mu.Lock()
				s.beating = true
				s.mu.Unlock()
			}
		}
		if errors.Is(err, ErrChanged) {
			s.log.Debug("the record of this machine was changed by another", "name", me.Name)
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
		at := s.alive[key].at
		revision := s.records[key].Revision
		s.mu.RUnlock()
		if time.Since(at) > forgetAfter {
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

// merge encodes v as a JSON object and adds the fields of old that v's type does not know.
func merge(old []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil || old == nil {
		return text, err
	}
	var was, now map[string]json.RawMessage
	if json.Unmarshal(old, &was) != nil {
		return text, nil
	}
	if err := json.Unmarshal(text, &now); err != nil {
		return nil, err
	}
	known := fieldsOf(v)
	for name, value := range was {
		if !known[strings.ToLower(name)] {
			now[name] = value
		}
	}
	return json.Marshal(now)
}
