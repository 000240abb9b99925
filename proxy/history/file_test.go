package history

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
	"github.com/waxseal/waxseal/proxy/api"
)

func open(t testing.TB, path string) *Log {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Keep(true)
	return l
}

func flush(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
}

func content(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// today is a message that was sent a moment ago: what is counted is today's.
func today(r api.Result) api.Activity {
	a := message(r)
	a.Time = time.Now().Round(0)
	return a
}

func TestRestart(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "new folder", "history.jsonl")
	l := open(t, path)
	a := today(api.Sent)
	a.Session, a.Bytes, a.Took, a.Reply = "7x", 123, time.Second, "250 2.0.0 OK"
	l.Add(a)
	a.Account = "Other@corp.test"
	l.Add(a)
	flush(t, l)
	l.Add(today(api.Sent))
	for range 3 {
		l.Add(login("who@x.test", "10.0.0.7", a.Time))
		flush(t, l)
	}
	failed := today(api.Refused)
	failed.Problem = &api.Problem{What: api.Say("{{.Account}} may not.", "Account", me)}
	l.Add(failed)
	flush(t, l)
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("the file's mode: %v, %v", info.Mode(), err)
	}
	before := content(t, path)
	flush(t, l) // writes nothing

	again := open(t, path)
	flush(t, again)
	if content(t, path) != before {
		t.Error("reading changed the file")
	}
	want, got := l.After(0), again.After(0)
	for i := range want {
		want[i].Time, got[i].Time = want[i].Time.UTC(), got[i].Time.UTC()
		want[i].Since, got[i].Since = want[i].Since.UTC(), got[i].Since.UTC()
	}
	if !reflect.DeepEqual(got, want) || len(got) != 5 || got[3].Times != 3 {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	now := time.Now()
	if mine := again.Account(me, now); mine.Today != (Counts{2, 4}) || mine.Unsent != 1 || mine.Last.Result != api.Refused {
		t.Errorf("my account: %+v", mine)
	}
	if other := again.Account("other@CORP.test", now); other.Today != (Counts{1, 2}) || other.Last == nil {
		t.Errorf("the other account: %+v", other)
	}
	again.Add(today(api.Sent))
	if last := again.After(l.Last()); len(last) != 1 || last[0].ID != l.Last()+1 {
		t.Errorf("the next event: %+v", last)
	}
}

// The file is bounded, and the day's counts outlive the events.
func TestFileIsBounded(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "history.jsonl")
	l := open(t, path)
	quiet := today(api.Sent)
	quiet.Account = "quiet@corp.test"
	l.Add(quiet)
	for i := range 5 * Kept {
		l.Add(today(api.Sent))
		if i%100 == 0 {
			flush(t, l)
		}
	}
	flush(t, l)
	if n := strings.Count(content(t, path), "\n"); n > maxLines || n < Kept {
		t.Errorf("%d lines", n)
	}
	again := open(t, path)
	now := time.Now()
	if a, q := again.Account(me, now).Today, again.Account("quiet@corp.test", now).Today; a.Messages != 5*Kept || a.Recipients != 10*Kept || q.Messages != 1 {
		t.Errorf("sent today: %+v and %+v", a, q)
	}
	if n := len(again.After(0)); n != Kept || again.Last() != l.Last() || l.Dropped() != 0 {
		t.Errorf("%d events, the last %d of %d", n, again.Last(), l.Last())
	}
}

func TestTooFastIsCounted(t *testing.T) {
	l := open(t, filepath.Join(safeiotest.Dir(t), "history.jsonl"))
	for range Kept + 7 {
		l.Add(today(api.Sent))
	}
	flush(t, l)
	if l.Dropped() != 7 {
		t.Errorf("%d dropped, want 7", l.Dropped())
	}
}

// Whatever is in the file, the rest of it is read, the program starts, and the next write leaves a
// good file.
func TestDamagedFile(t *testing.T) {
	good := `{"event":{"id":4,"seq":4,"kind":"message","time":"2026-03-04T12:00:00Z","account":"me@corp.test","result":"sent"}}` + "\n"
	for name, c := range map[string]struct {
		text   string
		events int
	}{
		"cut off by kill -9":   {good + good[:50], 1},
		"cut off at the start": {good[50:] + good, 1},
		"no line end":          {good[:len(good)-1], 0}, // it may be a part of a longer one
		"nothing":              {"", 0},
		"zeros after a crash":  {good + strings.Repeat("\x00", 5000), 1},
		"a very long line":     {strings.Repeat("x", 3*maxLine) + "\n" + good, 1},
		"other JSON":           {"[1]\n{}\nnull\n7\n" + good, 1},
		"impossible numbers":   {strings.ReplaceAll(good, `"seq":4`, `"seq":18446744073709551615`) + good, 1},
		"no time":              {strings.ReplaceAll(good, "2026-03-04T12:00:00Z", "0001-01-01T00:00:00Z"), 0},
		"the same twice":       {good + good, 1},
	} {
		path := filepath.Join(safeiotest.Dir(t), "history.jsonl")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		l := open(t, path)
		if n := len(l.After(0)); n != c.events {
			t.Errorf("%s: %d events, want %d", name, n, c.events)
		}
		l.Add(today(api.Sent))
		flush(t, l)
		again := open(t, path)
		if n := len(again.After(0)); n != c.events+1 || again.bad {
			t.Errorf("%s: %d events after the next write, want %d; the file is bad: %t", name, n, c.events+1, again.bad)
		}
	}
}

