// Package shared keeps the accounts, consents and passwords that several machines use together.
//
// A [Store] holds all records in memory and follows their changes, so that reading asks nobody and goes on
// while the engine is away. Records are changed one at a time, each only if nobody else has changed it in
// the meantime ([Store.Swap]); there are no locks and no leader. What is secret, and what decides where
// secrets are sent, is encrypted with a key that the fleet's passphrase opens. The name of a record is
// encrypted with its value, so that who can write to the engine cannot put one record in the place of
// another; an older value of the same record is not told apart.
//
// Keys are
//
//	meta                    the format of the records
//	seal                    the key, encrypted with the passphrase
//	account/, provider/     what the configuration file has otherwise, in JSON
//	grant/                  refresh and access token of an account, see [Grant]
//	password/, client/, service/
//	                        as in the other kinds of keystore
//	instance/               the machines, see [Store.Instances]; not encrypted
//	count/                  what each machine has sent; not encrypted
//
// Several versions of the program may work on the same records: [Store.Save] keeps the fields of a record
// that this version does not know.
package shared

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/seal"
)

// Options are the parts and settings of a Store.
type Options struct {
	Engine     Engine
	Passphrase string
	Instance   string // this machine's name, different from those of the others
	Version    string // of this program, for Instances
	Folder     string // where a token is kept that the engine cannot take now; "" keeps none
	Log        *slog.Logger

	// Work is the base 2 logarithm of what a new key costs; 0 means seal.Work.
	Work int

	// Passing is for a command that ends soon: it is not one of Instances.
	Passing bool
}

// Watcher is told what happens in a Store. It must not wait for anything.
type Watcher struct {
	// Changed is told which records have changed, also by this store. No keys means that the engine can be
	// used again, or not any more.
	Changed func(keys []string)

	// Called is told how long a call of the engine took, one of Ops.
	Called func(op string, took time.Duration)
}

// Ops are the names of the engine's calls, for Watcher.
var Ops = []string{"list", "get", "swap"}

// Store is this machine's view of the records. All methods may be called by many goroutines at a time.
type Store struct {
	o       Options
	log     *slog.Logger
	process string // differs for each start of the program
	seed    maphash.Seed

	life   context.Context
	end    context.CancelFunc
	work   sync.WaitGroup
	again  chan struct{} // capacity 1: List has to be asked again
	loaded chan struct{} // closed once the records are in memory
	failed chan struct{} // closed when the store cannot work, see Failure

	mu      sync.RWMutex
	key     *seal.Key
	wrapped string            // what key came from
	records map[string]Record // decrypted; a deleted one has a nil value
	sums    map[string]uint64 // of the records as the engine has them, where that is known
	names   []string          // the keys of those that are not deleted, sorted
	damaged map[string]bool   // records that cannot be decrypted
	highest int64             // the highest revision that the engine is known to have had, this machine's writes included
	unwell  error             // why the engine cannot be used; nil when it can
	since   time.Time         // when that began
	failure error
	watcher Watcher
	pending map[string]Grant    // see Pending
	alive   map[string]sighting // instances, by key
	hears   time.Time           // since when nothing of what the others do was missed, see Hearing
	beating bool                // this machine's own record has been written
	doubled time.Time           // when another machine was last seen to write it
	close   sync.Once
}

// format is what this version writes and understands.
const format = 1

// AccountPrefix begins the keys of accounts, before their folded address.
const AccountPrefix = "account/"

const (
	metaKey        = "meta"
	sealKey        = "seal"
	instancePrefix = "instance/"
	countPrefix    = "count/"
	placesPrefix   = "places/"
)

