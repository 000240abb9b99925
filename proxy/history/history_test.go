package history

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/proxy/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const me = "me@corp.test"

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.Local)

func message(r api.Result) api.Activity {
	return api.Activity{Kind: api.Message, Time: noon, Account: me, Recipients: 2, Result: r}
}

func login(name, client string, at time.Time) api.Activity {
	return api.Activity{Kind: api.Login, Time: at, Account: name, Client: client, Result: api.Refused, Problem: &api.Problem{What: api.Say("wrong")}}
}

func inMemory(t testing.TB) *Log {
	t.Helper()
	l, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLastThousand(t *testing.T) {
	l := inMemory(t)
	if text, _ := json.Marshal(l.After(0)); string(text) != "[]" {
		t.Errorf("no events yet: %s", text) // JSON must have an empty list, not null
	}
	var writers sync.WaitGroup
	for range 10 {
		writers.Go(func() {
			for range 2 * Kept / 10 {
				l.Add(message(api.Sent))
			}
		})
	}
	for seen := uint64(0); seen < 2*Kept; {
		for _, a := range l.After(seen) {
			if a.Seq <= seen {
				t.Fatalf("%d comes after %d", a.Seq, seen)
			}
			seen = a.Seq
		}
	}
	writers.Wait()
	if list := l.After(0); len(list) != Kept || list[0].Seq != Kept+1 || list[Kept-1].Seq != 2*Kept {
		t.Errorf("%d are kept", len(list))
	}
	if list := l.After(2*Kept - 2); len(list) != 2 || list[1].Seq != 2*Kept || l.Last() != 2*Kept {
		t.Errorf("after all but two: %v", list)
	}
	if list := l.After(1 << 40); len(list) != 0 {
		t.Errorf("after an event that is still to come: %v", list)
	}
	if l.Dropped() != 0 {
		t.Errorf("%d dropped, though there is no file", l.Dropped())
	}
}

// A program that tries again every second must not flood out the messages.
func TestRepeatedLoginsAreOneEntry(t *testing.T) {
	l := inMemory(t)
	l.Add(message(api.Sent))
	for i := range 2 * Kept {
		l.Add(login(me, "127.0.0.1", noon.Add(time.Duration(i)*time.Second)))
	}
	l.Add(login(me, "10.0.0.7", noon))
	list := l.After(0)
	if len(list) != 3 {
		t.Fatalf("%d entries, want 3", len(list))
	}
	again := list[1]
	if again.Times != 2*Kept || !again.Since.Equal(noon) || !again.Time.Equal(noon.Add((2*Kept-1)*time.Second)) || again.ID != 2 || again.Seq != 2*Kept+1 {
		t.Errorf("got %+v", again)
	}
	if more := l.After(again.Seq - 1); len(more) != 2 || more[0].ID != again.ID {
		t.Errorf("whoever asks for what is new gets %v", more)
	}
	l.Add(login(me, "127.0.0.1", again.Time.Add(repeatedWithin)))
	if list = l.After(0); len(list) != 4 || list[3].Times != 0 {
		t.Errorf("much later it is another one: %+v", list)
	}
}

// Whoever guesses names pushes no message out.
func TestManyNamesLeaveTheMessages(t *testing.T) {
	l := inMemory(t)
	for range Kept - keptLogins {
		l.Add(message(api.Sent))
	}
	for i := range 3 * Kept {
		l.Add(login(fmt.Sprintf("u%d@x.test", i), "10.0.0.7", noon))
	}
	messages, list := 0, l.After(0)
	for _, a := range list {
		if a.Kind == api.Message {
			messages++
		}
	}
	if messages != Kept-keptLogins || len(list) != Kept || list[len(list)-1].Account != fmt.Sprintf("u%d@x.test", 3*Kept-1) {
		t.Errorf("%d messages of %d entries, the last %+v", messages, len(list), list[len(list)-1])
	}
}

func TestAccount(t *testing.T) {
	l := inMemory(t)
	if a := l.Account(me, noon); a != (Account{}) {
		t.Errorf("nothing has happened: %+v", a)
	}
	late := time.Date(2026, 12, 31, 23, 59, 0, 0, time.Local)
	for _, c := range []struct {
		result api.Result
		own    bool
		unsent int
	}{
		{result: api.Sent}, {result: api.Refused, unsent: 1}, {result: api.Aborted, unsent: 1}, {result: api.Deferred, unsent: 2},
		{result: api.Deferred, own: true, unsent: 2}, // while Waxseal was paused
		{result: api.Unclear, unsent: 3}, {result: api.Failed, own: true, unsent: 4}, {result: api.Sent},
	} {
		a := message(c.result)
		a.Own, a.Time = c.own, late
		l.Add(a)
		if got := l.Account("ME@corp.test", late); got.Unsent != c.unsent || got.Last.Result != c.result {
			t.Errorf("after %s: %d unsent, want %d", c.result, got.Unsent, c.unsent)
		}
	}
	l.Add(login(me, "::1", late))
	got := l.Account(me, late.Add(-23*time.Hour))
	if got.Today != (Counts{2, 4}) || got.Last.Kind != api.Message {
		t.Errorf("on the last day of the year %+v", got)
	}
	if got := l.Account(me, late.Add(2*time.Minute)); got.Today != (Counts{}) || got.Last == nil {
		t.Errorf("on the first day of the next %+v", got)
	}
}

func TestFailures(t *testing.T) {
	l := inMemory(t)
	for i, r := range []api.Result{api.Refused, api.Failed, api.Sent, api.Aborted, api.Deferred, api.Unclear} {
		a := message(r)
		a.Time = noon.Add(time.Duration(i) * time.Minute)
		l.Add(a)
	}
	l.Add(login(me, "::1", noon.Add(6*time.Minute)))
	got := ""
	for _, a := range l.Failures(noon, 3) {
		got += fmt.Sprint(a.Kind, " ", a.Result, ", ")
	}
	if want := "login refused, message unknown, message deferred, "; got != want {
		t.Errorf("got %s", got)
	}
	if n := len(l.Failures(noon, 100)); n != 4 {
		t.Errorf("%d since noon, want 4", n)
	}
}

// Every message comes by Add: it must not wait for somebody who reads the history.
func TestAddWaitsForNobody(t *testing.T) {
	l := open(t, "")
	l.mu.Lock()
	for i := range 3 * mostWaiting {
		l.Add(api.Activity{Account: "a@b.example", Recipients: i, Result: api.Sent, Time: time.Now()})
	}
	l.mu.Unlock()
	list := l.After(0)
	if len(list) != 3*mostWaiting {
		t.Fatalf("%d of %d events are there", len(list), 3*mostWaiting)
	}
	for i, a := range list {
		if a.Recipients != i || a.Seq != uint64(i)+1 {
			t.Fatalf("event %d is number %d, with Seq %d", a.Recipients, i, a.Seq)
		}
	}
}

func TestAddFromManySides(t *testing.T) {
	l := open(t, "")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range Kept {
				l.Add(api.Activity{Account: "a@b.example", Recipients: 1, Result: api.Sent, Time: time.Now()})
			}
		})
	}
	all.Go(func() {
		for range 100 {
			l.Last()
		}
	})
	all.Wait()
	if got := l.Account("a@b.example", time.Now()).Today.Messages; got != 8*Kept || l.Last() != 8*Kept || l.waiting.Load() != 0 {
		t.Errorf("%d messages are counted, the last is %d, %d wait", got, l.Last(), l.waiting.Load())
	}
}

// A program that reads every minute pushes no message out, and a session is neither a message that was
// sent nor one that failed.
func TestSessionsLeaveTheMessages(t *testing.T) {
	l := inMemory(t)
	for range Kept - keptReading {
		l.Add(message(api.Sent))
	}
	for range 3 * Kept {
		l.Add(api.Activity{Kind: api.Reading, Protocol: api.IMAP, Account: "a@x.test", Time: time.Now(), Ended: api.ByProgram})
	}
	messages := 0
	for _, a := range l.After(0) {
		if a.Kind == api.Message {
			messages++
		}
	}
	if messages != Kept-keptReading {
		t.Errorf("%d messages are left, want %d", messages, Kept-keptReading)
	}
	if failed := l.Failures(time.Time{}, 5); len(failed) != 0 {
		t.Errorf("%d have failed: %+v", len(failed), failed[0])
	}
}
