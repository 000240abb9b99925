package mailbox

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Notifier wakes the watchers of the server. Without watchers it costs one atomic load.
type Notifier struct {
	watchers atomic.Pointer[[]chan struct{}]

	mu sync.Mutex // one writer of watchers at a time
}

// Wake tells every watcher that something changed. Several calls may become one wake-up.
func (n *Notifier) Wake() {
	watchers := n.watchers.Load()
	if watchers == nil {
		return
	}
	for _, c := range *watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Subscribe returns a channel that gets a value after changes, until cancel is called.
func (n *Notifier) Subscribe() (c chan struct{}, cancel func()) {
	c = make(chan struct{}, 1)
	n.update(func(w []chan struct{}) []chan struct{} { return append(w, c) })
	return c, func() {
		n.update(func(w []chan struct{}) []chan struct{} {
			return slices.DeleteFunc(w, func(other chan struct{}) bool { return other == c })
		})
	}
}

func (n *Notifier) update(change func([]chan struct{}) []chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var old []chan struct{}
	if w := n.watchers.Load(); w != nil {
		old = slices.Clone(*w)
	}
	if now := change(old); len(now) > 0 {
		n.watchers.Store(&now)
	} else {
		n.watchers.Store(nil)
	}
}
