package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestRoundTripsOfAMessage counts the round trips to the provider for one message. A program
// that waits for the reply to each command needs four, or thirteen with ten recipients, and
// seven more for a new connection.
func TestRoundTripsOfAMessage(t *testing.T) {
	for _, tt := range []struct {
		name       string
		provider   providertest.Options
		recipients int
		want       int64
	}{
		{"BDAT", providertest.Options{}, 1, 2},
		{"BDAT, ten recipients", providertest.Options{}, 10, 11}, // the program gets each reply before it names the next recipient
		{"DATA", providertest.Options{NoChunking: true}, 1, 3},
		{"DATA, ten recipients", providertest.Options{NoChunking: true}, 10, 12},
		{"no PIPELINING", providertest.Options{NoPipelining: true}, 1, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, rigOptions{provider: tt.provider})
			send := func() int64 {
				before := r.provider.Counts()
				p := r.login(me) // one connection per message, as scripts do it
				p.do("MAIL FROM:<"+me+">", "250")
				for i := range tt.recipients {
					p.do(fmt.Sprintf("RCPT TO:<r%d@there.test>", i), "250")
				}
				p.do("DATA", "354")
				p.send(strings.Repeat("a line of the message\r\n", 400) + ".\r\n")
				p.expect("250")
				p.do("QUIT", "221")
				after := r.provider.Counts()
				if after.Connections > 1 || after.Auths > 1 {
					t.Errorf("%d connections, %d logins", after.Connections, after.Auths)
				}
				return after.Flights - before.Flights
			}
			send() // connects
			for range 2 {
				if got := send(); got != tt.want {
					t.Errorf("%d round trips, want %d", got, tt.want)
				}
			}
		})
	}
}
