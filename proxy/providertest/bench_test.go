package providertest

import (
	"bytes"
	"strings"
	"testing"
)

// BenchmarkMessage sends 10 KiB messages over one TLS connection, one flight each. It measures the
// cost of the provider and of this small client together.
func BenchmarkMessage(b *testing.B) {
	for name, o := range map[string]Options{"count": {CountOnly: true}, "digest": {DropBodies: true}, "keep": {}} {
		b.Run(name, func(b *testing.B) {
			p := start(b, o)
			c := login(b, p)
			flight := "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 10240 LAST\r\n" + strings.Repeat("0123456789abcde\n", 640)
			b.SetBytes(int64(len(flight)))
			b.ReportAllocs()
			for b.Loop() {
				c.send(flight)
				c.expect("250 ")
				c.expect("250 ")
				c.expect("250 ")
				if p.Forget(); p.Counts().Messages == 0 {
					b.Fatal("no message")
				}
			}
		})
	}
}

func BenchmarkTakeData(b *testing.B) {
	body := bytes.Repeat([]byte("seventy-six characters of base64, as attachments have them, in each line..\r\n"), 1000)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		atLine := true
		takeData(body, &atLine, func([]byte) {})
	}
}
