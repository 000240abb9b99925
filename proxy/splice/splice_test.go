package splice

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/proxy/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// certificate is one for a server in a test.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// pair returns both ends of a TCP connection, with TLS over it where secure.
func pair(t testing.TB, secure bool) (dialled, accepted net.Conn) {
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
	if secure {
		client := tls.Client(dialled, &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: true})
		server := tls.Server(accepted, &tls.Config{Certificates: []tls.Certificate{certificate()}, DynamicRecordSizingDisabled: true})
		var other sync.WaitGroup
		other.Go(func() { client.Handshake() })
		if err := server.Handshake(); err != nil {
			t.Fatal(err)
		}
		other.Wait()
		dialled, accepted = client, server
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled, accepted
}

// rig is a splice that runs between two peers.
type rig struct {
	*Splice
	program, provider net.Conn // the peers' ends
	ended             chan End
}

func start(t testing.TB, ctx context.Context, secure bool, s *Splice) *rig {
	t.Helper()
	r := &rig{Splice: s, ended: make(chan End, 1)}
	r.program, s.Client = pair(t, false)
	s.Server, r.provider = pair(t, secure)
	var running sync.WaitGroup
	running.Go(func() { r.ended <- s.Run(ctx) })
	t.Cleanup(func() { r.program.Close(); r.provider.Close(); running.Wait() })
	return r
}

func (r *rig) expect(t testing.TB, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("got %q (%v), want %q", got[:n], err, want)
	}
}

func (r *rig) end(t testing.TB, by api.EndedBy) End {
	t.Helper()
	e := <-r.ended
	if e.By != by {
		t.Errorf("ended by %q (%v), want %q", e.By, e.Err, by)
	}
	return e
}

func write(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Error(err)
	}
}

func closeHalf(c net.Conn) { c.(interface{ CloseWrite() error }).CloseWrite() }

// lines is an observer whose boundaries are line ends.
func lines(p []byte) int {
	if i := bytes.LastIndexByte(p, '\n'); i >= 0 {
		return i + 1
	}
	return -1
}

// Both directions carry every byte, NUL and 8-bit among them, whatever the cuts, while observers and counters
// see all of it.
func TestNoByteChanges(t *testing.T) {
	for _, secure := range []bool{false, true} {
		const size = 8 << 20
		var down, up atomic.Int64
		seenDown, seenUp := sha256.New(), sha256.New()
		r := start(t, t.Context(), secure, &Splice{
			FromServer: []byte("early\x00"), FromClient: []byte("pipelined\xff"),
			Down:  func(p []byte) int { seenDown.Write(p); return -1 },
			Up:    func(p []byte) { seenUp.Write(p) },
			Count: func(d, u int64) { down.Add(d); up.Add(u) },
		})
		var all sync.WaitGroup
		sentUp, sentDown := sha256.New(), sha256.New()
		gotUp, gotDown := sha256.New(), sha256.New()
		sentDown.Write(r.FromServer)
		sentUp.Write(r.FromClient)
		all.Go(func() { noise(t, io.MultiWriter(r.program, sentUp), size, 1); closeHalf(r.program) })
		all.Go(func() { noise(t, io.MultiWriter(r.provider, sentDown), size, 2); closeHalf(r.provider) })
		all.Go(func() { io.Copy(gotDown, hidden{r.program}) })
		all.Go(func() { io.Copy(gotUp, hidden{r.provider}) })
		all.Wait()
		end := <-r.ended
		for name, sums := range map[string][2][]byte{
			"up": {sentUp.Sum(nil), gotUp.Sum(nil)}, "down": {sentDown.Sum(nil), gotDown.Sum(nil)},
			"seen up": {sentUp.Sum(nil), seenUp.Sum(nil)}, "seen down": {sentDown.Sum(nil), seenDown.Sum(nil)},
		} {
			if !bytes.Equal(sums[0], sums[1]) {
				t.Errorf("TLS %v: %s: the bytes differ", secure, name)
			}
		}
		if want := int64(size + len(r.FromServer)); end.Down != want || down.Load() != want {
			t.Errorf("counted %d and %d bytes down, want %d", end.Down, down.Load(), want)
		}
		if want := int64(size + len(r.FromClient)); end.Up != want || up.Load() != want {
			t.Errorf("counted %d and %d bytes up, want %d", end.Up, up.Load(), want)
		}
		if end.Err != nil {
			t.Error(end.Err)
		}
	}
}