// Open makes a store and begins to load the records, for as long as that takes; see Loaded. Close ends it.
func Open(o Options) *Store {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Work = cmp.Or(o.Work, seal.Work)
	s := &Store{
		o: o, log: o.Log, process: rand.Text(), seed: maphash.MakeSeed(), again: make(chan struct{}, 1), loaded: make(chan struct{}), failed: make(chan struct{}),
		records: make(map[string]Record), damaged: make(map[string]bool), sums: make(map[string]uint64), pending: make(map[string]Grant), alive: make(map[string]sighting),
		watcher: Watcher{func([]string) {}, func(string, time.Duration) {}}, hears: time.Now(),
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.work.Go(s.follow)
	if !o.Passing {
		s.work.Go(s.beat)
	}
	return s
}

// Attach sets the watcher, both of whose functions are needed, and has it told of all records if they are loaded
// already.
func (s *Store) Attach(w Watcher) {
	s.mu.Lock()
	s.watcher = w
	all := slices.Sorted(maps.Keys(s.records))
	s.mu.Unlock()
	if s.IsLoaded() {
		w.Changed(all)
	}
}

func (s *Store) watching() Watcher {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.watcher
}

// Close ends the store: it says goodbye to the other machines, if the engine answers within a second or two.
func (s *Store) Close() error {
	var err error
	s.close.Do(func() {
		s.end()
		s.work.Wait()
		s.leave()
		err = s.o.Engine.Close()
	})
	return err
}

// Instance is this machine's name.
func (s *Store) Instance() string { return s.o.Instance }

// Process tells this start of the program from all others.
func (s *Store) Process() string { return s.process }

// Loaded returns a channel that is closed once the records are in memory.
func (s *Store) Loaded() <-chan struct{} { return s.loaded }

// IsLoaded reports whether the records are in memory.
func (s *Store) IsLoaded() bool {
	select {
	case <-s.loaded:
		return true
	default:
		return false
	}
}

// Failed returns a channel that is closed when the store cannot work and will not by itself: the passphrase
// is wrong, or a newer version has changed the records. See Failure.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Failure is why Failed is closed.
func (s *Store) Failure() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.failure
}

// Err is why the engine cannot be used, as of its last answer; nil when it can.
func (s *Store) Err() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return cmp.Or(s.failure, s.unwell)
}

// Away is for how long the engine cannot be used; 0 when it can.
func (s *Store) Away() time.Duration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.unwell == nil {
		return 0
	}
	return time.Since(s.since)
}

