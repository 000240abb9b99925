package upstream

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/dial"
)

// lines is a body of any size that takes no time to make.
type lines struct{ left int64 }

var manyLines = bytes.Repeat([]byte(strings.Repeat("x", 62)+"\r\n"), 1024)

func (l *lines) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), l.left)], manyLines[(-l.left)&63:]) // go on in mid-line
	l.left -= int64(n)
	return n, nil
}

// Memory does not grow with a message's size. Everything allocated for 64 MiB counts here, on both ends,
// freed or not.
func TestMemoryIsFlat(t *testing.T) {
	const size, most = 64 << 20, 24 << 20 // the race detector makes sync.Pool forget one buffer in four
	cert, roots := certificate(t, "127.0.0.1")
	for _, c := range []struct {
		name string
		ext  []string
		mode dial.TLSMode
	}{{"BDAT", nil, dial.NoTLS}, {"DATA", without("CHUNKING"), dial.NoTLS}, {"BDAT over TLS", nil, dial.Implicit}} {
		f := &fake{ext: c.ext, discard: true}
		if c.mode == dial.Implicit {
			f.tls, f.implicit = cert, true
		}
		start(t, f)
		p := newPool(t, f, func(cfg *Config) { cfg.TLS, cfg.RootCAs = c.mode, roots })
		mustSend(t, p, "first\r\n")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := send(p, &lines{size}, "you@there.example")
		runtime.ReadMemStats(&after)
		if err != nil || !r.ok() {
			t.Fatal(r, err)
		}
		if m := f.delivered(); m[1].size != size {
			t.Errorf("%s: %d bytes arrived", c.name, m[1].size)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > most {
			t.Errorf("%s: %d KiB allocated for 64 MiB", c.name, got>>10)
		}
	}
}

// BenchmarkWarm is one message on a warm connection, including the server.
func BenchmarkWarm(b *testing.B) {
	cert, roots := certificate(b, "127.0.0.1")
	for _, c := range []struct {
		name string
		ext  []string
		mode dial.TLSMode
		size int64
	}{
		{"BDAT-10KiB", nil, dial.NoTLS, 10 << 10},
		{"BDAT-10KiB-TLS", nil, dial.Implicit, 10 << 10},
		{"DATA-10KiB", without("CHUNKING"), dial.NoTLS, 10 << 10},
		{"BDAT-1MiB-TLS", nil, dial.Implicit, 1 << 20},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := &fake{ext: c.ext, discard: true}
			if c.mode == dial.Implicit {
				f.tls, f.implicit = cert, true
			}
			start(b, f)
			p := newPool(b, f, func(cfg *Config) { cfg.TLS, cfg.RootCAs = c.mode, roots })
			mustSend(b, p, "first\r\n")
			b.SetBytes(c.size)
			b.ReportAllocs()
			for b.Loop() {
				if r, err := send(p, &lines{c.size}, "you@there.example"); err != nil || !r.ok() {
					b.Fatal(r, err)
				}
			}
		})
	}
}

// BenchmarkLease is the pool's own part: a lease and its release, by many goroutines at a time.
func BenchmarkLease(b *testing.B) {
	f := start(b, &fake{})
	p := newPool(b, f, func(c *Config) { c.MaxConnections = 2 })
	mustSend(b, p, "first\r\n")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c, err := p.lease(b.Context(), time.Minute)
			if err != nil {
				b.Error(err)
				return
			}
			p.release(c)
		}
	})
}

// BenchmarkCheck is what the second and later logins of a mail program cost.
func BenchmarkCheck(b *testing.B) {
	f := start(b, &fake{})
	p := newPool(b, f)
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Check(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
