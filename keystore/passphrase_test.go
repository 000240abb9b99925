package keystore

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
)

func textFile(t *testing.T, dir, name, content string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The passphrase is the same whichever program wrote its file.
func TestPassphraseFile(t *testing.T) {
	dir := safeiotest.Dir(t)
	for content, want := range map[string]string{
		"two words\n":                            "two words",
		"windows\r\n":                            "windows",
		"no line end":                            "no line end",
		" blanks count ":                         " blanks count ",
		"two\nlines\n":                           "two\nlines",
		"\ufeffpässword\n":                       "pässword", // Notepad, PowerShell 5 with -Encoding utf8
		"\xff\xfep\x00\xe4\x00s\x00\r\x00\n\x00": "päs",      // PowerShell 5's > and Out-File
		"\xfe\xff\x00p\x00\xe4\x00s":             "päs",
		"\n":                                     "",
	} {
		got, warning, err := readPassphrase(textFile(t, dir, "passphrase", content))
		if got != want || warning != "" || err != nil {
			t.Errorf("%q: got %q, warning %q, %v; want %q", content, got, warning, err, want)
		}
	}
}

// A file that is not text is refused. The error names its kind, and does not repeat
// its content.
func TestPassphraseFileOfAnotherKind(t *testing.T) {
	_, _, err := readPassphrase(textFile(t, safeiotest.Dir(t), "passphrase", "caf\xe9"))
	if err == nil || !strings.Contains(err.Error(), "older encoding") || strings.Contains(err.Error(), "caf") {
		t.Errorf("got %v", err)
	}
}

// A passphrase file that others can read causes a warning, as keys do in ssh, but
// it is used: container platforms mount secrets with such modes.
func TestExposedPassphraseFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	dir := safeiotest.Dir(t)
	path := textFile(t, dir, "passphrase", "p\n")
	for mode, exposed := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o444: true, 0o620: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		s, err := Open(FileKind, Place{Path: filepath.Join(dir, "secrets"), PassphraseFile: path})
		if err != nil {
			t.Fatal(err)
		}
		if w := s.Warning(); (w != "") != exposed || exposed && !(strings.Contains(w, path) && strings.Contains(w, "chmod 600")) {
			t.Errorf("mode %o: warning %q", mode, w)
		}
		mustSet(t, s, "k", "v")
		s.Close()
	}
}
