// Package updates finds out whether there is a newer release of Waxseal.
//
// A [Checker] asks for one small text, the feed, at most once a day. The request says nothing about who
// asks: no version, no identifier, no cookie. The feed is signed with the key that the release was built
// with (see [Parse]), so that whoever serves it, or sits in between, can only keep news away. Waxseal
// never downloads a program: it says that there is one, and where to read about it.
package updates

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

const (
	period  = 24 * time.Hour   // the least time between two requests
	spread  = 4 * time.Hour    // added to it at random, so that not all computers ask at once
	settle  = 10 * time.Minute // the longest wait after a start, which is busy enough
	look    = time.Hour        // the longest time between two looks at the clock: computers sleep
	timeout = 30 * time.Second // of a request
)

// Checker asks for the feed. Set its fields before Run.
type Checker struct {
	Key     string        // the public key in minisign's form; "" never asks
	Version string        // of this program
	File    string        // remembers the last answer for the next start; "" forgets it
	URL     func() string // of the feed, now; "" while it is switched off
	HTTP    *http.Client  // its transport decides about proxies
	Online  func() bool   // whether there is a network
	Log     *slog.Logger
	Changed func() // called when Newer may have changed

	mu    sync.Mutex // guards known
	known record
}

// Newer is the newest release that is known, if it is newer than this program and asking is not switched
// off; else nil.
func (c *Checker) Newer() *api.Release {
	if c.Key == "" || c.URL() == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known.newerThan(c.Version)
}

// Run asks from time to time until ctx ends.
func (c *Checker) Run(ctx context.Context) {
	if c.Key == "" {
		return
	}
	known, err := read(c.File)
	if err != nil {
		c.Log.Warn("what was known of newer releases is lost", "err", err)
	}
	c.mu.Lock()
	c.known = known
	c.mu.Unlock()
	c.Changed()
	for wait := rand.N(settle); ; wait = c.turn(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// turn asks if it is time to, and returns how long to wait before the next turn.
func (c *Checker) turn(ctx context.Context) time.Duration {
	url, now := c.URL(), time.Now()
	c.mu.Lock()
	next := c.known.Next
	c.mu.Unlock()
	if due := next.Sub(now); due > 0 && due <= period+spread { // else the clock was wrong
		return min(due, look)
	}
	if url == "" || !c.Online() {
		return look
	}
	// Noted first: a program that is started again and again asks once a day, too.
	c.note(func(r *record) { r.Next = now.Add(period + rand.N(spread)) })
	feed, err := c.ask(ctx, url)
	if err != nil {
		c.Log.Info("could not ask for newer releases; tomorrow again", "err", err)
		return look
	}
	c.note(func(r *record) {
		if r.Version != feed.Version {
			r.Found = now
		}
		r.Version, r.Page = feed.Version, feed.Page
	})
	return look
}

// note changes what is known, and remembers it.
func (c *Checker) note(change func(*record)) {
	c.mu.Lock()
	change(&c.known)
	known := c.known
	c.mu.Unlock()
	if err := known.write(c.File); err != nil {
		c.Log.Warn("what is known of newer releases was not saved", "err", err)
	}
	c.Changed()
}

// ask gets the feed and checks it.
func (c *Checker) ask(ctx context.Context, url string) (Feed, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Feed{}, err
	}
	req.Header.Set("User-Agent", "") // sends none
	req.Header.Set("Accept-Encoding", "identity")
	req.Close = true
	client := &http.Client{Transport: c.HTTP.Transport, CheckRedirect: sameHost}
	res, err := client.Do(req)
	if err != nil {
		return Feed{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return Feed{}, fmt.Errorf("%s answered %s", url, res.Status)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxFeed+1))
	if err != nil {
		return Feed{}, err
	}
	return Parse(data, c.Key)
}

// sameHost follows a few redirects, but to nobody else: the address in the configuration is the only one
// that learns of this computer.
func sameHost(to *http.Request, via []*http.Request) error {
	first := via[0].URL
	if to.URL.Scheme != first.Scheme || to.URL.Host != first.Host {
		return errors.New("the feed redirects to another server")
	}
	if len(via) > 3 {
		return errors.New("the feed redirects too often")
	}
	return nil
}
