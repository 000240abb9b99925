package shared

import (
	"context"
	"errors"
	"hash/maphash"
	"maps"
	randv2 "math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/waxseal/waxseal/keystore"
)

// follow loads the records and follows their changes until the store is closed.
func (s *Store) follow() {
	for pause := time.Duration(0); ; {
		began := time.Now()
		revision, err := s.load(s.life)
		if err == nil {
			if err = s.watch(revision); time.Since(began) > steadyAfter {
				pause = 0
			}
		}
		if s.life.Err() != nil {
			return
		}
		if fatal := new(fatalError); errors.As(err, &fatal) {
			s.mu.Lock()
			s.failure = fatal.err
			s.mu.Unlock()
			close(s.failed)
			return
		}
		if err != nil {
			s.note(keystore.Failed(keystore.EtcdKind, "follow", "the records", err))
			pause = min(max(pause*2, 100*time.Millisecond), 2*time.Second)
		} else if time.Since(began) < steadyAfter { // they were loaded a moment ago, and ask for it again
			pause = time.Second
		}
		select {
		case <-s.life.Done():
			return
		case <-time.After(pause/2 + randv2.N(pause/2+1)): // #nosec G404 -- machines should not come back together
		}
	}
}

// steadyAfter is how long the records must have been followed for the next fault to count as the first.
const steadyAfter = 5 * time.Second

// watch follows the records from a revision on, that of their list: what was read since may be newer than some
// change that was not heard of yet. It returns when they have to be loaded again.
func (s *Store) watch(after int64) error {
	ctx, cancel := context.WithCancel(s.life)
	defer cancel()
	ended := make(chan error, 1)
	s.work.Go(func() { ended <- s.o.Engine.Watch(ctx, after, s.apply) })
	select {
	case err := <-ended:
		return err
	case <-s.again:
		cancel()
		<-ended
		return nil
	}
}

// reload has the records loaded again.
func (s *Store) reload() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// fatalError is one that trying again does not help.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

func fatal(err error) error {
	return &fatalError{keystore.Failed(keystore.EtcdKind, "open", "the records", err)}
}

// load takes over all records, and returns the revision that they are of.
func (s *Store) load(ctx context.Context) (revision int64, err error) {
	select { // whatever asked for it before is done with now
	case <-s.again:
	default:
	}
	s.mu.RLock()
	before, wrapped := s.highest, s.wrapped // a list that is asked for now has all that was known until now
	s.mu.RUnlock()
	var list []Record
	err = s.call(ctx, "list", func() (err error) {
		list, revision, err = s.o.Engine.List(ctx)
		return err
	})
	if err != nil {
		return 0, keystore.Failed(keystore.EtcdKind, "load", "all records", err)
	}
	if err := s.unlock(ctx, list); err != nil {
		return 0, err
	}
	sums := make(map[string]uint64, len(list))
	for _, r := range list {
		sums[r.Key] = s.sum(r)
	}
	restored := revision < before || s.wentBack(list, sums, revision)
	now := make(map[string]Record, len(list))
	damaged := make(map[string]bool)
	for i, one := range s.opened(list, func(is, was Record) bool {
		return !restored && s.wrapped == wrapped && was.Revision == is.Revision && was.Value != nil && s.sums[is.Key] == sums[is.Key]
	}) {
		if key := list[i].Key; one.err != nil {
			damaged[key] = true
			s.log.Error("a shared record cannot be used", "key", key, "err", one.err)
		} else {
			now[key] = one.record
		}
	}
	s.mu.RLock()
	known := maps.Clone(s.records)
	s.mu.RUnlock()
	if restored {
		s.log.Warn("the engine has gone back to an older state, as after a backup was restored; changes since then are lost, but for tokens that this machine still has")
	}
	if err := s.putBack(ctx, known, now); err != nil { // before anybody here can use the old ones
		return 0, err
	}
	s.mu.Lock()
	old := s.records
	for key, was := range old {
		if is, there := now[key]; !restored && was.Revision > revision && is.Revision <= revision {
			now[key], damaged[key] = was, s.damaged[key] // written after the list was made, and not put back
		} else if there && is.Revision == was.Revision && string(is.Value) == string(was.Value) {
			now[key] = was
		}
	}
	for _, r := range list {
		if now[r.Key].Revision != r.Revision {
			delete(sums, r.Key) // it is not the list's any more
		}
	}
	s.records, s.sums, s.damaged, s.names = now, sums, damaged, nil
	for key, r := range now {
		if r.Value != nil {
			s.names = append(s.names, key)
		}
	}
	slices.Sort(s.names)
	if s.highest = max(s.highest, revision); restored {
		s.highest = revision
	}
	fresh := maps.Clone(now) // others change s.records from here on
	s.mu.Unlock()
	first := !s.IsLoaded()
	var keys []string
	for key, r := range fresh {
		s.sight(key, r, false)
		if was, there := old[key]; first || !there || was.Revision != r.Revision {
			keys = append(keys, key)
		}
	}
	for key := range old {
		if _, there := fresh[key]; !there {
			keys = append(keys, key)
		}
	}
	if first {
		if err := s.publishSpilled(ctx); err != nil {
			return 0, err
		}
		close(s.loaded)
	}
	s.note(nil)
	s.tell(keys)
	return revision, nil
}

