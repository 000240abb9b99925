package providertest

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestDelay shows when bytes arrive: the first ones after two round trips, all others after one,
// however many are on their way.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rtt = 20 * time.Millisecond
		near, far := net.Pipe()
		d := delay(far, rtt, nil)
		begin := time.Now()
		type arrival struct {
			text string
			at   time.Duration
		}
		var got []arrival
		read := make(chan error)
		go func() {
			b := make([]byte, 8)
			for {
				n, err := near.Read(b)
				if err != nil {
					read <- err
					return
				}
				got = append(got, arrival{string(b[:n]), time.Since(begin)})
			}
		}()
		write := func(s string) {
			if _, err := io.WriteString(d, s); err != nil {
				t.Error(err)
			}
		}
		write("a")
		<-time.After(2 * rtt)
		write("b")
		<-time.After(rtt / 2)
		write("c") // while b is on its way
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if _, err := d.Write([]byte("d")); err == nil {
			t.Error("Write succeeded after Close")
		}
		d.Close()
		if err := <-read; err != io.EOF {
			t.Error(err)
		}
		want := []arrival{{"a", 2 * rtt}, {"b", 3 * rtt}, {"c", 3*rtt + rtt/2}}
		if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Errorf("arrivals %v, want %v", got, want)
		}
	})
}

// TestLatency sends over TLS with latency, and is closed in the middle.
func TestLatency(t *testing.T) {
	p := start(t, Options{Latency: time.Millisecond})
	c := login(t, p)
	c.send("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 3 LAST\r\nabc")
	for _, want := range []string{"250 ", "250 ", "250 2.0.0 OK"} {
		c.expect(want)
	}
	arrived(t, p, []byte("abc"))
	c.do("QUIT", "221 ")
	c.ended()
	login(t, p)
	p.SetFaults(at(StepNoop, Action{Drop: true}))
	login(t, p).send("NOOP\r\n")
}
