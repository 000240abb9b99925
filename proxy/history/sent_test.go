package history

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/pace"
)

// What counts at the provider survives a restart, midnight, and the file being written anew; a message that may have been
// delivered counts, and one that was refused does not.
func TestSentSurvivesARestart(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "history.jsonl")
	synctest.Test(t, func(t *testing.T) {
		l := open(t, path)
		hour := time.Now().Truncate(time.Hour)
		for _, r := range []api.Result{api.Sent, api.Unclear, api.Refused, api.Failed, api.Deferred} {
			l.Add(today(r))
		}
		flush(t, l)
		time.Sleep(23 * time.Hour)
		l = open(t, path)
		l.Add(today(api.Unclear))
		flush(t, l)
		l.bad = true // the file must be written anew
		other := today(api.Sent)
		other.Account = "other@corp.test"
		l.Add(other)
		flush(t, l)
		l = open(t, path)
		got, first := l.Sent(strings.ToUpper(me), time.Now()), hour.Unix()/3600
		if len(got) != 2 || got[0] != (pace.Hour{Hour: first, Counts: pace.Counts{Messages: 2, Recipients: 4}}) || got[1].Messages != 1 {
			t.Errorf("%+v", got)
		}
		time.Sleep(2 * time.Hour)
		if got := l.Sent(me, time.Now()); len(got) != 1 {
			t.Errorf("after a day: %+v", got)
		}
		if got := l.Sent("nobody@corp.test", time.Now()); len(got) != 0 {
			t.Errorf("nobody: %+v", got)
		}
	})
}

// The day's counts were lost with a restart if a wrong clock had been set right: lines of a later day seemed to be newer.
func TestClockSetRight(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "history.jsonl")
	l := open(t, path)
	future := today(api.Sent)
	future.Time = time.Now().AddDate(5, 0, 0)
	l.Add(future)
	flush(t, l)
	l.Add(today(api.Sent))
	flush(t, l)
	l = open(t, path)
	if got := l.Account(me, time.Now()).Today; got != (Counts{1, 2}) {
		t.Errorf("today: %+v", got)
	}
	if got := l.Sent(me, time.Now()).Sum(time.Now()); got != (pace.Counts{Messages: 1, Recipients: 2}) {
		t.Errorf("counted: %+v", got)
	}
}

// A line with counts that cannot be is skipped, and those of an earlier Waxseal have no hours.
func TestOddCounts(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "history.jsonl")
	now := time.Now()
	var text strings.Builder
	for _, hours := range []string{"", fmt.Sprintf(`,"hours":[[%d,1,2]]`, now.Unix()/3600), `,"hours":[[1,-1,2]]`, `,"hours":[[1,1,9223372036854775807]]`, `,"hours":[1]`} {
		fmt.Fprintf(&text, `{"sent":{"account":%q,"day":"2026-03-04","messages":1%s}}`+"\n", me, hours)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, path)
	if got := l.Sent(me, now).Sum(now); got != (pace.Counts{Messages: 1, Recipients: 2}) || !l.bad {
		t.Errorf("%+v, bad %v", got, l.bad)
	}
}
