package keystore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
)

// testFile is a file store whose passphrase costs next to nothing, so that tests
// can open it often. Its limit suits a busy machine.
func testFile(t *testing.T, path, passphrase string) *Store {
	t.Helper()
	s, err := File(path, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	f := s.backend.(*file)
	f.safe.work, f.guard.limit = 2, time.Minute
	return s
}

func mustSet(t *testing.T, s *Store, key, secret string) {
	t.Helper()
	if err := s.Set(t.Context(), key, secret); err != nil {
		t.Fatal(err)
	}
}

func mustGet(t *testing.T, s *Store, key, want string) {
	t.Helper()
	if got, err := s.Get(t.Context(), key); err != nil || got != want {
		t.Fatalf("%s: %q, %v; want %q", key, got, err, want)
	}
}

func TestFileArguments(t *testing.T) {
	if _, err := File("", []byte("p")); err == nil {
		t.Error("no path was accepted")
	}
	if _, err := File("x", nil); err == nil {
		t.Error("no passphrase was accepted")
	}
}

// With the passphrase's real cost: the file outlives the store, in a folder made
// for it, and only its owner can read it.
func TestFileKeeps(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "new", "secrets")
	passphrase := []byte("correct horse")
	s, err := File(path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	s.backend.(*file).guard.limit = time.Minute
	clear(passphrase) // the caller may do so
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("File touched the disk")
	}
	mustSet(t, s, "refresh/me", "token")
	s.Close()

	again, err := File(path, []byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	again.backend.(*file).guard.limit = time.Minute
	mustGet(t, again, "refresh/me", "token")
	for _, name := range []string{path, path + ".lock"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || bytes.Contains(data, []byte("token")) || bytes.Contains(data, []byte("refresh")) {
		t.Errorf("the file is not encrypted: %v", err)
	}
}

func TestFileNeverOverwritesWhatItCannotRead(t *testing.T) {
	good := func(t *testing.T) []byte {
		path := filepath.Join(safeiotest.Dir(t), "secrets")
		mustSet(t, testFile(t, path, "right"), "k", "v")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	flip := func(data []byte, at int) []byte {
		data[at] ^= 1
		return data
	}
	for name, test := range map[string]struct {
		data       func(t *testing.T) []byte
		passphrase string
		want       error
	}{
		"wrong passphrase": {good, "wrong", ErrDenied},
		"empty":            {func(*testing.T) []byte { return nil }, "right", ErrDamaged},
		"another file":     {func(*testing.T) []byte { return []byte("listen = []\n") }, "right", ErrDamaged},
		"newer version":    {func(*testing.T) []byte { return []byte(fileMark + "2.\n") }, "right", ErrDamaged},
		"only its title":   {func(*testing.T) []byte { return []byte(firstLine) }, "right", ErrDamaged},
		"cut short":        {func(t *testing.T) []byte { d := good(t); return d[:len(d)-60] }, "right", ErrDamaged},
		"no secrets":       {func(t *testing.T) []byte { w, _, _ := cut(good(t)); return append([]byte(firstLine), w...) }, "right", ErrDamaged},
		"a changed byte":   {func(t *testing.T) []byte { d := good(t); return flip(d, len(d)-60) }, "right", ErrDamaged},
		"a dear passphrase": {func(t *testing.T) []byte {
			expensive := safe{"right", 6, 22}
			c := &content{}
			if err := expensive.wrap(c); err != nil {
				t.Fatal(err)
			}
			d, err := expensive.seal(c)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}, "right", ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(safeiotest.Dir(t), "secrets")
			data := test.data(t)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			s := testFile(t, path, test.passphrase)
			s.backend.(*file).safe.maxWork = 5
			_, get := s.Get(t.Context(), "k")
			set, del := s.Set(t.Context(), "k", "new"), s.Delete(t.Context(), "k")
			for _, err := range []error{get, set, del} {
				if !errors.Is(err, test.want) || !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotFound) {
					t.Errorf("got %v, want %v", err, test.want)
				}
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, data) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

// A refused file is refused again without work, and opened once it has changed.
func TestFileRecovers(t *testing.T) {
	dir := safeiotest.Dir(t)
	path := filepath.Join(dir, "secrets")
	mustSet(t, testFile(t, filepath.Join(dir, "good"), "right"), "k", "v")
	mustSet(t, testFile(t, path, "other"), "k", "not mine")

	s := testFile(t, path, "right")
	_, first := s.Get(t.Context(), "k")
	refused := s.backend.(*file).refuse.err
	_, second := s.Get(t.Context(), "k")
	if !errors.Is(first, ErrDenied) || !errors.Is(second, refused) {
		t.Fatalf("%v, then %v", first, second)
	}
	if err := os.Rename(filepath.Join(dir, "good"), path); err != nil {
		t.Fatal(err)
	}
	mustGet(t, s, "k", "v")
}

func TestFileUnreachable(t *testing.T) {
	dir := safeiotest.Dir(t)
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"a folder":        dir,
		"below a file":    filepath.Join(dir, "plain", "secrets"),
		"a name too long": filepath.Join(dir, strings.Repeat("x", 300)),
	} {
		if err := testFile(t, path, "p").Set(t.Context(), "k", "v"); !errors.Is(err, ErrUnavailable) || Cure(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// If the file is removed, what was read from it stays usable, and the next change
// writes all of it again.
func TestFileTakenAway(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "secrets")
	s := testFile(t, path, "p")
	mustSet(t, s, "a", "1")
	mustSet(t, s, "b", "2")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	mustGet(t, s, "a", "1")
	mustSet(t, s, "b", "2") // the value is the same, but must be written
	mustGet(t, testFile(t, path, "p"), "a", "1")
}

func TestFileIsNotWrittenWithoutNeed(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "secrets")
	s := testFile(t, path, "p")
	if err := s.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("deleting nothing made the file")
	}
	for range 3 {
		mustSet(t, s, "k", "v")
	}
	if n := s.backend.(*file).writes; n != 1 {
		t.Errorf("one value, %d writes", n)
	}
}

// A process that is killed while it writes leaves a temporary file; the next
// process's first write removes it.
func TestFileLeftover(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "secrets")
	left := filepath.Join(filepath.Dir(path), ".secrets.123")
	if err := os.WriteFile(left, []byte("half"), 0o400); err != nil {
		t.Fatal(err)
	}
	mustSet(t, testFile(t, path, "p"), "k", "v")
	mustGet(t, testFile(t, path, "p"), "k", "v")
	if _, err := os.Stat(left); err == nil {
		t.Error("the temporary file is still there")
	}
}

func TestFileThroughLink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("NOT TESTED on Windows: ordinary users may not create links there")
	}
	dir := safeiotest.Dir(t)
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	mustSet(t, testFile(t, real, "p"), "k", "1")
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	mustSet(t, testFile(t, link, "p"), "k", "2")
	mustGet(t, testFile(t, real, "p"), "k", "2")
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v", err)
	}
}
