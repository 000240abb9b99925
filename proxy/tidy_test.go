package proxy

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
	"github.com/waxseal/waxseal/proxy/config"
)

// TestUnfinishedFilesGoAway: kill -9 leaves unfinished files, under a different name each time.
// The next start removes them, and no files of other programs.
func TestUnfinishedFilesGoAway(t *testing.T) {
	dir := safeiotest.Dir(t)
	s, err := New(Options{Config: config.Default(), ConfigPath: filepath.Join(dir, "config.toml")})
	if err != nil {
		t.Fatal(err)
	}
	stay := []string{".config.toml.1x", ".config.toml.swp", ".other.toml.12", "config.toml", "config.toml.12"}
	for _, name := range slices.Concat(stay, []string{".config.toml.12", ".consents.json.3", ".localhost.crt.4", ".localhost.key.5"}) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.tidyFolder()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range all {
		got = append(got, f.Name())
	}
	if !slices.Equal(got, stay) {
		t.Errorf("left: %v, want %v", got, stay)
	}
}
