package smtpd

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestSilentTLSClient: how long one may take before its first byte.
func TestSilentTLSClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := pipe(t)
		c.client.Implicit = true
		c.out = []byte("220 hello\r\n")
		go c.Read(make([]byte, 64))
		start := time.Now()
		if line := <-lastLine(client); line != "220 hello\r\n" || time.Since(start) != tlsHello {
			t.Errorf("greeted with %q after %v", line, time.Since(start))
		}
		client.Close()
		synctest.Wait()
	})
}
