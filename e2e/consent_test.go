//go:build e2e

package e2e

import (
	"testing"
)

func TestConsent(t *testing.T) {
	t.Run("granted", granted)
}

func granted(t *testing.T) {
	d := newDesk(t)
	s := d.signIn("account", "add", "ann@mail.test")
	p := newPerson(t)
	p.open(s.page)
	p.approve("ann@mail.test")
	t.Log(p.text(), p.last.Headers)
	p.photograph("granted")
	s.ends(t, nil, 0)
	t.Log(s.said())
	t.Log(d.waxseal(0, "account", "list"))
	t.Log(d.waxseal(0, "doctor"))
	t.Log(d.waxseal(0, "send-test", "ann@mail.test", "--to", "x@else.test"))
	t.Logf("%q", peers.sink.received(t, "x@else.test"))
}
