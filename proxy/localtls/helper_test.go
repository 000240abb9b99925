package localtls

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
)

// file is the path of an empty file.
func file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(safeiotest.Dir(t), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