// hidden hides a connection's other methods, which io.Copy would use.
type hidden struct{ io.Reader }

// noise writes size random bytes in pieces of random sizes, those near the buffers' sizes among them.
func noise(t *testing.T, w io.Writer, size int, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 3))
	edges := []int{1, small - 1, small, small + 1, 2 * small, 16 << 10, large - 1, large, large + 1}
	p := make([]byte, 200<<10)
	for size > 0 {
		n := 1 + r.IntN(len(p))
		if r.IntN(2) == 0 {
			n = edges[r.IntN(len(edges))]
		}
		piece := p[:min(size, n)]
		for i := range piece {
			piece[i] = byte(r.Uint32())
		}
		if _, err := w.Write(piece); err != nil {
			t.Error(err)
			return
		}
		size -= len(piece)
	}
}

// A client that closes its side still hears everything, and a server's end reaches the client.
func TestHalfClose(t *testing.T) {
	for _, secure := range []bool{false, true} {
		r := start(t, t.Context(), secure, &Splice{})
		write(t, r.program, "a LOGOUT\r\n")
		closeHalf(r.program)
		if said, err := io.ReadAll(r.provider); string(said) != "a LOGOUT\r\n" || err != nil {
			t.Errorf("the server got %q, %v", said, err)
		}
		write(t, r.provider, "* BYE\r\na OK\r\n")
		r.provider.Close()
		if said, err := io.ReadAll(r.program); string(said) != "* BYE\r\na OK\r\n" || err != nil {
			t.Errorf("the client got %q, %v", said, err)
		}
		if e := r.end(t, api.ByProgram); e.Err != nil {
			t.Error(e.Err)
		}
	}
}

// Everything that ends a splice, and who is said to have ended it.
func TestEnds(t *testing.T) {
	tests := map[string]struct {
		do   func(r *rig, cut func())
		want api.EndedBy
		last string // what the client hears
	}{
		"server closes":              {func(r *rig, cut func()) { r.provider.Close() }, api.ByProvider, "provider gone\n"},
		"server closes midway":       {func(r *rig, cut func()) { r.say(t, "half"); r.provider.Close() }, api.ByProvider, ""},
		"server's connection breaks": {func(r *rig, cut func()) { reset(r.provider) }, api.ByNetwork, "network gone\n"},
		"breaks midway":              {func(r *rig, cut func()) { r.say(t, "half"); reset(r.provider) }, api.ByNetwork, ""},
		"client closes":              {func(r *rig, cut func()) { closeHalf(r.program); io.ReadAll(r.provider); r.provider.Close() }, api.ByProgram, "provider gone\n"},
		"client breaks off":          {func(r *rig, cut func()) { reset(r.program); io.ReadAll(r.provider); r.provider.Close() }, api.ByProgram, ""},
		"finished":                   {func(r *rig, cut func()) { r.Finish(api.ByWaxseal); r.Finish(api.ByProvider) }, api.ByWaxseal, "waxseal gone\n"},
		"finished by the server":     {func(r *rig, cut func()) { r.Finish(api.ByProvider) }, api.ByProvider, "provider gone\n"},
		"cut":                        {func(r *rig, cut func()) { cut() }, api.ByWaxseal, ""},
		"finished midway, cut": {func(r *rig, cut func()) {
			r.say(t, "half")
			r.Finish(api.ByProvider)
			cut()
		}, api.ByWaxseal, ""},
		"finished midway, goes on": {func(r *rig, cut func()) {
			r.say(t, "half")
			r.Finish(api.ByWaxseal)
			for { // until the splice knows
				r.mu.Lock()
				if leaving := r.leaving; leaving != "" {
					r.mu.Unlock()
					break
				}
				r.mu.Unlock()
				runtime.Gosched()
			}
			write(t, r.provider, " a line\nand another")
		}, api.ByWaxseal, " a line\nwaxseal gone\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ctx, cut := context.WithCancel(t.Context())
			defer cut()
			r := start(t, ctx, false, &Splice{
				FromServer: []byte("hello\n"), Down: lines, Farewell: func(by api.EndedBy) []byte { return []byte(by + " gone\n") },
			})
			r.expect(t, r.program, "hello\n")
			test.do(r, cut)
			if said, _ := io.ReadAll(r.program); string(said) != test.last {
				t.Errorf("the client heard %q, want %q", said, test.last)
			}
			r.program.Close()
			r.end(t, test.want)
			if n, err := r.Server.Write([]byte("x")); err == nil {
				t.Errorf("the server's connection is open: wrote %d", n)
			}
			r.Finish(api.ByWaxseal) // late, without effect
		})
	}
}

