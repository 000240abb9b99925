package proxy

import (
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/pace"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// A crash takes the last seconds of the machine's own count. All of the day was counted twice then, because its record
// had more.
func TestFleetCountsAfterACrash(t *testing.T) {
	f := newFleetRig(t, 1, providertest.Options{})
	a := f.servers[0]
	f.provide(a, me)
	eventually(t, "the account is known", func() bool { return a.hall.Mailbox(me) != nil })
	b, key, hour := a.hall.Mailbox(me), config.Fold(me), time.Now().Unix()/3600
	told := count{pace.Day{{Hour: hour - 2, Counts: pace.Counts{Messages: 60, Recipients: 60}}, {Hour: hour, Counts: pace.Counts{Messages: 40, Recipients: 40}}}}
	if err := a.store.Put(t.Context(), countRecord(key, "m1"), told); err != nil {
		t.Fatal(err)
	}
	limits := pace.Limits{Recipients: 1000}
	b.Pace.SetLimits(limits, pace.Day{{Hour: hour - 2, Counts: pace.Counts{Messages: 60, Recipients: 60}}, {Hour: hour, Counts: pace.Counts{Messages: 35, Recipients: 35}}})
	c := newCounts(a.Server)
	c.exchange(t.Context(), key, b, limits)
	if used := b.Pace.Status().Uses[0].Used; used != 100 {
		t.Errorf("%d recipients; 100 were sent to", used)
	}
	var now count
	if _, err := a.store.Load(countRecord(key, "m1"), &now); err != nil || now.Day.Sum(time.Now()).Recipients != 100 {
		t.Errorf("the record has %+v, %v", now, err)
	}
}

// A machine whose clock is wrong took all that the others have sent for long past, and deleted it.
func TestFleetCountsOfOtherClocks(t *testing.T) {
	f := newFleetRig(t, 2, providertest.Options{})
	a := f.servers[0]
	f.provide(a, me)
	eventually(t, "the account and the other machine are known", func() bool {
		return a.hall.Mailbox(me) != nil && len(a.store.Alive()) == 2
	})
	b, key, hour := a.hall.Mailbox(me), config.Fold(me), time.Now().Unix()/3600
	for name, ahead := range map[string]int64{"m2": -9000, "gone": -9000} {
		day := pace.Day{{Hour: hour + ahead, Counts: pace.Counts{Messages: 5, Recipients: 5}}}
		if err := a.store.Put(t.Context(), countRecord(key, name), count{day}); err != nil {
			t.Fatal(err)
		}
	}
	limits := pace.Limits{Recipients: 1000}
	b.Pace.SetLimits(limits, nil)
	c := newCounts(a.Server)
	c.exchange(t.Context(), key, b, limits)
	var left count
	if revision, err := a.store.Load(countRecord(key, "m2"), &left); err != nil || revision == 0 {
		t.Errorf("the count of a machine that lives is gone: %v", err)
	}
	if revision, _ := a.store.Load(countRecord(key, "gone"), &left); revision != 0 {
		t.Error("the count of a machine that is gone, of a day that is over, is still there")
	}
}
