package breaker

import (
	"cmp"
	"slices"
	"sync"
)

// Set is a set of named breakers with the same settings, such as those of all token endpoints.
type Set struct {
	settings Settings
	byName   sync.Map // string -> *Breaker
}

// NewSet makes an empty set.
func NewSet(s Settings) *Set { return &Set{settings: s} }

// Get gives the breaker of that name, made at its first use. After that it takes no lock.
func (s *Set) Get(name string) *Breaker {
	b, ok := s.byName.Load(name)
	if !ok {
		b, _ = s.byName.LoadOrStore(name, New(name, s.settings))
	}
	return b.(*Breaker)
}

// All tells how each breaker stands, sorted by name.
func (s *Set) All() []Status {
	all := []Status{}
	for _, b := range s.byName.Range {
		all = append(all, b.(*Breaker).Status())
	}
	slices.SortFunc(all, func(a, b Status) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// ResetAll resets every breaker (see [Breaker.Reset]).
func (s *Set) ResetAll() {
	for _, b := range s.byName.Range {
		b.(*Breaker).Reset()
	}
}
