package tcp

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pair returns both ends of a connection on this machine.
func pair(t testing.TB) (here, there net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if here, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close() })
	if there, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { there.Close() })
	return here, there
}

// More bytes than the system buffers go out and come back, in pieces of every size.
func TestDirectCarriesEveryByte(t *testing.T) {
	const size = 16 << 20
	here, there := pair(t)
	here, there = Direct(here), Direct(there)
	var others sync.WaitGroup
	others.Go(func() {
		// The wrappers hide other methods, which io.Copy would use.
		if _, err := io.Copy(struct{ io.Writer }{there}, struct{ io.Reader }{there}); err != nil {
			t.Error(err)
		}
		there.Close()
	})
	sent, came := sha256.New(), sha256.New()
	others.Go(func() {
		r := rand.New(rand.NewPCG(1, 2))
		p := make([]byte, 256<<10)
		for left := size; left > 0; {
			piece := p[:min(left, 1+r.IntN(len(p)))]
			for i := range piece {
				piece[i] = byte(r.Uint32())
			}
			sent.Write(piece)
			if n, err := here.Write(piece); n != len(piece) || err != nil {
				t.Errorf("wrote %d bytes of %d: %v", n, len(piece), err)
				return
			}
			left -= len(piece)
		}
		here.(interface{ CloseWrite() error }).CloseWrite()
	})
	n, err := io.Copy(came, struct{ io.Reader }{here})
	others.Wait()
	if err != nil || n != size {
		t.Fatalf("%d bytes of %d came back: %v", n, size, err)
	}
	if !bytes.Equal(sent.Sum(nil), came.Sum(nil)) {
		t.Error("the bytes that came back differ from those sent")
	}
}

// Direct fails with the same errors as package net.
func TestDirectFailsAsNetDoes(t *testing.T) {
	past := time.Unix(1, 0)
	tests := []struct {
		name string
		do   func(c, other net.Conn) (int, error)
		want error
	}{
		{"read after the end", func(c, other net.Conn) (int, error) { other.Close(); return c.Read(make([]byte, 8)) }, io.EOF},
		{"read of nothing", func(c, other net.Conn) (int, error) { return c.Read(nil) }, nil},
		{"read past its deadline", func(c, other net.Conn) (int, error) {
			c.SetReadDeadline(past)
			return c.Read(make([]byte, 8))
		}, os.ErrDeadlineExceeded},
		{"write past its deadline", func(c, other net.Conn) (int, error) {
			c.SetWriteDeadline(past)
			return c.Write(make([]byte, 8))
		}, os.ErrDeadlineExceeded},
		{"read after close", func(c, other net.Conn) (int, error) { c.Close(); return c.Read(make([]byte, 8)) }, net.ErrClosed},
		{"write after close", func(c, other net.Conn) (int, error) { c.Close(); return c.Write(make([]byte, 8)) }, net.ErrClosed},
		{"write of nothing", func(c, other net.Conn) (int, error) { return c.Write(nil) }, nil},
		{"read of a reset connection", func(c, other net.Conn) (int, error) {
			other.(*net.TCPConn).SetLinger(0)
			other.Close()
			return c.Read(make([]byte, 8))
		}, syscall.ECONNRESET},
		{"write to a reset connection", func(c, other net.Conn) (int, error) {
			other.(*net.TCPConn).SetLinger(0)
			other.Close()
			c.Read(make([]byte, 8)) // returns once the reset has arrived
			return c.Write(make([]byte, 8))
		}, syscall.EPIPE},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			plain, plainOther := pair(t)
			n, err := test.do(plain, plainOther)
			c, other := pair(t)
			gotN, got := test.do(Direct(c), other)
			if !errors.Is(err, test.want) || !errors.Is(got, test.want) || n != gotN {
				t.Errorf("%d, %v; net: %d, %v; want %v", gotN, got, n, err, test.want)
			}
			var a, b *net.OpError
			if errors.As(err, &a) != errors.As(got, &b) || a != nil && a.Op != b.Op {
				t.Errorf("%#v; net: %#v", got, err)
			}
		})
	}
}

// A read that waits ends when another goroutine sets a deadline or closes the
// connection, or when bytes arrive.
func TestDirectWaits(t *testing.T) {
	tests := []struct {
		name string
		then func(c, other net.Conn)
		want error
	}{
		{"for bytes", func(c, other net.Conn) { other.Write([]byte("at last")) }, nil},
		{"until its deadline", func(c, other net.Conn) { c.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		{"until it is closed", func(c, other net.Conn) { c.Close() }, net.ErrClosed},
		{"until the other side closes", func(c, other net.Conn) { other.Close() }, io.EOF},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, other := pair(t)
			c = Direct(c)
			began, ended := make(chan struct{}), make(chan error)
			go func() {
				close(began)
				_, err := c.Read(make([]byte, 8))
				ended <- err
			}()
			<-began
			test.then(c, other)
			if err := <-ended; !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

// A write that the other side does not read reports how many bytes it wrote.
func TestDirectSaysHowMuchWasWritten(t *testing.T) {
	c, other := pair(t)
	c = Direct(c)
	c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	n, err := c.Write(make([]byte, 64<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	c.Close()
	came, _ := io.Copy(io.Discard, other)
	if n == 0 || int64(n) != came {
		t.Errorf("Write reported %d bytes, and %d arrived", n, came)
	}
}

func TestDirectLeavesOthersAlone(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	if Direct(here) != here {
		t.Error("Direct wrapped a connection that is not TCP")
	}
	QuickAck(here)
}

func TestDirectAllocatesNothing(t *testing.T) {
	here, there := pair(t)
	here, there = Direct(here), Direct(there)
	p := make([]byte, 64)
	allocs := testing.AllocsPerRun(100, func() {
		here.Write(p)
		there.Read(p)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// A command and its reply, with Direct and without.
func BenchmarkRound(b *testing.B) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{"net": func(c net.Conn) net.Conn { return c }, "direct": Direct} {
		b.Run(name, func(b *testing.B) {
			here, there := pair(b)
			here, there = wrap(here), wrap(there)
			var echo sync.WaitGroup
			echo.Go(func() {
				p := make([]byte, 64)
				for {
					n, err := there.Read(p)
					if err != nil {
						return
					}
					there.Write(p[:n])
				}
			})
			p := make([]byte, 64)
			for b.Loop() {
				here.Write(p)
				here.Read(p)
			}
			here.Close()
			echo.Wait()
		})
	}
}