// say lets the provider say text, and waits until the program has heard it.
func (r *rig) say(t testing.TB, text string) {
	write(t, r.provider, text)
	r.expect(t, r.program, text)
}

func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// Finish before Run lets what came before go first.
func TestFinishBeforeRun(t *testing.T) {
	s := &Splice{FromServer: []byte("a OK\n"), Down: lines, Farewell: func(api.EndedBy) []byte { return []byte("* BYE\n") }}
	s.Finish(api.ByWaxseal)
	r := start(t, t.Context(), false, s)
	if said, _ := io.ReadAll(r.program); string(said) != "a OK\n* BYE\n" {
		t.Errorf("the client heard %q", said)
	}
	r.program.Close()
	r.end(t, api.ByWaxseal)
}

// Our last words stand between lines of the server, whatever the moment, and never in one.
func TestLastWordsStandAlone(t *testing.T) {
	for range 10 {
		r := start(t, t.Context(), true, &Splice{Down: lines, Farewell: func(api.EndedBy) []byte { return []byte("* BYE\n") }})
		var other sync.WaitGroup
		other.Go(func() {
			line := strings.Repeat("x", 700) + "\n"
			for {
				cut := rand.IntN(len(line))
				if _, err := io.WriteString(r.provider, line[:cut]); err != nil {
					return
				}
				if _, err := io.WriteString(r.provider, line[cut:]); err != nil {
					return
				}
			}
		})
		heard := make([]byte, rand.IntN(1<<20))
		io.ReadFull(r.program, heard)
		r.Finish(api.ByWaxseal)
		rest, _ := io.ReadAll(r.program)
		all := append(heard, rest...)
		if !bytes.HasSuffix(all, []byte("\n* BYE\n")) || bytes.Count(all, []byte("* BYE\n")) != 1 {
			t.Errorf("the end is %q", all[max(0, len(all)-100):])
		}
		for line := range bytes.Lines(bytes.TrimSuffix(all, []byte("* BYE\n"))) {
			if len(line) != 701 {
				t.Fatalf("a line of %d bytes", len(line))
			}
		}
		r.program.Close()
		other.Wait()
		r.end(t, api.ByWaxseal)
	}
}

// A slow reader stops the sender; nothing piles up here.
func TestSlowReader(t *testing.T) {
	const size = 100 << 20
	r := start(t, t.Context(), false, &Splice{})
	var sent atomic.Int64
	sums := [2]*counter{{}, {}}
	var other sync.WaitGroup
	other.Go(func() {
		p := make([]byte, 1<<20)
		for i := range p {
			p[i] = byte(i * 7)
		}
		for range size / len(p) {
			if _, err := r.provider.Write(p); err != nil {
				t.Error(err)
				return
			}
			sums[0].Write(p)
			sent.Add(int64(len(p)))
		}
		closeHalf(r.provider)
	})
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	p := make([]byte, 32<<10)
	for read, most := 0, uint64(0); ; {
		n, err := r.program.Read(p)
		sums[1].Write(p[:n])
		read += n
		if read%(8<<20) < n {
			runtime.ReadMemStats(&now)
			if most = max(most, now.HeapInuse); most > before.HeapInuse+4<<20 {
				t.Errorf("the heap grew from %d to %d bytes", before.HeapInuse, most)
			}
			if ahead := sent.Load() - int64(read); ahead > 32<<20 { // the system's buffers
				t.Errorf("%d bytes are on their way", ahead)
			}
		}
		if err != nil {
			break
		}
	}
	other.Wait()
	r.program.Close()
	r.end(t, api.ByProvider)
	if sums[0].n != size || *sums[0] != *sums[1] {
		t.Errorf("sent %v, got %v", sums[0], sums[1])
	}
}

// counter is a quick check sum.
type counter struct {
	n   int
	sum uint64
}

func (c *counter) Write(p []byte) (int, error) {
	for _, b := range p {
		c.sum = c.sum*31 + uint64(b)
	}
	c.n += len(p)
	return len(p), nil
}

// A source that may not be silent for long ends.
func TestSilentEnds(t *testing.T) {
	s := &source{}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	s.conn = a
	s.within(time.Millisecond)
	if err := s.pump(func([]byte) error { return nil }); !isTimeout(err) {
		t.Errorf("pump ended with %v", err)
	}
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
