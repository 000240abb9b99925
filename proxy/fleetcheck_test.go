package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore/shared"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// aboutEtcd is what Doctor says of etcd and the machines.
func (s *fleetServer) aboutEtcd(t *testing.T) (c api.Check) {
	t.Helper()
	s.Doctor(t.Context(), func(check api.Check) {
		if check.Name == api.CheckEtcd {
			c = check
		}
	})
	return c
}

// TestDoctorLooksAtTheFleet: versions are named, and what will cause trouble fails: a name used twice, a clock that
// is wrong, another program's records, etcd that is away.
func TestDoctorLooksAtTheFleet(t *testing.T) {
	f := newFleetRig(t, 2, providertest.Options{})
	a := f.servers[0]
	eventually(t, "the machines know each other", func() bool { return len(a.Snapshot().Fleet.Machines) == 2 })
	if c := a.aboutEtcd(t); !c.OK || c.Result.String() != "Works. Machines: m1 test, m2 test" {
		t.Errorf("%+v", c)
	}
	put := func(key string, value []byte) {
		t.Helper()
		r, err := f.engine.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.engine.Swap(t.Context(), key, value, r.Revision); err != nil {
			t.Fatal(err)
		}
	}
	machine := func(i shared.Instance) {
		t.Helper()
		text, err := json.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		put("instance/"+i.Name, text)
	}
	says := func(word string) {
		t.Helper()
		var c api.Check
		eventually(t, fmt.Sprintf("doctor says %q", word), func() bool {
			c = a.aboutEtcd(t)
			return strings.Contains(c.Line(), word)
		})
		if c.OK != (c.Problem == nil) || c.Problem != nil && c.Problem.Cure.IsZero() {
			t.Errorf("%+v", c)
		}
	}
	machine(shared.Instance{Name: "m3", Process: "x", Version: "newer", Now: time.Now()})
	says("Not all machines have the same version: m1 test, m2 test, m3 newer")
	machine(shared.Instance{Name: "m3", Process: "x", Version: "test", Now: time.Now().Add(-time.Minute)})
	says("clocks of m3 and of this machine are 60 s apart")
	put("instance/m3", nil)
	put("config\n/of-another-program", []byte("x"))
	says(`"config\n/of-another-program"`)
	put("config\n/of-another-program", nil)
	machine(shared.Instance{Name: "m1", Process: "x", Version: "test", Started: time.Now().Add(time.Hour)})
	says("nother machine has the same name: m1")
	f.engine.Fail(errors.New("no route to host"))
	if c := a.aboutEtcd(t); c.OK {
		t.Errorf("while it is away: %+v", c)
	}
	f.engine.Fail(nil)
}

// TestNoEtcdNoCheck: whoever is alone has no such check.
func TestNoEtcdNoCheck(t *testing.T) {
	r := newRig(t, rigOptions{idle: true})
	r.server.Doctor(context.Background(), func(c api.Check) {
		if c.Name == api.CheckEtcd {
			t.Errorf("%+v", c)
		}
	})
}
