package proxy

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestMemoryDoesNotGrowWithTheMessage: after a large message has passed, only a small part of its size is
// still held, and only a small part was allocated on the way. Client and provider are in the same
// process and count too. Under the race detector a sync.Pool drops one of four items put into it, which
// alone makes half the message's size; without the newest of the pools it would be nearly all of it.
func TestMemoryDoesNotGrowWithTheMessage(t *testing.T) {
	const size = 64 << 20
	r := newRig(t, rigOptions{provider: providertest.Options{DropBodies: true, MaxSize: 2 * size}})
	p := r.login(me)
	p.message(me, "you@there.test", "warm\r\n")
	line := strings.Repeat("0123456789abcdef", 60) + "\r\n"
	block := []byte(strings.Repeat(line, 64))
	write := func() {
		if _, err := p.conn.Write(block); err != nil { // p.send would copy it
			t.Fatal(err)
		}
	}
	for _, bdat := range []bool{false, true} {
		p.conn.SetDeadline(time.Now().Add(10 * patience))
		p.do("MAIL FROM:<"+me+">", "250")
		p.do("RCPT TO:<you@there.test>", "250")
		var before, after runtime.MemStats
		runtime.GC() // what earlier tests left behind is not held
		runtime.ReadMemStats(&before)
		if bdat {
			for n := 0; n < size; n += len(block) {
				p.send(fmt.Sprintf("BDAT %d\r\n", len(block)))
				write()
				p.expect("250 2.0.0 Continue")
			}
			p.send("BDAT 0 LAST\r\n")
		} else {
			p.do("DATA", "354")
			for n := 0; n < size; n += len(block) {
				write()
			}
			p.send(".\r\n")
		}
		p.expect("250 2.0.0 OK")
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; !bdat && grown > size*5/8 {
			t.Errorf("DATA: %d MiB were allocated for %d MiB", grown>>20, size>>20)
		}
		if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > size/8 {
			t.Errorf("bdat %v: %d MiB are held", bdat, held>>20)
		}
	}
}
