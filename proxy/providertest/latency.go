package providertest

import (
	"net"
	"time"
)

// delayed is a connection to somewhere far away: what is written arrives a round trip later, while
// reading is not delayed. A client that waits for replies cannot tell the difference. The first bytes
// arrive two round trips later, because connecting would have taken one.
type delayed struct {
	net.Conn
	rtt   time.Duration
	first bool
	shut  bool
	queue chan parcel
	ended chan struct{} // closed when the sender has ended
	done  <-chan struct{}
}

type parcel struct {
	due  time.Time
	data []byte
}

// delay starts the sender of a connection. Close ends it after it has sent what is on its way.
func delay(c net.Conn, rtt time.Duration, done <-chan struct{}) *delayed {
	d := &delayed{Conn: c, rtt: rtt, first: true, queue: make(chan parcel, 64), ended: make(chan struct{}), done: done}
	go d.send()
	return d
}

// Write must be called by one goroutine at a time, as sessions do.
func (d *delayed) Write(b []byte) (int, error) {
	if d.shut {
		return 0, net.ErrClosed
	}
	wait := d.rtt
	if d.first {
		d.first, wait = false, 2*d.rtt
	}
	p := parcel{due: time.Now().Add(wait), data: append([]byte(nil), b...)}
	select {
	case d.queue <- p:
		return len(b), nil
	case <-d.done:
		return 0, net.ErrClosed
	}
}

// Close must be called by the goroutine that writes. It may be called twice: by a drop below TLS,
// then by TLS.
func (d *delayed) Close() error {
	if d.shut {
		return net.ErrClosed
	}
	d.shut = true
	close(d.queue)
	<-d.ended
	return d.Conn.Close()
}

func (d *delayed) send() {
	defer close(d.ended)
	failed := false
	timer := time.NewTimer(0)
	defer timer.Stop()
	for p := range d.queue {
		if failed {
			continue // the queue must not fill up
		}
		timer.Reset(time.Until(p.due))
		select {
		case <-timer.C:
		case <-d.done:
			failed = true
			continue
		}
		d.Conn.SetWriteDeadline(time.Now().Add(writeLimit))
		if _, err := d.Conn.Write(p.data); err != nil {
			d.Conn.Close() // so that the reader notices too
			failed = true
		}
	}
}
