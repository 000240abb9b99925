package keystore

import "context"

// Unavailable stands for a store that could not be opened: every call fails with
// err, as an [ErrUnavailable] whose [Cure] is cure. A program with a screen can
// start all the same and say there what is wrong.
func Unavailable(kind string, err error, cure string) *Store {
	failed := &openError{err, cure}
	s := &Store{kind: kind, backend: failing{failed}}
	s.last.Store(&callError{op: "open", key: "secrets", kind: kind, err: failed})
	return s
}

// openError says why a store could not be opened.
type openError struct {
	err  error
	cure string
}

func (e *openError) Error() string   { return e.err.Error() }
func (e *openError) Unwrap() []error { return []error{e.err, ErrUnavailable} }

type failing struct{ err error }

func (f failing) get(context.Context, string) (string, error) { return "", f.err }
func (f failing) set(context.Context, string, string) error   { return f.err }
func (f failing) delete(context.Context, string) error        { return f.err }
func (f failing) close()                                      {}
