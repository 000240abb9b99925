package foreign

import (
	"strings"
	"testing"
)

func BenchmarkClean(b *testing.B) {
	c := New(strings.Repeat("0123456789abcdef", 200))
	for b.Loop() {
		c.Hide("2.0.0 OK 1732891234 5b1f17b1804b1-4439c1f2e5bsm48871585e9.11 - gsmtp")
	}
}