func TestHugeFile(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "history.jsonl")
	line := `{"event":{"id":4,"seq":4,"kind":"message","time":"2026-03-04T12:00:00Z","account":"me@corp.test","result":"sent"}}` + "\n"
	if err := os.WriteFile(path, bytes.Repeat([]byte(line), 2*maxFile/len(line)), 0o644); err != nil {
		t.Fatal(err)
	}
	l := open(t, path)
	flush(t, l)
	if info, err := os.Stat(path); err != nil || info.Size() < maxFile {
		t.Errorf("who only reads has written: %d bytes, %v", info.Size(), err)
	}
	l.Add(today(api.Sent))
	flush(t, l)
	if info, err := os.Stat(path); err != nil || info.Size() > 1000 || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("%d bytes, mode %v, %v", info.Size(), info.Mode(), err)
	}
}

// A folder or a pipe in the file's place is no reason not to start, and nothing waits for it.
func TestNotAFile(t *testing.T) {
	path := safeiotest.Dir(t)
	l, err := Open(path)
	if err == nil {
		t.Error("a folder was read")
	}
	l.Keep(true)
	l.Add(today(api.Sent))
	if err := l.Flush(); err == nil || len(l.After(0)) != 1 {
		t.Errorf("a folder was written: %v", err)
	}
}

func TestSwitchedOff(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "history.jsonl")
	l := open(t, path)
	l.Add(today(api.Sent))
	flush(t, l)
	l.Keep(false)
	flush(t, l)
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is still there")
	}
	l.Add(today(api.Sent))
	flush(t, l)
	if _, err := os.Stat(path); err == nil || len(l.After(0)) != 2 || l.Dropped() != 0 {
		t.Error("it was written though it is switched off")
	}
	l.Keep(true)
	flush(t, l)
	if again := open(t, path); len(again.After(0)) != 2 || again.Account(me, time.Now()).Today.Messages != 2 {
		t.Errorf("switched on again: %+v", again.After(0))
	}
}

// TestRun: what happens in one second is one write, the last events are written at the end, and a
// disk that cannot be written is told once.
func TestRun(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "history.jsonl")
	synctest.Test(t, func(t *testing.T) {
		var told bytes.Buffer
		log := slog.New(slog.NewTextHandler(&told, nil))
		l := open(t, path)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); l.Run(ctx, log) }()
		time.Sleep(2 * writeEvery)
		l.Add(today(api.Sent))
		l.Add(today(api.Sent))
		synctest.Wait()
		if _, err := os.Stat(path); err == nil {
			t.Error("it is written at once")
		}
		time.Sleep(writeEvery)
		synctest.Wait()
		if n := strings.Count(content(t, path), `"event"`); n != 2 {
			t.Errorf("%d events in the file, want 2", n)
		}
		os.Remove(path)
		os.Mkdir(path, 0o700)
		for range 3 {
			l.Add(today(api.Sent))
			time.Sleep(2 * writeEvery)
		}
		os.Remove(path)
		l.Add(today(api.Sent))
		cancel()
		<-ended
		if n := strings.Count(content(t, path), `"event"`); n != 6 {
			t.Errorf("%d events at the end, want all 6", n)
		}
		if n := strings.Count(told.String(), "level=WARN"); n != 1 || !strings.Contains(told.String(), "it is not a file") {
			t.Errorf("the log says\n%s", told.String())
		}
	})
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"event":{"id":4,"seq":4,"kind":"message","time":"2026-03-04T12:00:00Z","account":"me@corp.test","result":"sent"}}` + "\n"))
	f.Add([]byte(`{"event":{"id":2,"seq":9,"kind":"login","time":"2026-03-04T12:00:00Z","times":3,"since":"2026-03-04T11:00:00Z"}}` + "\n" + `{"sent":{"account":"a","day":"2026-03-04","messages":1,"hours":[[493021,1,2],[493022,3,4]]}}` + "\n{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := inMemory(t)
		if err := l.readLines(bufio.NewReaderSize(bytes.NewReader(data), maxLine)); err != nil {
			t.Fatal(err)
		}
		before, seen := l.After(0), map[uint64]bool{}
		for i, a := range before {
			if seen[a.ID] || a.Seq > l.Last() || i > 0 && a.Seq < before[i-1].Seq {
				t.Errorf("event %d: %+v", i, a)
			}
			seen[a.ID] = true
		}
		l.Add(today(api.Sent))
		if after := l.After(0); len(after) != min(len(before)+1, Kept) || after[len(after)-1].Seq != l.Last() {
			t.Errorf("%d events, then %d", len(before), len(after))
		}
	})
}