// Get returns a record from memory; Revision is 0 if there is none. The error says that the records are not
// loaded, or that this one is damaged.
func (s *Store) Get(key string) (Record, error) {
	if !s.IsLoaded() {
		return Record{}, s.notLoaded()
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.damaged[key] {
		return Record{}, keystore.Failed(keystore.EtcdKind, "read", key, fmt.Errorf("%w: it was not encrypted with this fleet’s key", keystore.ErrDamaged))
	}
	r := s.records[key]
	r.Key = key
	if r.Value == nil {
		r.Revision = 0
	}
	return r, nil
}

func (s *Store) notLoaded() error {
	return keystore.Failed(keystore.EtcdKind, "load", "all records", cmp.Or(s.Err(), errLoading))
}

var errLoading = fmt.Errorf("%w: they are being loaded", keystore.ErrTimeout)

// Keys are the records that begin with a prefix, sorted.
func (s *Store) Keys(prefix string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	from, _ := slices.BinarySearch(s.names, prefix)
	to := from
	for to < len(s.names) && strings.HasPrefix(s.names[to], prefix) {
		to++
	}
	return slices.Clone(s.names[from:to])
}

// putLocked puts a record into memory, in the place of the one with its key.
func (s *Store) putLocked(r Record) {
	delete(s.sums, r.Key) // whoever knows it sets it
	switch i, there := slices.BinarySearch(s.names, r.Key); {
	case r.Value != nil && !there:
		s.names = slices.Insert(s.names, i, r.Key)
	case r.Value == nil && there:
		s.names = slices.Delete(s.names, i, i+1)
	}
	s.records[r.Key] = r
}

// Read is Get of what the engine has now.
func (s *Store) Read(ctx context.Context, key string) (Record, error) {
	if !s.IsLoaded() {
		return Record{}, s.notLoaded()
	}
	s.mu.RLock()
	before := s.records[key].Revision
	s.mu.RUnlock()
	var r Record
	err := s.call(ctx, "get", func() (err error) {
		r, err = s.o.Engine.Get(ctx, key)
		return err
	})
	if err != nil {
		return Record{}, keystore.Failed(keystore.EtcdKind, "read", key, err)
	}
	if r.Revision == 0 {
		s.gone(key, before)
		return s.Get(key)
	}
	s.apply([]Record{r})
	was, err := s.Get(key)
	if err == nil && r.Revision < was.Revision { // the engine went back to an older state, and this is not known here yet
		s.reload()
		select {
		case <-time.After(reloadPause):
		case <-ctx.Done():
		}
	}
	return was, err
}

// reloadPause is how long a reader waits who sees that the records have to be loaded again: it asks again otherwise.
const reloadPause = 10 * time.Millisecond

// Swap puts value in the place of the record with this revision, 0 for none, and returns the new revision; nil
// deletes. The error is [ErrChanged] if another machine was faster: Get has the record as it is now. After
// any other error it is not known whether the value was written.
func (s *Store) Swap(ctx context.Context, key string, value []byte, revision int64) (int64, error) {
	if !s.IsLoaded() {
		return 0, s.notLoaded()
	}
	if was, err := s.Get(key); err == nil && was.Revision != revision {
		return 0, ErrChanged // that the engine would say too
	}
	return s.swap(ctx, key, value, revision)
}

func (s *Store) swap(ctx context.Context, key string, value []byte, revision int64) (int64, error) {
	s.mu.RLock()
	before := s.highest
	s.mu.RUnlock()
	now, err := s.write(ctx, key, value, revision)
	switch {
	case errors.Is(err, ErrChanged):
		switch {
		case now.Revision == 0:
			s.gone(key, revision)
		case now.Revision < revision:
			s.reload() // the engine went back to an older state
		default:
			s.apply([]Record{now})
		}
		return 0, ErrChanged
	case err != nil:
		return 0, keystore.Failed(keystore.EtcdKind, "write", key, err)
	case now.Revision <= before: // the engine went back to an older state
		s.reload()
		return now.Revision, nil
	}
	s.keep(Record{key, value, now.Revision}, now)
	return now.Revision, nil
}

// Save is Swap of a JSON object, made of v, in which the fields that v's type does not know stay as they
// are.
func (s *Store) Save(ctx context.Context, key string, v any, revision int64) (int64, error) {
	was, err := s.Get(key)
	switch {
	case errors.Is(err, keystore.ErrDamaged): // there is nothing to keep of it
	case err != nil:
		return 0, err
	case was.Revision != revision:
		return 0, ErrChanged
	}
	value, err := merge(was.Value, v)
	if err != nil {
		return 0, fmt.Errorf("encode %s: %w", key, err)
	}
	return s.Swap(ctx, key, value, revision)
}

// Put is Save whatever the record is by now.
func (s *Store) Put(ctx context.Context, key string, v any) error {
	if !s.IsLoaded() {
		return s.notLoaded()
	}
	return s.change(ctx, key, func(revision int64) error {
		_, err := s.Save(ctx, key, v, revision)
		return err
	})
}

// change makes one change of a record, whoever else changes it at the same time. One that is damaged can be changed too.
func (s *Store) change(ctx context.Context, key string, swap func(revision int64) error) error {
	for {
		s.mu.RLock()
		r, damaged := s.records[key], s.damaged[key]
		s.mu.RUnlock()
		if r.Value == nil && !damaged {
			r.Revision = 0
		}
		if err := swap(r.Revision); !errors.Is(err, ErrChanged) {
			return err
		}
		if _, err := s.Read(ctx, key); err != nil && !errors.Is(err, keystore.ErrDamaged) {
			return err
		}
	}
}

// Load is Get of a JSON object into v, which stays as it is if there is none.
func (s *Store) Load(key string, v any) (revision int64, err error) {
	r, err := s.Get(key)
	if err != nil || r.Value == nil {
		return 0, err
	}
	if err := json.Unmarshal(r.Value, v); err != nil { // its text may quote a secret
		return 0, keystore.Failed(keystore.EtcdKind, "read", key, fmt.Errorf("%w: it is not what this version of Waxseal writes", keystore.ErrDamaged))
	}
	return r.Revision, nil
}

// callersLimit is how long a call must have lasted to say something about the engine when its caller's time was over.
const callersLimit = time.Second

// call makes one call of the engine and notes how it went.
func (s *Store) call(ctx context.Context, op string, do func() error) error {
	began := time.Now()
	err := do()
	took := time.Since(began)
	s.watching().Called(op, took)
	if err != nil && !errors.Is(err, ErrChanged) {
		if !errors.Is(err, context.Canceled) && (ctx.Err() == nil || took >= callersLimit) {
			s.note(keystore.Failed(keystore.EtcdKind, op, "records", err))
		}
		return err
	}
	if op != "list" {
		s.note(nil)
	}
	return err
}

// note remembers whether the engine can be used, and logs when that changes.
func (s *Store) note(err error) {
	s.mu.Lock()
	was := s.unwell
	s.unwell = err
	if was == nil {
		s.since = time.Now()
	}
	s.mu.Unlock()
	switch {
	case err != nil && was == nil:
		s.log.Error("the shared keystore cannot be used; accounts go on with what is in memory", "err", err, "cure", keystore.Cure(err))
	case err == nil && was != nil:
		s.log.Info("the shared keystore can be used again")
	default:
		return
	}
	s.watching().Changed(nil)
}
