//go:build linux

package chaos

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// names is the DNS server of the run. It resolves *.chaos.test to this machine, or fails as set.
type names struct {
	mu     sync.Mutex
	fault  map[string]string // by host
	silent []net.Conn        // queries without a response
}

func (n *names) set(host, fault string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault[host] = fault
}

func (n *names) clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.fault)
	// Go's resolver keeps waiting even if nobody needs its result any more, which would look like a
	// leak.
	for _, c := range n.silent {
		c.Close()
	}
	n.silent = nil
}

// ignore does not respond until the resolver gives up or the faults are cleared.
func (n *names) ignore(c net.Conn) {
	n.mu.Lock()
	if len(n.fault) > 0 {
		n.silent = append(n.silent, c)
		defer io.Copy(io.Discard, c)
	}
	n.mu.Unlock()
}

// resolver replaces net.DefaultResolver.
func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		n.mu.Lock()
		away := n.fault["*"] == "no network"
		n.mu.Unlock()
		if away {
			return nil, syscall.ENETUNREACH
		}
		near, far := net.Pipe()
		go n.answer(far) // until the resolver closes its end
		return near, nil
	}}
}

// answer speaks DNS over TCP, where each message has its length in front (RFC 1035 section 4.2.2).
func (n *names) answer(c net.Conn) {
	defer c.Close()
	for {
		var head [2]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		ask := make([]byte, binary.BigEndian.Uint16(head[:]))
		if _, err := io.ReadFull(c, ask); err != nil {
			return
		}
		reply := n.reply(ask)
		if reply == nil {
			n.ignore(c)
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// reply makes the response to a query; nil means no response.
func (n *names) reply(ask []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(ask)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	host := strings.TrimSuffix(q.Name.String(), ".")
	n.mu.Lock()
	fault := n.fault[host]
	n.mu.Unlock()
	ip := [4]byte{127, 0, 0, 1}
	h.Response, h.RCode = true, dnsmessage.RCodeSuccess
	switch {
	case fault == "dns silent":
		return nil
	case fault == "dns servfail":
		h.RCode = dnsmessage.RCodeServerFailure
	case fault == "dns nxdomain" || !strings.HasSuffix(host, ".chaos.test"):
		h.RCode = dnsmessage.RCodeNameError
	case fault == "refused":
		ip = [4]byte{127, 0, 0, 9} // nothing listens there
	}
	b := dnsmessage.NewBuilder(nil, h)
	b.StartQuestions()
	b.Question(q)
	b.StartAnswers()
	if h.RCode == dnsmessage.RCodeSuccess && q.Type == dnsmessage.TypeA {
		b.AResource(dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}, dnsmessage.AResource{A: ip})
	}
	out, _ := b.Finish()
	return out
}

// road leads to one port of a provider. Some connections do not get through.
type road struct {
	net.Listener
	to   string
	fate func(n uint64) fate // what happens to the n-th connection

	count   atomic.Uint64
	running sync.WaitGroup
}

// fate is what happens to a connection after a number of bytes in one direction.
type fate struct {
	kind string // "", "reset", "half-open" or "drip"
	up   bool
	at   int64
}

func newRoad(to string, of func(n uint64) fate) (*road, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &road{Listener: l, to: to, fate: of}
	r.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f := r.fate(r.count.Add(1))
			r.running.Go(func() { r.carry(c.(*net.TCPConn), f) })
		}
	})
	return r, nil
}

func (r *road) Close() {
	r.Listener.Close()
	r.running.Wait()
}

func (r *road) carry(near *net.TCPConn, f fate) {
	defer near.Close()
	c, err := net.Dial("tcp", r.to)
	if err != nil {
		reset(near)
		return
	}
	far := c.(*net.TCPConn)
	defer far.Close()
	l := &lane{near: near, far: far, fate: f}
	var both sync.WaitGroup
	both.Go(func() { l.pass(far, near, true) })
	both.Go(func() { l.pass(near, far, false) })
	both.Wait()
}

func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

// lane is one connection on a road.
type lane struct {
	near, far *net.TCPConn
	fate      fate
	mute      atomic.Bool // half-open: each end thinks that the other is still there
}

func (l *lane) pass(to, from *net.TCPConn, up bool) {
	buf := make([]byte, 16<<10)
	left := l.fate.at
	for {
		n, err := from.Read(buf)
		b := buf[:n]
		if l.fate.kind != "" && l.fate.up == up && !l.mute.Load() {
			if left -= int64(n); left < 0 {
				l.write(to, b[:max(0, int64(n)+left)])
				b = nil
				if l.fate.kind == "reset" {
					reset(l.near)
					reset(l.far)
					return
				}
				l.mute.Store(l.fate.kind == "half-open")
			}
		}
		if l.mute.Load() {
			if err != nil && up {
				reset(l.far) // the sender has given up
				return
			} else if err != nil {
				return
			}
			continue
		}
		if werr := l.write(to, b); werr != nil {
			reset(from)
			return
		}
		if err == io.EOF {
			to.CloseWrite()
			return
		} else if err != nil {
			reset(to)
			return
		}
	}
}

func (l *lane) write(to *net.TCPConn, b []byte) error {
	if l.fate.kind == "drip" {
		for i := 0; i < 40 && len(b) > 1; i++ {
			if _, err := to.Write(b[:1]); err != nil {
				return err
			}
			b = b[1:]
			<-time.After(200 * time.Microsecond)
		}
	}
	_, err := to.Write(b)
	return err
}
