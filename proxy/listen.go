package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// listener admits mail programs of one protocol and has them served. It survives every error but its own end, and
// tells clients over the limit to come back later.
type listener struct {
	net.Listener
	srv         *Server
	asked       api.Listener // as configured
	implicitTLS atomic.Bool
	rejecting   atomic.Int64
	headers     headers // of the connections from balancers

	mu      sync.Mutex // guards what follows
	closed  bool       // no more rejects
	rejects sync.WaitGroup
}

// accept returns the next client that can be served, or the error with which the listener ended. Clients of
// balancers go to relayed instead, each when its header has come: nobody waits for it here.
func (l *listener) accept(relayed func(*mailbox.Client)) (*mailbox.Client, error) {
	delay := 5 * time.Millisecond
	for {
		tcp, err := l.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || l.srv.hall.Stopping() {
				return nil, err
			}
			l.srv.log.Error("accept failed; trying again", "address", l.Addr().String(), "err", err)
			if !mailbox.Pause(l.srv.hall.Hard(), delay) {
				return nil, err
			}
			delay = min(2*delay, time.Second)
			continue
		}
		delay = 5 * time.Millisecond
		if l.srv.fromBalancer(tcp) {
			l.introduce(tcp, relayed)
		} else if c := l.admit(tcp); c != nil {
			return c, nil
		}
	}
}

// admit counts a connection in, or tells its program why not.
func (l *listener) admit(tcp net.Conn) *mailbox.Client {
	c := l.srv.hall.Admit(tcp, l.asked.Protocol, l.implicitTLS.Load())
	if c == nil {
		words := "Waxseal is shutting down; try again later"
		if !l.srv.hall.Stopping() {
			words = fmt.Sprintf("Waxseal has reached its limit of %d connections; try again later", l.srv.hall.Capacity())
		}
		l.reject(tcp, words)
	}
	return c
}

// serve has clients served until the listener is closed.
func (l *listener) serve() {
	end := l.headers.begin(l.srv.hall.Serving())
	defer end()
	var err error
	switch l.asked.Protocol {
	case api.SMTP:
		err = l.serveSMTP()
	case api.IMAP:
		err = l.serveEach(l.srv.imap.Serve)
	case api.POP:
		err = l.serveEach(l.srv.pop.Serve)
	}
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if err != nil && !closed && !l.srv.hall.Stopping() {
		l.srv.log.Error("listener ended", "address", l.Addr().String(), "err", err)
	}
}

// serveEach serves each client on a goroutine of its own, until the listener is closed.
func (l *listener) serveEach(serve func(*mailbox.Client)) error {
	start := func(c *mailbox.Client) {
		go func() { // the hall waits for its end
			defer func() {
				if r := recover(); r != nil {
					c.Leave()
					l.srv.log.Error("panic in a session; it ends, the others continue", "session", c.ID, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
				}
			}()
			serve(c)
		}()
	}
	for {
		c, err := l.accept(start)
		if err != nil {
			return err
		}
		start(c)
	}
}

// serveSMTP has go-smtp serve each client, until the listener is closed. It takes one after the other, so
// balancers' clients, whose headers come when they come, have an entrance of their own.
func (l *listener) serveSMTP() error {
	clients := make(chan *mailbox.Client)
	var entrance sync.WaitGroup
	open := sync.OnceFunc(func() {
		entrance.Go(func() {
			l.srv.smtp.Serve(l.Listener, func() (*mailbox.Client, error) {
				if c, ok := <-clients; ok {
					return c, nil
				}
				return nil, net.ErrClosed
			})
		})
	})
	err := l.srv.smtp.Serve(l.Listener, func() (*mailbox.Client, error) {
		return l.accept(func(c *mailbox.Client) {
			open()
			clients <- c
		})
	})
	l.headers.end()
	close(clients)
	entrance.Wait()
	return err
}

func (l *listener) status() api.Listener {
	return api.Listener{Protocol: l.asked.Protocol, Address: l.Addr().String(), TLS: l.implicitTLS.Load()}
}

// Close ends the listener and waits until the clients over the limit have been told to come back.
func (l *listener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	err := l.Listener.Close()
	l.rejects.Wait()
	return err
}

// reject says why nobody is served and closes, without holding up clients that may come in.
func (l *listener) reject(tcp net.Conn, words string) {
	words = goodbye[l.asked.Protocol] + words
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.rejecting.Add(1) > mailbox.MaxRejects {
		if !l.closed {
			l.rejecting.Add(-1)
		}
		tcp.Close()
		return
	}
	l.rejects.Go(func() {
		defer l.rejecting.Add(-1)
		defer tcp.Close()
		tcp.SetDeadline(time.Now().Add(mailbox.LastWords))
		if l.implicitTLS.Load() {
			tcp = tls.Server(tcp, l.srv.hall.TLSFor(tcp))
		}
		io.WriteString(tcp, words+"\r\n")
	})
}

// goodbye is how a greeting begins that ends the connection.
var goodbye = map[api.Protocol]string{
	api.SMTP: "421 4.3.2 ",
	api.IMAP: "* BYE [UNAVAILABLE] ", // RFC 9051 section 7.1.5
	api.POP:  "-ERR [SYS/TEMP] ",     // RFC 3206
}
