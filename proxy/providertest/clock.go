package providertest

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// Clock is a clock that can be set, as a machine's clock can: only the wall clock time changes, and
// the monotonic reading continues as if nothing had happened.
type Clock struct{ ahead atomic.Int64 }

// Set sets the clock ahead of the machine's by d, or back if d is negative.
func (c *Clock) Set(d time.Duration) { c.ahead.Store(int64(d / time.Second)) }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	t := time.Now()
	// Package time can only move both readings or drop one. While a time has a monotonic reading, its
	// first word contains the wall clock's seconds above 30 bits of nanoseconds; TestClock fails if
	// that changes.
	*(*uint64)(unsafe.Pointer(&t)) += uint64(c.ahead.Load()) << 30
	return t
}
