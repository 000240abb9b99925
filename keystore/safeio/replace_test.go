package safeio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantText(t *testing.T, path, want string) {
	t.Helper()
	if got, err := ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", path, got, err, want)
	}
}

// names lists a folder.
func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		names = append(names, f.Name())
	}
	return names
}

func TestReplace(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "ünï.toml")
	for _, mode := range []fs.FileMode{0o600, 0o644, 0o640, 0o600} {
		text := fmt.Sprint("mode ", mode)
		if err := Replace(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		wantText(t, path, text)
		if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != mode {
			t.Errorf("mode %v, %v; want %v", info.Mode(), err, mode)
		}
	}
	if left := names(t, filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// A failure leaves the old file, if there was one, and no temporary file.
func TestReplaceFails(t *testing.T) {
	dir := safeiotest.Dir(t)
	write(t, filepath.Join(dir, "file"), "old")
	if err := os.MkdirAll(filepath.Join(dir, "folder", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	before := names(t, dir)
	for name, path := range map[string]string{
		"below a file":    filepath.Join(dir, "file", "x"),
		"no such folder":  filepath.Join(dir, "none", "x"),
		"a folder":        filepath.Join(dir, "folder"),
		"a name too long": filepath.Join(dir, strings.Repeat("x", 300)),
	} {
		if err := Replace(path, []byte("new"), 0o600); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	wantText(t, filepath.Join(dir, "file"), "old")
	if left := names(t, dir); !slices.Equal(left, before) {
		t.Errorf("left: %v, want %v", left, before)
	}
}

// A link stays a link, and the file that it leads to is replaced.
func TestReplaceThroughLink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("NOT TESTED on Windows: ordinary users may not create links there")
	}
	dir, elsewhere := safeiotest.Dir(t), safeiotest.Dir(t)
	target, link := filepath.Join(elsewhere, "target"), filepath.Join(dir, "link")
	write(t, target, "old")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := Replace(link, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info.Mode(), err)
	}
	wantText(t, target, "new")
	write(t, filepath.Join(elsewhere, ".target.1"), "half")
	RemoveLeftovers(link)
	if left := names(t, elsewhere); len(left) != 1 {
		t.Errorf("left beside the target: %v", left)
	}
}

// Whoever reads while others write finds a whole file, old or new.
func TestReplaceWhileOthersRead(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "file")
	text := func(n int) string { return strings.Repeat(fmt.Sprintln(n), 5000) }
	write(t, path, text(0))
	var writers, reader sync.WaitGroup
	done := make(chan struct{})
	reader.Go(func() {
		// On Windows a reader that never pauses keeps the writers out.
		for n := 0; n < 50 || runtime.GOOS != "windows"; n++ {
			select {
			case <-done:
				return
			default:
			}
			got, err := ReadFile(path)
			number, _, _ := strings.Cut(string(got), "\n")
			if err != nil || string(got) != strings.Repeat(number+"\n", 5000) {
				t.Errorf("read %d bytes, %v", len(got), err)
				return
			}
		}
	})
	for w := range 4 {
		writers.Go(func() {
			for i := range 10 {
				if err := Replace(path, []byte(text(10*w+i)), 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	reader.Wait()
}

func TestRemoveLeftovers(t *testing.T) {
	dir := safeiotest.Dir(t)
	stay := []string{".a.toml.1x", ".a.toml.swp", ".b.toml.12", "a.toml", "a.toml.12"}
	for _, name := range append([]string{".a.toml.12", ".a.toml.3"}, stay...) {
		write(t, filepath.Join(dir, name), "")
	}
	RemoveLeftovers(filepath.Join(dir, "a.toml"))
	if left := names(t, dir); !slices.Equal(left, stay) {
		t.Errorf("left: %v, want %v", left, stay)
	}
	RemoveLeftovers(filepath.Join(dir, "none", "a.toml")) // no folder is fine
}

func TestWritable(t *testing.T) {
	dir := safeiotest.Dir(t)
	path := filepath.Join(dir, "file")
	if mode, err := Writable(path); mode != 0o600 || err != nil {
		t.Errorf("no file: %v, %v", mode, err)
	}
	write(t, path, "")
	if mode, err := Writable(path); err != nil || runtime.GOOS != "windows" && mode != 0o600 {
		t.Errorf("a file: %v, %v", mode, err)
	}
	if _, err := Writable(dir); err == nil {
		t.Error("a folder was found to be writable")
	}
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	if _, err := Writable(path); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a read-only file: %v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil { // Windows deletes no read-only file
		t.Fatal(err)
	}
}
