package keystore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// On Linux and similar systems a call may put up a prompt, during which
// go-keyring cannot be stopped and leaves a signal channel on the process's
// shared D-Bus connection, which a tray icon needs too. So the calls are made in
// a process of their own, which can be ended: the program starts itself again,
// and both sides speak JSON lines over the helper's standard input and output.
// No secret goes any other way.

const (
	helperArgument = "keychain-helper"
	helperMark     = "WAXSEAL_KEYCHAIN_HELPER" // in the environment of a helper
)

// request asks a helper for one call on an item.
type request struct {
	Op      string // "get", "set" or "delete"
	Service string
	Key     string
	Secret  []byte `json:",omitempty"`
	Quiet   bool   `json:",omitempty"` // answer ErrLocked or ErrNoKeyring rather than prompt
}

// response is the helper's answer. Kind is "" for success, notFound, or a Reason.
type response struct {
	Secret []byte `json:",omitempty"`
	Kind   string `json:",omitempty"`
	Text   string `json:",omitempty"`
	Asked  bool   `json:",omitempty"` // the user was asked for a new keyring's password
}

const notFound = "not found"

// refuse makes the answer for an error.
func refuse(err error) response {
	answer := response{Kind: string(ReasonOf(err)), Text: err.Error()}
	switch {
	case errors.Is(err, ErrNotFound):
		answer.Kind = notFound
	case answer.Kind == "":
		answer.Kind = string(ReasonUnknown)
	}
	return answer
}

// err is the error that an answer stands for.
func (r response) err() error {
	switch r.Kind {
	case "":
		return nil
	case notFound:
		return &answered{r.Text, ErrNotFound, r.Asked}
	}
	return &answered{r.Text, errorFor(Reason(r.Kind)), r.Asked}
}

// answered is an error as a helper reported it.
type answered struct {
	text  string
	kind  error
	asked bool
}

func (e *answered) Error() string { return e.text }
func (e *answered) Unwrap() error { return e.kind }

// Helper must be called first of all in main, with [os.Args], by every program
// that uses [System]. It returns at once, unless System started this process as
// its helper: then it serves, and ends the process.
func Helper(args []string) {
	if len(args) != 2 || args[1] != helperArgument || os.Getenv(helperMark) == "" {
		return
	}
	nameProcess()
	NoCoreDump()
	// A Ctrl-C or a service manager's signal is for the program, which still
	// stores what it has to and then closes the helper's input.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	requests := make(chan request)
	go func() {
		for from := json.NewDecoder(os.Stdin); ; {
			var r request
			if from.Decode(&r) != nil {
				os.Exit(0) // the program has ended, or no longer needs an answer; a prompt disappears too
			}
			requests <- r
		}
	}()
	for to := json.NewEncoder(os.Stdout); ; {
		if to.Encode(serve(<-requests)) != nil { // #nosec G117 -- the pipe to our parent is where secrets go
			os.Exit(0)
		}
	}
}

// serve makes one call.
func serve(q request) (answer response) {
	ctx, r, asked := context.Background(), ring{q.Service}, false
	err := protect(ctx, func(context.Context) error {
		err := r.call(func() (err error) {
			asked, err = ready(q)
			return err
		})
		if err != nil {
			return err
		}
		switch q.Op {
		case "get":
			secret, err := r.get(ctx, q.Key)
			answer.Secret = []byte(secret)
			return err
		case "set":
			return r.set(ctx, q.Key, string(q.Secret))
		case "delete":
			return r.delete(ctx, q.Key)
		}
		return fmt.Errorf("%w: there is no call %q", ErrUnavailable, q.Op)
	})
	if err != nil {
		answer = refuse(err)
	}
	answer.Asked = asked
	return answer
}
