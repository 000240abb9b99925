package tcp

import (
	"net"
	"sync"
	"time"
)

// probeFor is how long connections are asked whether they still live.
const probeFor = 15 * time.Second

// Probes are connections that are asked together whether they still live; see [Probe]. The zero value has
// none. All methods may be called by many goroutines.
type Probes struct {
	mu    sync.Mutex // guards what follows
	conns map[net.Conn]struct{}
	quiet *time.Timer // ends the asking
}

// Add adds a connection until remove is called.
func (p *Probes) Add(c net.Conn) (remove func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		p.conns = make(map[net.Conn]struct{})
	}
	p.conns[c] = struct{}{}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, c)
	}
}

// Start asks all connections for 15 seconds, and does not wait. One that does not answer ends in about 7.
func (p *Probes) Start() {
	p.ask(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet != nil {
		p.quiet.Stop()
	}
	p.quiet = time.AfterFunc(probeFor, func() { p.ask(false) })
}

func (p *Probes) ask(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		Probe(c, on)
	}
}

// Stop ends what Start has begun, as far as it needs time.
func (p *Probes) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet != nil {
		p.quiet.Stop()
	}
}
