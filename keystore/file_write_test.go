package keystore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
)

// 1,000 Sets by 50 goroutines share writes, and each value is stored.
func TestFileGroupsWrites(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "secrets")
	s := testFile(t, path, "p")
	var wait sync.WaitGroup
	for g := range 50 {
		wait.Go(func() {
			for i := range 20 {
				key := fmt.Sprintf("refresh/%d-%d", g, i)
				if err := s.Set(t.Context(), key, key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if n := s.backend.(*file).writes; n > 200 {
		t.Errorf("1,000 changes took %d writes", n)
	} else {
		t.Logf("1,000 changes took %d writes", n)
	}
	s.Close()
	again := testFile(t, path, "p")
	for g := range 50 {
		for i := range 20 {
			key := fmt.Sprintf("refresh/%d-%d", g, i)
			mustGet(t, again, key, key)
		}
	}
}

// Two stores on one file, as in two processes, lose none of each other's secrets,
// and see them.
func TestFileTwoWriters(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "secrets")
	stores := []*Store{testFile(t, path, "p"), testFile(t, path, "p")}
	var wait sync.WaitGroup
	for n, s := range stores {
		wait.Go(func() {
			for i := range 30 {
				if err := s.Set(t.Context(), fmt.Sprint(n, "/", i), "v"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	for _, s := range stores {
		for n := range stores {
			for i := range 30 {
				mustGet(t, s, fmt.Sprint(n, "/", i), "v")
			}
		}
	}
}

func TestFileLockedByAnother(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "secrets")
	s := testFile(t, path, "p")
	mustSet(t, s, "k", "old")
	lock := flock.New(path + ".lock")
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	g := s.backend.(*file).guard
	g.limit = 50 * time.Millisecond
	if err := s.Set(t.Context(), "k", "never"); !errors.Is(err, ErrTimeout) {
		t.Errorf("got %v", err)
	}
	g.turn <- struct{}{} // waits until the late call has ended
	g.limit = time.Minute
	<-g.turn
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	mustSet(t, s, "other", "v")
	mustGet(t, s, "k", "old")
}

// A Set whose caller left before its turn does not happen later.
func TestFileCallerLeaves(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "secrets")
	synctest.Test(t, func(t *testing.T) {
		s := testFile(t, path, "p")
		g := s.backend.(*file).guard
		g.turn <- struct{}{} // another call's turn
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() {
			if err := s.Set(ctx, "left", "v"); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		cancel()
		wait.Wait()
		<-g.turn
		mustSet(t, s, "stayed", "v")
		if _, err := s.Get(t.Context(), "left"); !errors.Is(err, ErrNotFound) {
			t.Errorf("a cancelled Set was done: %v", err)
		}
	})
}

// churn is a process that counts in a store and prints each number once it is
// stored.
func churn() error {
	s, err := File(os.Getenv("WAXSEAL_TEST_FILE"), []byte("p"))
	if err != nil {
		return err
	}
	s.backend.(*file).safe.work = 2
	for i := 1; ; i++ {
		if err := s.Set(context.Background(), "count", strconv.Itoa(i)); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// A program that is killed at any moment leaves a whole file with everything that
// Set had confirmed.
func TestFileKilled(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "secrets")
	mustSet(t, testFile(t, path, "p"), "other", "stays")
	for round := range 12 {
		cmd := helper(t, "churn")
		cmd.Env = append(cmd.Env, "WAXSEAL_TEST_FILE="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, kept := bufio.NewScanner(out), 0
		for lines.Scan() {
			kept, _ = strconv.Atoi(lines.Text())
			if kept == 1+round*3 {
				cmd.Process.Kill() // and read the rest of its output
			}
		}
		cmd.Wait()
		if kept == 0 {
			t.Fatal("the helper stored nothing")
		}
		s := testFile(t, path, "p")
		mustGet(t, s, "other", "stays")
		got, err := s.Get(t.Context(), "count")
		if n, _ := strconv.Atoi(got); err != nil || n < kept {
			t.Fatalf("stored %d, found %q, %v", kept, got, err)
		}
	}
}
