package keystore

import (
	"context"
	"sync"
)

// Memory answers an empty store that keeps its secrets until it is closed or
// the program ends.
func Memory() *Store {
	return &Store{kind: MemoryKind, backend: &memory{secrets: make(map[string]string)}}
}

type memory struct {
	mu      sync.Mutex
	secrets map[string]string
	failure error // every call's answer, unless nil
}

func (m *memory) get(_ context.Context, key string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return "", m.failure
	}
	secret, ok := m.secrets[key]
	if !ok {
		return "", ErrNotFound
	}
	return secret, nil
}

func (m *memory) set(_ context.Context, key, secret string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return m.failure
	}
	m.secrets[key] = secret
	return nil
}

func (m *memory) delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return m.failure
	}
	delete(m.secrets, key)
	return nil
}

func (m *memory) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.secrets)
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
}
