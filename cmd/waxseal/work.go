package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/waxseal/waxseal/proxy"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/control"
)

// errAtOnce ends the program while messages are still in progress.
var errAtOnce = errors.New("stopped at once; messages in progress were cut off")

// work is a server's life, from its control socket to its last message.
type work struct {
	server   *proxy.Server
	listener *control.Listener
	log      *slog.Logger
	desktop  control.Desktop

	// ready is called once the server accepts mail. The program ends when it returns done or an
	// error, and goes on otherwise.
	ready func(ctx context.Context) (done bool, err error)
}

// run serves until a signal or ready asks it to end, lets the messages in progress finish, and
// returns. A second signal makes it return at once; after a SIGTERM with drain_delay, the second ends
// that delay and the third makes it return at once.
//
// SIGINT and SIGTERM end it. On Windows, closing the console arrives as SIGTERM; logging off,
// shutting down and taskkill arrive through relayCloses; and the system kills a program that has
// not ended a few seconds later. SIGHUP reloads the configuration; Windows never sends it, and has
// `waxseal reload`.
func (w work) run(ctx context.Context) error {
	ends, hups := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(ends, os.Interrupt, syscall.SIGTERM)
	signal.Notify(hups, syscall.SIGHUP)
	defer signal.Stop(ends)
	defer signal.Stop(hups)
	closes := make(chan struct{}, 1)
	defer relayCloses(closes, w.log)()

	ctx, cancel := context.WithCancel(ctx)
	if w.desktop.Quit == nil {
		w.desktop.Quit = cancel
	}
	served, readied := make(chan error, 1), make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() {
		if err := control.Serve(ctx, w.listener, w.server, w.desktop); err != nil {
			w.log.Error("the command line cannot reach this instance", "err", err)
		}
	})
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go func() { served <- w.server.Serve(serving) }()
	whenReady := w.server.Ready()
	finish := func(err error) error {
		cancel()
		if !errors.Is(err, errAtOnce) {
			running.Wait()
		}
		return err
	}
	end := func(closed bool) error {
		stop()
		return awaitEnd(served, ends, closed)
	}
	var drained <-chan time.Time // nil: no delay has begun
	for {
		select {
		case err := <-served: // a port is taken, for example
			return finish(err)
		case <-whenReady:
			whenReady = nil
			running.Go(func() {
				if done, err := w.ready(ctx); done || err != nil {
					readied <- err
				}
			})
		case <-hups:
			running.Go(func() { w.reload(ctx) })
		case err := <-readied:
			return finish(errors.Join(err, end(false)))
		case s := <-ends:
			w.log.Info("shutting down", "signal", s.String())
			if drained == nil && drains(s) {
				if delay := w.server.Drain(); delay > 0 {
					drained = time.After(delay)
					continue
				}
			}
			return finish(end(false))
		case <-drained:
			return finish(end(false))
		case <-closes:
			w.log.Info("shutting down", "signal", "close")
			return finish(end(true))
		case <-ctx.Done():
			return finish(end(false))
		}
	}
}

// drains reports whether a signal waits for balancers: whoever presses Ctrl-C is a person, and on Windows
// SIGTERM says that the console closes and takes the program with it.
func drains(s os.Signal) bool { return s == syscall.SIGTERM && runtime.GOOS != "windows" }

// awaitEnd waits for a server that was told to stop. A signal meanwhile ends it at once. After a
// close, SIGTERM is not a second request: it says that the console closes together with the
// program.
func awaitEnd(served <-chan error, ends <-chan os.Signal, closed bool) error {
	for {
		select {
		case err := <-served:
			return err
		case s := <-ends:
			if !closed || s != syscall.SIGTERM {
				return errAtOnce
			}
		}
	}
}

func (w work) reload(ctx context.Context) {
	notes, err := w.server.Reload(ctx)
	if err != nil {
		w.log.Error("reload failed", "err", err)
		return
	}
	w.log.Info("reloaded")
	for _, n := range notes {
		w.log.Warn("reload", "note", n)
	}
}

// addresses lists where a server accepts mail.
func addresses(s api.Snapshot) string {
	text := ""
	several := slices.ContainsFunc(s.Listeners, func(l api.Listener) bool { return l.Protocol.Reads() })
	for _, l := range s.Listeners {
		if text != "" {
			text += ", "
		}
		if several {
			text += l.Protocol.Label().String() + " "
		}
		text += fmt.Sprintf("%s (%s)", l.Address, securityName(l.TLS))
	}
	return text
}

// securityName is a listener's security as mail programs name it.
func securityName(tls bool) string {
	if tls {
		return "TLS"
	}
	return "STARTTLS"
}
