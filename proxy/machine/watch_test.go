package machine

import (
	"errors"
	"net"
	"testing"
	"time"
)

func TestLook(t *testing.T) {
	home := addresses("127.0.0.1/8", "192.168.1.5/24", "fe80::1/64")
	for name, tc := range map[string]struct {
		after time.Duration // between two looks, by the wall clock
		addrs []net.Addr
		err   error
		want  string
	}{
		"nothing":                      {after: LookEvery, addrs: home},
		"a busy machine":               {after: LookEvery + sleptFor, addrs: home},
		"a sleep":                      {after: time.Hour, addrs: home, want: "the machine slept, or its clock was set, for 59m57s"},
		"a clock set back":             {after: LookEvery - time.Hour, addrs: home, want: "the machine's clock was set back by 1h0m0s"},
		"a clock set back and a sleep": {after: 10*time.Minute - time.Hour, addrs: home, want: "the machine's clock was set back by 50m3s"},
		"a clock set right":            {after: LookEvery - sleptFor, addrs: home},
		"another network":              {after: LookEvery, addrs: addresses("127.0.0.1/8", "10.0.0.7/8"), want: "the machine's network changed"},
		"no network":                   {after: LookEvery, addrs: addresses("127.0.0.1/8"), want: "the machine's network changed"},
		"another order":                {after: LookEvery, addrs: []net.Addr{home[2], home[1], home[0]}},
		"a container":                  {after: LookEvery, addrs: append(addresses("fe80::2/64"), home...)},
		"addresses not readable":       {after: LookEvery, err: errors.New("no")},
		"a sleep and a network":        {after: time.Hour, addrs: addresses("10.0.0.7/8"), want: "the machine slept, or its clock was set, for 59m57s"},
	} {
		now, addrs, err := time.Now(), home, error(nil)
		w := &Watch{Now: func() time.Time { return now }, Addresses: func() ([]net.Addr, error) { return addrs, err }}
		if why := w.Look(); why != "" {
			t.Errorf("%s: the first look says %q", name, why)
		}
		now, addrs, err = now.Add(tc.after), tc.addrs, tc.err
		if why := w.Look(); why != tc.want {
			t.Errorf("%s: %q, want %q", name, why, tc.want)
		}
		now, addrs, err = now.Add(LookEvery), home, nil
		w.Look()
		now = now.Add(LookEvery)
		if why := w.Look(); why != "" {
			t.Errorf("%s: reported again: %q", name, why)
		}
	}
}
