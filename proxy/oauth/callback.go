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
	"sync/atomic"
	"time"
)

// redirection is where the provider sends the browser back to: a server on this
// machine that answers one request.
type redirection struct {
	url      string
	callback chan url.Values // gets the query of the one request
	server   *http.Server
	serving  sync.WaitGroup
	outcome  chan page // gets the page for it; closed when there will be none
}

// listen opens a port of the system's choice on the loopback interface.
func listen(ctx context.Context, host, path, state string) (*redirection, error) {
	listeners, port, err := loopback(ctx, host)
	if err != nil {
		return nil, err
	}
	hostPort := net.JoinHostPort(host, strconv.Itoa(port))
	r := &redirection{
		url:      "http://" + hostPort + path,
		callback: make(chan url.Values, 1),
		outcome:  make(chan page, 1),
	}
	r.server = &http.Server{
		Handler:           r.handler(hostPort, path, state),
		ReadHeaderTimeout: 5 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // what strangers send is no news
	}
	r.server.SetKeepAlivesEnabled(false)
	for _, ln := range listeners {
		r.serving.Go(func() { _ = r.server.Serve(ln) }) // until close
	}
	return r, nil
}

// loopback listens on 127.0.0.1, and for "localhost" on ::1 too, on the same
// port: browsers differ in which they try first. Where another program has that
// port on ::1, and so could be taken for us, another port is tried.
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

// handler answers the provider's redirect and nothing else. The Host header must
// be ours, so that no web page can reach it under a name of its own (DNS
// rebinding); a wrong state ends nothing, so that no other page can either.
func (r *redirection) handler(hostPort, path, state string) http.Handler {
	var taken atomic.Bool
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		query, err := url.ParseQuery(req.URL.RawQuery)
		switch {
		case req.Host != hostPort || req.URL.Path != path:
			strange.write(w, http.StatusNotFound)
		case req.Method != http.MethodGet:
			w.Header().Set("Allow", http.MethodGet)
			strange.write(w, http.StatusMethodNotAllowed)
		case err != nil || subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(state)) != 1:
			strange.write(w, http.StatusBadRequest)
		case taken.Swap(true):
			used.write(w, http.StatusGone)
		default:
			r.callback <- query
			p, ok := <-r.outcome
			if !ok {
				p = abandoned
			}
			p.write(w, http.StatusOK)
		}
	})
}

// answer shows the browser how it ended.
func (r *redirection) answer(account string, err error) {
	p := granted(account)
	if err != nil {
		p = failed(account, err)
	}
	r.outcome <- p
}

// close closes the port, once a page under way has gone out.
func (r *redirection) close() {
	close(r.outcome)
	// Browsers open connections that they then do not use; those are not worth
	// waiting for.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if r.server.Shutdown(ctx) != nil {
		r.server.Close()
	}
	r.serving.Wait()
}
