//go:build e2e

package e2e

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// Sign-in by a code that the user enters in a browser elsewhere (RFC 8628).
func TestDevice(t *testing.T) {
	t.Parallel()
	t.Run("approved", func(t *testing.T) {
		t.Parallel()
		const amy = "amy@mail.test"
		d := newDesk(t)
		s, p := d.deviceSignIn(amy)
		p.approve(amy)
		s.ends(t, nil, 0)
		if _, err := s.says(`^amy@mail\.test is ready\.`); err != nil {
			t.Error(err)
		}
		d.waxseal(0, "doctor")
	})
	t.Run("another user", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		s, p := d.deviceSignIn("ava@mail.test")
		p.approve("eva@mail.test")
		s.ends(t, nil, 1)
		if _, err := s.says(`you signed in as eva@mail\.test, but this account is ava@mail\.test`); err != nil {
			t.Error(err)
		}
		d.hasNoAccount()
	})
	t.Run("declined", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		s, p := d.deviceSignIn("ned@mail.test")
		p.deny()
		s.ends(t, nil, 1)
		if _, err := s.says(`the sign-in was declined`); err != nil {
			t.Error(err)
		}
		d.hasNoAccount()
	})
	t.Run("expired", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		s := d.start("account", "add", "hob@hasty.test", "--device")
		s.ends(t, nil, 1)
		if _, err := s.says(`nobody entered the code before it expired`); err != nil {
			t.Error(err)
		}
		d.hasNoAccount()
	})
}

// deviceSignIn starts to add an account by code. When it returns, the user has entered the code.
func (d *desk) deviceSignIn(address string) (*process, *person) {
	d.t.Helper()
	s := d.start("account", "add", address, "--device")
	shown, err := s.says(`open\n\n +(\S+)\n\nand enter the code\n\n +\+-+\+\n +\| +\|\n +\| +(\S+) +\|\n`)
	if err != nil {
		d.t.Fatal(err)
	}
	p := newPerson(d.t)
	p.open(shown[1])
	run(p, "enter the code", chromedp.SendKeys(chromedp.CSS("input[name=user_code]"), shown[2]))
	p.press(goOn)
	return s, p
}
