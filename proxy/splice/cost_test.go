package splice

import (
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"
)

// plain is what the splice is compared with: io.Copy in both directions.
func plain(client, server net.Conn) {
	var both sync.WaitGroup
	both.Go(func() { io.Copy(struct{ io.Writer }{server}, hidden{client}); closeWrite(server) })
	io.Copy(struct{ io.Writer }{client}, hidden{server})
	closeWrite(client)
	both.Wait()
	client.Close()
	server.Close()
}

func spliced(t testing.TB) func(client, server net.Conn) {
	return func(client, server net.Conn) { (&Splice{Client: client, Server: server}).Run(t.Context()) }
}

// BenchmarkDown carries 64 MiB from a provider with TLS to a mail program without.
func BenchmarkDown(b *testing.B) {
	for name, carry := range map[string]func(client, server net.Conn){"splice": spliced(b), "copy": plain} {
		b.Run(name, func(b *testing.B) {
			program, client := pair(b, false)
			server, provider := pair(b, true)
			var all sync.WaitGroup
			all.Go(func() { carry(client, server) })
			p := make([]byte, 1<<20)
			const size = 64 << 20
			b.SetBytes(size)
			for b.Loop() {
				var sender sync.WaitGroup
				sender.Go(func() {
					for range size / len(p) {
						provider.Write(p)
					}
				})
				io.CopyN(io.Discard, hidden{program}, size)
				sender.Wait()
			}
			program.Close()
			provider.Close()
			all.Wait()
		})
	}
}

// An idle session holds little: what TLS keeps, two stacks, and no buffer of ours, also after a message came.
func TestIdleCosts(t *testing.T) {
	if raceEnabled {
		t.Skip("NOT TESTED: the race detector's own memory is more")
	}
	const pairs = 200
	for _, test := range []struct {
		name  string
		fetch int
		limit int // kB for each pair; it was 23 and 45 when this was written
		carry func(client, server net.Conn)
	}{
		{"silent", 0, 30, spliced(t)}, {"after a fetch", 100 << 10, 60, spliced(t)}, {"io.Copy after a fetch", 100 << 10, 0, plain},
	} {
		var programs, providers []net.Conn
		var clients, servers []net.Conn
		for range pairs {
			program, client := pair(t, false)
			server, provider := pair(t, true)
			programs, providers = append(programs, program), append(providers, provider)
			clients, servers = append(clients, client), append(servers, server)
		}
		before := inUse()
		var all sync.WaitGroup
		for i := range pairs {
			all.Go(func() { test.carry(clients[i], servers[i]) })
			message := make([]byte, test.fetch+100)
			all.Go(func() { providers[i].Write(message) })
			io.ReadFull(programs[i], message)
		}
		time.Sleep(2 * lull) // the buffers are given back after a lull
		each := int(inUse()-before) / pairs >> 10
		t.Logf("%s: %d kB each", test.name, each)
		if test.limit > 0 && each > test.limit {
			t.Errorf("%s: %d kB each, more than %d", test.name, each, test.limit)
		}
		for i := range pairs {
			programs[i].Close()
			providers[i].Close()
		}
		all.Wait()
	}
}

func inUse() uint64 {
	debug.FreeOSMemory()
	debug.FreeOSMemory() // pools give up what they hold at the second collection
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
