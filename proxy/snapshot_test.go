package proxy

import (
	"context"
	"testing"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/config"
)

// A snapshot that says "serving" has the addresses, because programs wait for the state and
// then use an address.
func TestServingHasAddresses(t *testing.T) {
	for range 50 {
		cfg := config.Default()
		cfg.Listen, cfg.ListenTLS, cfg.Metrics = []string{"127.0.0.1:0"}, []string{}, ""
		s, err := New(Options{Config: cfg, Secrets: keystore.Memory()})
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(context.Background()) }()
		for {
			snap := s.Snapshot()
			if snap.State == "serving" && len(snap.Listeners) == 0 {
				t.Error("the state is serving, but there is no address")
			}
			if snap.State == "serving" {
				break
			}
		}
		s.Shutdown(t.Context())
		<-served
	}
}
