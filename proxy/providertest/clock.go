package providertest

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// Clock is a clock that can be set, as a machine's is: only what it says of the
// date changes, while the monotonic reading goes on as if nothing had happened.
type Clock struct{ ahead atomic.Int64 }

// Set sets the clock ahead of the machine's, or back by a negative d.
func (c *Clock) Set(d time.Duration) { c.ahead.Store(int64(d / time.Second)) }

// Now is the time it tells.
func (c *Clock) Now() time.Time {
	t := time.Now()
	// Package time moves both readings or drops one. A time's first word has the
	// wall clock's seconds above 30 bits of nanoseconds while it has a monotonic
	// reading too; TestClock would notice if that changed.
	*(*uint64)(unsafe.Pointer(&t)) += uint64(c.ahead.Load()) << 30
	return t
}
