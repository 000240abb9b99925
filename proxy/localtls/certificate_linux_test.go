package localtls

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
)

func TestLocalCertificateReadOnlyFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(name, 0o555); err != nil {
			t.Fatal(err)
		}
	}
	safeiotest.AsNobody(t, func() {
		cert, err := Certificate(dir, certificateTime)
		if !errors.Is(err, ErrNotKept) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), dir) {
			t.Errorf("error %v", err)
		}
		checkCertificate(t, cert, certificateTime)
	})
}
