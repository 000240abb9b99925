package shared

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// Memory is an engine in this process, in which several stores can play a fleet. Tests use it.
type Memory struct {
	mu       sync.Mutex
	revision int64
	records  map[string]Record
	log      []Record // all changes
	grown    chan struct{}
	failure  error
}

// NewMemory makes an empty one.
func NewMemory() *Memory {
	return &Memory{records: make(map[string]Record), grown: make(chan struct{})}
}

// Fail makes every call fail with err until Fail(nil), and ends each Watch.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
	m.wakeLocked()
}

// Restore brings back an earlier state: all records and the revision, as they were after so many changes.
func (m *Memory) Restore(revision int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = slices.DeleteFunc(m.log, func(r Record) bool { return r.Revision > revision })
	m.revision = revision
	clear(m.records)
	for _, r := range m.log {
		if r.Value == nil {
			delete(m.records, r.Key)
		} else {
			m.records[r.Key] = r
		}
	}
}

// Revision is that of the last change.
func (m *Memory) Revision() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revision
}

func (m *Memory) wakeLocked() {
	close(m.grown)
	m.grown = make(chan struct{})
}

func (m *Memory) List(context.Context) ([]Record, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Record
	for _, r := range m.records {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Record) int { return strings.Compare(a.Key, b.Key) })
	return all, m.revision, m.failure
}

func (m *Memory) Get(_ context.Context, key string) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[key]
	r.Key = key
	return r, m.failure
}

func (m *Memory) Swap(_ context.Context, key string, value []byte, revision int64) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return Record{}, m.failure
	}
	if now := m.records[key]; now.Revision != revision {
		now.Key = key
		return now, ErrChanged
	}
	m.revision++
	r := Record{key, value, m.revision}
	if value == nil {
		delete(m.records, key)
	} else {
		m.records[key] = r
	}
	m.log = append(m.log, r)
	m.wakeLocked()
	return r, nil
}

func (m *Memory) Watch(ctx context.Context, after int64, changed func([]Record)) error {
	for {
		m.mu.Lock()
		grown, failure := m.grown, m.failure
		i := len(m.log)
		for i > 0 && m.log[i-1].Revision > after {
			i--
		}
		fresh := slices.Clone(m.log[i:])
		m.mu.Unlock()
		if failure != nil {
			return failure
		}
		if len(fresh) > 0 {
			changed(fresh)
			after = fresh[len(fresh)-1].Revision
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *Memory) Close() error { return nil }
