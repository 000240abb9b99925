package keystore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const partsKey = "refresh/me@example.org"

// A stop after any number of changes leaves the old value or the new one, and the
// new one once the call has answered nil. The next call works, and after a Delete
// nothing is left, whatever the stop left.
func TestStopAtEveryStep(t *testing.T) {
	values := []string{"", "short", noise(17), noise(40), noise(100), headPrefix + "x"}
	for _, first := range values {
		for _, second := range values {
			for steps := 0; ; steps++ {
				d := newDrawer()
				p := parts{items: d, limit: 16}
				if err := p.set(t.Context(), partsKey, first); err != nil {
					t.Fatal(err)
				}
				d.steps = steps
				err := p.set(t.Context(), partsKey, second)
				checkStopped(t, d, err, first, second)
				if err == nil && d.steps > 0 {
					break // it was never stopped
				}
			}
		}
	}
}

func checkStopped(t *testing.T, d *drawer, err error, first, second string) {
	t.Helper()
	kept := d.after()
	p := parts{items: kept, limit: 16}
	got, getErr := p.get(t.Context(), partsKey)
	if getErr != nil || got != second && (err == nil || got != first) {
		t.Fatalf("%d to %d bytes, stopped with %v: got %d bytes, %v", len(first), len(second), err, len(got), getErr)
	}
	third := noise(33)
	if err := p.set(t.Context(), partsKey, third); err != nil {
		t.Fatal(err)
	}
	if got, err := p.get(t.Context(), partsKey); got != third {
		t.Fatalf("%d to %d bytes, next value: %v", len(first), len(second), err)
	}
	for _, p := range []parts{p, {items: d.after(), limit: 16}} {
		if err := p.delete(t.Context(), partsKey); err != nil {
			t.Fatal(err)
		}
		if left := p.items.(*drawer).kept; len(left) != 0 {
			t.Fatalf("%d to %d bytes: Delete left %d items", len(first), len(second), len(left))
		}
	}
}

func TestStoppedDelete(t *testing.T) {
	stopped := true
	for steps := 0; stopped; steps++ {
		d := newDrawer()
		p := parts{items: d, limit: 16}
		if err := p.set(t.Context(), partsKey, noise(100)); err != nil {
			t.Fatal(err)
		}
		d.steps = steps
		stopped = p.delete(t.Context(), partsKey) != nil
		p.items = d.after()
		if _, err := p.get(t.Context(), partsKey); !errors.Is(err, ErrNotFound) && (err != nil || steps > 0) {
			t.Errorf("stopped after %d changes, read: %v", steps, err)
		}
		if err := p.delete(t.Context(), partsKey); err != nil || len(p.items.(*drawer).kept) != 0 {
			t.Errorf("stopped after %d changes, again: %v, %d items left", steps, err, len(p.items.(*drawer).kept))
		}
	}
}

// Values that replace each other leave no items.
func TestNoPartsPileUp(t *testing.T) {
	d := newDrawer()
	p := parts{items: d, limit: 16}
	for n := range 200 {
		if err := p.set(t.Context(), partsKey, noise(n*7%150)); err != nil {
			t.Fatal(err)
		}
		size := n * 7 % 150
		want := 1
		if size > 16 {
			want += (size + 15) / 16
		}
		if len(d.kept) != want {
			t.Fatalf("%d bytes in %d items, want %d", size, len(d.kept), want)
		}
	}
}

func TestNoItemIsOverTheLimit(t *testing.T) {
	d := newDrawer()
	p := parts{items: d, limit: itemLimit("windows")}
	if err := p.set(t.Context(), partsKey, noise(maxSecret)); err != nil {
		t.Fatal(err)
	}
	for key, value := range d.kept {
		if len(value) > 2560 {
			t.Errorf("%s: %d bytes", key, len(value))
		}
	}
	// The command line for macOS's security program, as go-keyring builds it.
	long := partPrefix + "a9999/" + strings.Repeat("k", maxKey)
	line := fmt.Sprintf("add-generic-password -U -s 'waxseal' -a '%s' -w 'go-keyring-base64:%s'\n",
		long, strings.Repeat("x", (itemLimit("darwin")+2)/3*4))
	if len(line) > 4096 {
		t.Errorf("a command line of %d bytes on macOS", len(line))
	}
}

