package dial

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// pieces is a connection that gives what has arrived in pieces of any size.
type pieces struct {
	net.Conn
	rng *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.rng.IntN(3) == 0 {
		b = b[:min(len(b), 1+p.rng.IntN(8))]
	}
	return p.Conn.Read(b)
}

// tcpPair returns both ends of a connection on this machine.
func tcpPair(t *testing.T) (dialled, accepted net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if dialled, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled, accepted
}

// What the server writes in pieces of any size arrives as it was, however it is cut and read.
func TestArrivingUnchanged(t *testing.T) {
	cfg, roots := certificate(t, "localhost")
	for seed := range uint64(8) {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			near, far := tcpPair(t)
			rng := rand.New(rand.NewPCG(seed, 1))
			server := tls.Server(far, &tls.Config{Certificates: cfg.Certificates, MaxVersion: version})
			client := arrive(&pieces{near, rand.New(rand.NewPCG(seed, 2))}, &tls.Config{RootCAs: roots, ServerName: "localhost"})
			sent, came := sha256.New(), sha256.New()
			var sender sync.WaitGroup
			sender.Go(func() {
				p := make([]byte, 100_000)
				for range 60 {
					piece := p[:1+rng.IntN(1<<rng.IntN(17))]
					for i := range piece {
						piece[i] = byte(rng.Uint32())
					}
					sent.Write(piece)
					if _, err := server.Write(piece); err != nil {
						t.Error(err)
					}
				}
				server.CloseWrite()
			})
			reading := rand.New(rand.NewPCG(seed, 3))
			p := make([]byte, 100_000)
			for {
				n, err := client.Read(p[:1+reading.IntN(1<<reading.IntN(17))])
				came.Write(p[:n])
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			sender.Wait()
			if !bytes.Equal(sent.Sum(nil), came.Sum(nil)) {
				t.Errorf("seed %d, TLS %x: the bytes have changed", seed, version)
			}
			if client.under.buf != nil {
				t.Error("a buffer is held at the end")
			}
		}
	}
}

// Several records that have arrived come with one read. It does not wait for what is missing of the next, or
// behind records without data; and nothing is held while nothing comes.
func TestArrivingTogether(t *testing.T) {
	cfg, roots := certificate(t, "localhost")
	near, far := tcpPair(t)
	server := tls.Server(far, &tls.Config{Certificates: cfg.Certificates, DynamicRecordSizingDisabled: true})
	client := arrive(near, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	var other sync.WaitGroup
	other.Go(func() { server.Handshake() })
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	other.Wait()
	const size = 3 * Record
	p := make([]byte, 4*Record)
	client.SetReadDeadline(time.Now().Add(10 * time.Second))
	together := false
	for range 50 { // how much one system call finds is not ours to say
		server.Write(p[:size])
		for got := 0; got < size; {
			n, err := client.Read(p)
			if err != nil {
				t.Fatal(err)
			}
			got += n
			together = together || n > Record
		}
	}
	if !together {
		t.Error("records never came together")
	}
	client.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := client.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read at the end: %v", err)
	}
	if client.under.buf != nil {
		t.Error("a buffer is held while nothing comes")
	}
	client.SetReadDeadline(time.Now().Add(10 * time.Second))
	server.Write([]byte("more"))
	if n, err := client.Read(p); string(p[:n]) != "more" || err != nil {
		t.Errorf("after a deadline: %q, %v", p[:n], err)
	}
}

// A read of records gives no byte of the next one, and one that must not wait says so.
func TestRecordsApart(t *testing.T) {
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	c := &records{Conn: near}
	var stream []byte
	sizes := []int{0, 1, 2000, Record, 5, shortRecord, shortRecord + 1, Record + 256}
	for _, n := range sizes {
		stream = append(append(stream, 23, 3, 3, byte(n>>8), byte(n)), bytes.Repeat([]byte{byte(n)}, n)...)
	}
	go far.Write(stream)
	var got []byte
	p := make([]byte, 64<<10)
	for _, n := range sizes {
		for left := recordHeader + n; left > 0; {
			m, err := c.Read(p)
			if err != nil || m > left {
				t.Fatalf("record of %d: %d bytes of %d, %v", n, m, left, err)
			}
			got = append(got, p[:m]...)
			left -= m
		}
	}
	if !bytes.Equal(got, stream) {
		t.Error("the bytes have changed")
	}
	c.dry = true
	if _, err := c.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) || c.complete() {
		t.Errorf("nothing is there: %v, %v", err, c.complete())
	}
}