// wentBack reports whether a list is of another history than the records in memory: one of its records is older than
// it was before the list was made, or is another one with the same revision. So it is noticed that the engine has gone
// back to an older state when the others have written so much since then that its own revision does not tell any more.
func (s *Store) wentBack(list []Record, sums map[string]uint64, revision int64) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.ContainsFunc(list, func(r Record) bool {
		was := s.records[r.Key].Revision
		sum, known := s.sums[r.Key]
		return r.Revision < was && was <= revision || r.Revision == was && known && sum != sums[r.Key]
	})
}

// sum is that of a record as the engine has it.
func (s *Store) sum(r Record) uint64 { return maphash.Bytes(s.seed, r.Value) }

// openedRecord is a record as it was given to Swap, or why it can't be used.
type openedRecord struct {
	record Record
	err    error
}

// opened decrypts the records of a list, but for those of which same says that they are in memory already. That is
// what takes time at a start: seconds for ten thousand accounts, with one processor.
func (s *Store) opened(list []Record, same func(is, was Record) bool) []openedRecord {
	all := make([]openedRecord, len(list))
	var work sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for first := range workers {
		work.Go(func() {
			for i := first; i < len(list); i += workers {
				s.mu.RLock()
				was := s.records[list[i].Key]
				known := same(list[i], was)
				s.mu.RUnlock()
				if known {
					all[i].record = was
				} else {
					all[i].record, all[i].err = s.decrypt(list[i])
				}
			}
		})
	}
	work.Wait()
	return all
}

// apply takes over records as the engine has them.
func (s *Store) apply(changes []Record) {
	var keys []string
	for _, r := range changes {
		if r.Key == sealKey && s.hasOtherKey(r) {
			s.reload()
		}
		plain, err := s.decrypt(r)
		s.mu.Lock()
		s.highest = max(s.highest, r.Revision)
		newer := r.Revision > s.records[r.Key].Revision
		if newer {
			if s.damaged[r.Key] = err != nil; err != nil {
				s.log.Error("a shared record cannot be used", "key", r.Key, "err", err)
				plain = Record{r.Key, nil, r.Revision}
			}
			s.putLocked(plain)
			s.sums[r.Key] = s.sum(r)
			keys = append(keys, r.Key)
		}
		s.mu.Unlock()
		if newer { // what comes back with a backup says nothing of now
			s.sight(r.Key, r, true)
		}
	}
	s.tell(keys)
}

// keep takes over a record that this store has written; written is how the engine has it.
func (s *Store) keep(r, written Record) {
	s.mu.Lock()
	s.highest = max(s.highest, r.Revision)
	newer := r.Revision > s.records[r.Key].Revision
	if newer {
		s.putLocked(r)
		s.sums[r.Key] = s.sum(written)
		delete(s.damaged, r.Key)
	}
	s.mu.Unlock()
	s.sight(r.Key, r, true)
	if newer {
		s.tell([]string{r.Key})
	}
}

// gone takes over that there is no such record: it was deleted, or the engine went back to an older state. Nothing is
// said of one that is not known by this revision any more: it was written since.
func (s *Store) gone(key string, revision int64) {
	s.mu.Lock()
	was := s.records[key]
	known := was.Value == nil && !s.damaged[key] || was.Revision != revision
	if !known {
		s.putLocked(Record{key, nil, was.Revision})
		delete(s.damaged, key)
	}
	s.mu.Unlock()
	if !known {
		s.reload()
		s.tell([]string{key})
	}
}

func (s *Store) tell(keys []string) {
	if len(keys) > 0 {
		s.watching().Changed(keys)
	}
}
