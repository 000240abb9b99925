package proxy

import (
	"net"
	"testing"

	"github.com/waxseal/waxseal/keystore"
)

// With a screen a taken port is no end: another one is chosen there.
func TestWaitForPort(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s, err := New(Options{Config: Config{Listen: []string{other.Addr().String()}}, Secrets: keystore.Memory(), WaitForPort: true})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(t.Context()) }()
	for snap := range s.Watch(t.Context(), 0) {
		if snap.PortTaken != nil {
			if snap.State != "starting" || snap.PortTaken.Address != other.Addr().String() || snap.PortTaken.Free == "" {
				t.Errorf("state %q, %+v", snap.State, snap.PortTaken)
			}
			break
		}
	}
	to := s.Settings()
	if _, err := s.Configure(t.Context(), to); err != nil {
		t.Errorf("no change: %v", err)
	}
	to.Listen = []string{"127.0.0.1:0"}
	if _, err := s.Configure(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	<-s.Ready()
	if snap := s.Snapshot(); snap.PortTaken != nil || snap.State != "serving" || len(snap.Listeners) != 1 {
		t.Errorf("%+v", snap)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWaitForPortEndsWithTheServer(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s, err := New(Options{Config: Config{Listen: []string{other.Addr().String()}}, Secrets: keystore.Memory(), WaitForPort: true})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(t.Context()) }()
	for snap := range s.Watch(t.Context(), 0) {
		if snap.PortTaken != nil {
			break
		}
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
