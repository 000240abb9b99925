package oauth

import (
	"context"
	"crypto/subtle"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/waxseal/waxseal/proxy/localuser"
)

// redirection is where the provider sends the browser back to: a server on this machine that takes one
// answer, and tells the browser what became of it.
type redirection struct {
	url      string
	callback chan url.Values // gets the query of the answer
	server   *http.Server
	serving  sync.WaitGroup

	known chan struct{} // closed when there is a page to show
	shown chan struct{} // closed when a browser has seen the last page

	mu    sync.Mutex
	taken url.Values // the answer; nil before there is one
	twice bool       // another answer came for the same sign-in
	page  page       // what to show; the zero value before there is something
	seen  bool       // the last page
}

// listen opens a port of the system's choice on the loopback interface.
func listen(ctx context.Context, host, path, state string) (*redirection, error) {
	listeners, port, err := loopback(ctx, host)
	if err != nil {
		return nil, err
	}
	hostPort := net.JoinHostPort(host, strconv.Itoa(port))
	r := newRedirection("http://" + hostPort + path)
	r.server = &http.Server{
		Handler:           r.handler(hostPort, path, state),
		ReadHeaderTimeout: 5 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // what strangers send is not news
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	r.server.SetKeepAlivesEnabled(false)
	for _, ln := range listeners {
		r.serving.Go(func() { _ = r.server.Serve(ln) }) // until close
	}
	return r, nil
}

func newRedirection(address string) *redirection {
	return &redirection{
		url: address, callback: make(chan url.Values, 1), known: make(chan struct{}), shown: make(chan struct{}),
	}
}

// loopback listens on 127.0.0.1, and for "localhost" on ::1 too, on the same port: browsers differ in
// which they try first. Where another program has that port on ::1, and so could be taken for us,
// another port is tried.
func loopback(ctx context.Context, host string) ([]net.Listener, int, error) {
	var lc net.ListenConfig
	for tries := 5; ; tries-- {
		four, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, 0, err
		}
		port := four.Addr().(*net.TCPAddr).Port
		if host != "localhost" || !hasIPv6(ctx) {
			return []net.Listener{four}, port, nil
		}
		six, err := lc.Listen(ctx, "tcp6", net.JoinHostPort("::1", strconv.Itoa(port)))
		if err == nil {
			return []net.Listener{four, six}, port, nil
		}
		four.Close()
		if tries == 0 {
			return nil, 0, err
		}
	}
}

func hasIPv6(ctx context.Context) bool {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	ln.Close()
	return true
}

// donePath is where the browser is sent once it has brought the answer, so that no code stays in its
// address bar and history.
const donePath = "/waxseal-sign-in"

// connKey is the key of a request's connection in its context.
type connKey struct{}

// ofAnotherUser reports whether a request is another local user's. That user may know the state from
// the list of processes, where a browser's arguments stand while it starts. A request that nobody
// waits for any more counts too: the system no longer tells whose it was.
func ofAnotherUser(req *http.Request) bool {
	c, ok := req.Context().Value(connKey{}).(net.Conn)
	return ok && localuser.Of(c).IsAnother()
}

// handler takes the provider's redirect and shows its outcome, and nothing else. The Host header must
// be ours, so that no web page can reach it under a name of its own (DNS rebinding); a wrong state ends
// nothing, so that no other page can either, and neither can another user of this computer.
func (r *redirection) handler(hostPort, path, state string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		query, err := url.ParseQuery(req.URL.RawQuery)
		switch {
		case ofAnotherUser(req):
			notYours.write(w, http.StatusForbidden)
		case req.Host != hostPort || req.URL.Path != path && req.URL.Path != donePath:
			strange.write(w, http.StatusNotFound)
		case req.Method != http.MethodGet:
			w.Header().Set("Allow", http.MethodGet)
			strange.write(w, http.StatusMethodNotAllowed)
		case req.URL.Path == donePath && donePath != path:
			r.show(w)
		case err != nil || subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(state)) != 1:
			strange.write(w, http.StatusBadRequest)
		case !r.take(query):
			used.write(w, http.StatusConflict)
		default:
			lockDown(w.Header())
			http.Redirect(w, req, donePath, http.StatusSeeOther)
		}
	})
}

// take takes the answer to a sign-in. The same one again is fine: browsers reload. Another one means
// that two people have answered, of whom one is not the user: the state is known to whoever could read
// the address that the browser was started with. Then neither is good. An answer that comes after the
// end is not used, and the page says so.
func (r *redirection) take(query url.Values) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.taken == nil && r.page.Last:
		return true
	case r.taken == nil:
		r.taken = query
		r.callback <- query
		return true
	}
	same := query.Get("code") == r.taken.Get("code") && query.Get("error") == r.taken.Get("error")
	r.twice = r.twice || !same
	return same
}

// disputed reports whether two different answers came.
func (r *redirection) disputed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.twice
}

// show waits until there is a page, and shows it. Before there is an answer to the sign-in there is
// nothing to see.
func (r *redirection) show(w http.ResponseWriter) {
	r.mu.Lock()
	answered := r.taken != nil || r.page.Last
	r.mu.Unlock()
	if !answered {
		strange.write(w, http.StatusNotFound)
		return
	}
	<-r.known
	r.mu.Lock()
	p, unused := r.page, r.taken == nil
	r.mu.Unlock()
	status := http.StatusOK
	if unused {
		status = http.StatusGone
	}
	p.write(w, status)
	if !p.Last {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.seen {
		r.seen = true
		close(r.shown)
	}
}

// tell sets the page that browsers see from now on. The last one stays.
func (r *redirection) tell(p page) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.page.Last {
		return
	}
	if r.page == (page{}) {
		close(r.known)
	}
	r.page = p
}

// showTime is how long a browser that brought the answer has to come for the last page.
const showTime = 3 * time.Second

// close closes the port, once the browser has seen the last page. It waits for the browser no longer
// than for patience.
func (r *redirection) close(patience time.Duration) {
	r.tell(ended)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r.mu.Lock()
	answered := r.taken != nil
	r.mu.Unlock()
	if answered {
		select {
		case <-r.shown:
		case <-ctx.Done():
		}
	}
	// Browsers open connections that they then do not use; those are not worth waiting for.
	ctx, cancelShutdown := context.WithTimeout(context.Background(), time.Second)
	defer cancelShutdown()
	if r.server.Shutdown(ctx) != nil {
		r.server.Close()
	}
	r.serving.Wait()
}
