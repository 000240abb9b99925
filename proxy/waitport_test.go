package proxy

import (
	"net"
	"testing"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// waiting starts a server that waits for a port that another program uses.
func waiting(t *testing.T) (s *Server, taken string, ended chan error) {
	t.Helper()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	taken = other.Addr().String()
	s, err = New(Options{Config: config.Config{Listen: []string{taken}}, Secrets: keystore.Memory(), WaitForPort: true})
	if err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- s.Serve(t.Context()) }()
	for snap := range s.Watch(t.Context(), 0) {
		if snap.PortTaken != nil {
			break
		}
	}
	return s, taken, ended
}

func shutDown(t *testing.T, s *Server, ended chan error) {
	t.Helper()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// With a window, a taken port does not end the program: the user chooses another one there.
func TestWaitForPort(t *testing.T) {
	s, taken, ended := waiting(t)
	if snap := s.Snapshot(); snap.State != "starting" || snap.PortTaken.Address != taken || snap.PortTaken.Free == "" {
		t.Errorf("state %q, %+v", snap.State, snap.PortTaken)
	}
	if _, err := s.Configure(t.Context(), api.SettingsChange{}); err != nil {
		t.Errorf("no change: %v", err)
	}
	if _, err := s.Configure(t.Context(), api.SettingsChange{Listen: &[]string{"127.0.0.1:0"}}); err != nil {
		t.Fatal(err)
	}
	<-s.Ready()
	if snap := s.Snapshot(); snap.PortTaken != nil || snap.State != "serving" || len(snap.Listeners) != 1 {
		t.Errorf("%+v", snap)
	}
	shutDown(t, s, ended)
}

func TestWaitForPortEndsWithTheServer(t *testing.T) {
	s, _, ended := waiting(t)
	shutDown(t, s, ended)
}
