package history

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/pace"
)

const (
	writeEvery = time.Second     // the longest that an event stays in memory alone
	maxLines   = 2 * Kept        // after which the file is written anew
	maxFile    = 8 << 20         // bytes of the file that are read, its last ones
	maxLine    = 64 << 10        // bytes of a line; a longer one is skipped
	maxSeq     = uint64(1) << 53 // what JSON carries exactly, and no count exceeds
)

// line is one line of the file: an event, or what an account had sent on a day when it was
// written.
type line struct {
	Event *api.Activity `json:"event,omitempty"`
	Sent  *sent         `json:"sent,omitempty"`
}

type sent struct {
	Account string `json:"account"`
	Day     string `json:"day"`
	Counts
	Hours [][3]int64 `json:"hours,omitempty"` // of pace.Day: the hour, messages, recipients

	changed uint64 // of the account
}

func (of *account) line(key string) sent {
	s := sent{Account: key, Day: of.day, Counts: of.Today, changed: of.changed}
	for _, h := range of.sent {
		s.Hours = append(s.Hours, [3]int64{h.Hour, h.Messages, h.Recipients})
	}
	return s
}

// take replaces the counts by those of a later line.
func (of *account) take(s *sent) bool {
	var hours pace.Day
	for _, h := range s.Hours {
		hours = append(hours, pace.Hour{Hour: h[0], Counts: pace.Counts{Messages: h[1], Recipients: h[2]}})
		if min(h[1], h[2]) < 0 || max(h[1], h[2]) > int64(maxSeq) {
			return false
		}
	}
	of.day, of.Today, of.sent = s.Day, s.Counts, hours
	return true
}

// Open makes a Log and reads the file at path, which may be missing. It writes nothing. The Log
// can be used in any case: the error says why a file could not be read.
func Open(path string) (*Log, error) {
	l := &Log{path: path, wake: make(chan struct{}, 1), accounts: make(map[string]*account)}
	if path == "" {
		return l, nil
	}
	if err := l.read(); err != nil {
		l.bad = true
		return l, fmt.Errorf("read the history %s: %w", path, err)
	}
	return l, nil
}

// read takes over what the file holds, and notes in l.bad what is wrong with it.
func (l *Log) read() error {
	info, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its other end
		return errors.New("it is not a file")
	}
	l.bad = runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0
	f, err := safeio.Open(l.path)
	if err != nil {
		return err
	}
	defer f.Close()
	if start := info.Size() - maxFile; start > 0 {
		l.bad = true
		if _, err := f.Seek(start, io.SeekStart); err != nil {
			return err
		}
	}
	return l.readLines(bufio.NewReaderSize(f, maxLine))
}

func (l *Log) readLines(r *bufio.Reader) error {
	byID := map[uint64]*api.Activity{}
	for {
		text, err := r.ReadSlice('\n')
		long := err == bufio.ErrBufferFull
		for err == bufio.ErrBufferFull {
			_, err = r.ReadSlice('\n')
		}
		if err == io.EOF && len(text) == 0 {
			break
		}
		if err != nil && err != io.EOF {
			return err
		}
		l.lines++
		var one line
		if err == io.EOF || long || json.Unmarshal(text, &one) != nil || !l.take(one, byID) {
			l.bad = true // cut off, or not ours
		}
		if err == io.EOF {
			break
		}
	}
	l.events = slices.SortedFunc(maps.Values(byID), func(a, b *api.Activity) int { return cmp.Compare(a.Seq, b.Seq) })
	l.events = l.events[max(0, len(l.events)-Kept):]
	for _, a := range l.events {
		if a.Kind == api.Message || a.Kind == api.Test {
			l.note(a) // the day's count has a line of its own
		}
	}
	l.written = l.seq
	return nil
}

