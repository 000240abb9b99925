package proxy

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// BenchmarkParallel sends 10 KiB messages over warm connections, mail program and provider included,
// from many accounts at a time. With -mutexprofile and -blockprofile it shows what they wait for.
func BenchmarkParallel(b *testing.B) {
	var others []string
	for i := range 63 {
		others = append(others, fmt.Sprintf("user%d@corp.test", i))
	}
	r := newRig(b, rigOptions{provider: providertest.Options{CountOnly: true}, accounts: others})
	accounts := append(others, me)
	body := strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n", 160)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	b.SetParallelism(len(accounts) / 2)
	var next atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		account := accounts[int(next.Add(1))%len(accounts)]
		p := r.login(account)
		for pb.Next() {
			if got := p.message(account, "you@there.test", body); !strings.HasPrefix(got, "250") {
				b.Error(got)
				return
			}
		}
	})
}
