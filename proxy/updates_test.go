package proxy

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/updates"
)

// A newer release that an earlier instance has heard of is in the snapshot at once, until the question is
// switched off.
func TestSnapshotHasNewerRelease(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "config.toml")
	if err := os.WriteFile(updates.File(path), []byte(`{"next":"2999-01-01T00:00:00Z","version":"1.2.0","page":"https://example.com/1.2.0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Listen, cfg.ListenTLS, cfg.Metrics, cfg.Updates = []string{"127.0.0.1:0"}, nil, "", "http://127.0.0.1:1/latest"
	s, err := New(Options{Config: cfg, ConfigPath: path, Secrets: keystore.Memory(), Version: "v1.1.0", UpdateKey: "key"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(t.Context()) }()
	for snap := range s.Watch(t.Context(), 0) {
		if snap.Update != nil {
			if snap.Update.Version != "1.2.0" || snap.Update.Page != "https://example.com/1.2.0" {
				t.Errorf("%+v", snap.Update)
			}
			break
		}
	}
	cfg.Updates = ""
	s.cfg.Store(&cfg)
	if u := s.Snapshot().Update; u != nil {
		t.Errorf("switched off, and still %+v", u)
	}
	s.Shutdown(t.Context())
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
