package shared

import (
	"context"
	"errors"
)

// Engine keeps records where several machines reach them: etcd, or anything that has its promises. A Swap
// that was answered is on disk and stays, even if the engine's leader dies a moment later; Get sees every
// Swap that was answered before it.
//
// These are the operations that Kubernetes uses of etcd, and no others, because those are the ones that
// everything speaking etcd's protocol has.
type Engine interface {
	// List returns all records as they were at one revision, and that revision.
	List(ctx context.Context) ([]Record, int64, error)

	// Get returns a record as it is now. Its Revision is 0 if there is none.
	Get(ctx context.Context, key string) (Record, error)

	// Swap puts value in the place of the record that has this revision, 0 for none, and returns it with its
	// new revision. A nil value deletes. If the record has another revision, the error is [ErrChanged] and
	// the result is the record as it is now.
	Swap(ctx context.Context, key string, value []byte, revision int64) (Record, error)

	// Watch passes on the changes after a revision, in their order, until ctx ends or something fails. A
	// record that was deleted comes with a nil value and the revision at which that happened.
	Watch(ctx context.Context, after int64, changed func([]Record)) error

	Close() error
}

// Record is a value and the revision at which it was written. Revisions count all changes of an engine.
type Record struct {
	Key      string
	Value    []byte // nil if there is no such record
	Revision int64
}

// ErrChanged says that another machine has changed a record since it was read.
var ErrChanged = errors.New("another machine changed the record first")