// take keeps what a line says; false if that makes no sense.
func (l *Log) take(one line, byID map[uint64]*api.Activity) bool {
	switch {
	case one.Event != nil:
		a := one.Event
		if a.ID == 0 || a.ID > a.Seq || a.Seq > maxSeq || a.Time.IsZero() {
			return false
		}
		if was := byID[a.ID]; was == nil || was.Seq < a.Seq {
			byID[a.ID] = a
		}
		l.seq = max(l.seq, a.Seq)
	case one.Sent != nil:
		// The last line counts, even if it names an earlier day: the clock was set right in between.
		return l.account(one.Sent.Account).take(one.Sent)
	default:
		return false
	}
	return true
}

// Keep says whether the file is kept. If not, the next [Log.Flush] removes it.
func (l *Log) Keep(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep = on
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run writes what is new until ctx ends, and then for a last time. A failure is logged once,
// until writing works again; what could not be written stays in memory for the next time.
func (l *Log) Run(ctx context.Context, log *slog.Logger) {
	if l.path == "" {
		return
	}
	failed, dropped := false, uint64(0)
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-l.wake:
			select {
			case <-ctx.Done():
			case <-time.After(writeEvery): // so that a burst is written at once
			}
		}
		err := l.Flush()
		if err != nil && !failed {
			log.Warn("could not write the history; it stays in memory", "err", err)
		}
		failed = err != nil
		if n := l.Dropped(); n > dropped {
			log.Warn("the history file lacks events that came too fast", "events", n-dropped)
			dropped = n
		}
	}
}

// Flush writes what is not in the file yet, or removes the file if it is not kept.
func (l *Log) Flush() error {
	if l.path == "" {
		return nil
	}
	l.disk.Lock()
	defer l.disk.Unlock()
	l.mu.Lock()
	keep := l.keep
	l.mu.Unlock()
	if !keep {
		return l.remove()
	}
	events, counts, upTo := l.fresh(false)
	n := len(events) + len(counts)
	if n == 0 && !l.removed {
		return nil // a bad file stays too: whoever only reads the history changes nothing
	}
	whole := l.bad || l.lines+n > maxLines
	if whole {
		events, counts, upTo = l.fresh(true)
		n = len(events) + len(counts)
	}
	if err := l.write(whole, events, counts); err != nil {
		l.bad = true // it may have been written in part
		return fmt.Errorf("write the history %s: %w", l.path, err)
	}
	if whole {
		l.lines, l.bad = 0, false
	}
	l.lines += n
	l.removed = false
	l.wrote(upTo, counts)
	return nil
}

// fresh returns the events and counts that are not in the file yet, or all of them, and the Seq
// up to which these are.
func (l *Log) fresh(all bool) (events []*api.Activity, counts []sent, upTo uint64) {
	now := time.Now()
	l.lock()
	defer l.mu.Unlock()
	after := l.written
	if all {
		after = 0
	}
	for _, key := range slices.Sorted(maps.Keys(l.accounts)) {
		of := l.accounts[key]
		if of.changed != of.written || all && (of.day == day(now) || of.sent.Sum(now) != pace.Counts{}) {
			counts = append(counts, of.line(key))
		}
	}
	return l.after(after), counts, l.seq
}

func (l *Log) write(whole bool, events []*api.Activity, counts []sent) error {
	var text bytes.Buffer
	lines := json.NewEncoder(&text)
	for _, a := range events {
		if err := lines.Encode(line{Event: a}); err != nil {
			return err
		}
	}
	for i := range counts {
		if err := lines.Encode(line{Sent: &counts[i]}); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return err
	}
	if info, err := os.Stat(l.path); err == nil && !info.Mode().IsRegular() {
		return errors.New("it is not a file")
	}
	if whole {
		return safeio.Replace(l.path, text.Bytes(), 0o600)
	}
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text.Bytes())
	return errors.Join(err, f.Close())
}

// wrote notes what is in the file now.
func (l *Log) wrote(upTo uint64, counts []sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written = max(l.written, upTo)
	for _, c := range counts {
		if of := l.accounts[c.Account]; of != nil {
			of.written = c.changed
		}
	}
}

// remove removes the file. A history that is kept again later begins a new one.
func (l *Log) remove() error {
	if l.removed {
		return nil
	}
	err := os.Remove(l.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the history: %w", err)
	}
	l.removed, l.bad, l.lines = true, true, 0
	return nil
}
