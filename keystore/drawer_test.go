package keystore

import (
	"context"
	"errors"
	"maps"
	"sync"
)

var errPower = errors.New("the power is off")

// drawer is a keychain in memory that can hang, and that can stop at the n-th
// change, like a machine that loses power.
type drawer struct {
	mu     sync.Mutex
	kept   map[string]string
	steps  int           // changes still done before everything fails; negative: all
	gate   chan struct{} // calls wait for it to close
	forget bool          // answers nil to a set and keeps nothing
	onGet  func(key string)
}

func newDrawer() *drawer { return &drawer{kept: make(map[string]string), steps: -1} }

// hang makes every call wait until the channel is closed.
func (d *drawer) hang() chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate = make(chan struct{})
	return d.gate
}

func (d *drawer) enter() error {
	d.mu.Lock()
	gate := d.gate
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	d.mu.Lock()
	if d.steps == 0 {
		d.mu.Unlock()
		return errPower
	}
	return nil
}

func (d *drawer) get(_ context.Context, key string) (string, error) {
	if err := d.enter(); err != nil {
		return "", err
	}
	defer d.mu.Unlock()
	if d.onGet != nil {
		d.onGet(key)
	}
	value, ok := d.kept[key]
	if !ok {
		return "", ErrNotFound
	}
	return value, nil
}

func (d *drawer) set(_ context.Context, key, value string) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.Unlock()
	d.steps--
	if !d.forget {
		d.kept[key] = value
	}
	return nil
}

func (d *drawer) delete(_ context.Context, key string) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if _, ok := d.kept[key]; !ok {
		return ErrNotFound
	}
	d.steps--
	delete(d.kept, key)
	return nil
}

// after is a copy of the drawer with the power back on.
func (d *drawer) after() *drawer {
	return &drawer{kept: maps.Clone(d.kept), steps: -1}
}