func TestDamagedParts(t *testing.T) {
	damage := map[string]func(d *drawer){
		"a part is gone":     func(d *drawer) { delete(d.kept, partKey(partsKey, "a", 1)) },
		"a part is another":  func(d *drawer) { d.kept[partKey(partsKey, "a", 1)] = "?" },
		"the head is broken": func(d *drawer) { d.kept[partsKey] = headPrefix + "a:-1:00" },
	}
	for name, do := range damage {
		d := newDrawer()
		p := parts{items: d, limit: 16}
		if err := p.set(t.Context(), partsKey, noise(100)); err != nil {
			t.Fatal(err)
		}
		do(d)
		if got, err := p.get(t.Context(), partsKey); !errors.Is(err, ErrDamaged) || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if err := p.set(t.Context(), partsKey, "new"); err != nil {
			t.Errorf("%s: storing it again: %v", name, err)
		}
		if got, err := p.get(t.Context(), partsKey); got != "new" {
			t.Errorf("%s: stored again: %q, %v", name, got, err)
		}
	}
}

// If another process replaces a secret after its head has been read, it is read
// again, and the new one is found.
func TestReplacedWhileRead(t *testing.T) {
	d := newDrawer()
	p := parts{items: d, limit: 16}
	if err := p.set(t.Context(), partsKey, noise(100)); err != nil {
		t.Fatal(err)
	}
	other := d.after()
	if err := (parts{items: other, limit: 16}).set(t.Context(), partsKey, noise(90)); err != nil {
		t.Fatal(err)
	}
	d.onGet = func(key string) {
		if strings.HasPrefix(key, partPrefix) {
			d.kept, d.onGet = other.kept, nil
		}
	}
	if got, err := p.get(t.Context(), partsKey); err != nil || got != noise(90) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// macOS's security program may report success for a secret that it did not store.
func TestReadBack(t *testing.T) {
	for _, size := range []int{5, 100} {
		d := newDrawer()
		d.forget = true
		s := newSystem(d, 16, true)
		if err := s.Set(t.Context(), partsKey, noise(size)); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%d bytes that were not stored: %v", size, err)
		}
	}
}

func TestParseHead(t *testing.T) {
	digest := strings.Repeat("0f", 32)
	for value, ok := range map[string]bool{
		headPrefix + "a:1:" + digest:           true,
		headPrefix + "b:4096:" + digest:        true,
		headPrefix + "c:1:" + digest:           false,
		headPrefix + "a:0:" + digest:           false,
		headPrefix + "a:4097:" + digest:        false,
		headPrefix + "a:01:" + digest:          false,
		headPrefix + "a:+1:" + digest:          false,
		headPrefix + "a:1:" + digest[1:]:       false,
		headPrefix + "a:1:" + digest + ":":     false,
		headPrefix + "a:1":                     false,
		"waxseal-split:2:a:1:" + digest:        false,
		"1//0eXAMPLE-refresh_token.with~signs": false,
		"":                                     false,
	} {
		h, got := parseHead(value)
		if got != ok || ok && h.String() != value {
			t.Errorf("%q: %+v, %v", value, h, got)
		}
	}
}

func FuzzParseHead(f *testing.F) {
	f.Add(headPrefix + "a:3:" + strings.Repeat("0f", 32))
	f.Add(headPrefix + "b:99999999999999999999:")
	f.Fuzz(func(t *testing.T, value string) {
		if h, ok := parseHead(value); ok && (h.String() != value || h.count < 1 || h.count > maxParts) {
			t.Errorf("%q read as %+v", value, h)
		}
	})
}
