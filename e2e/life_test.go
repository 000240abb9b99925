//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// What happens to a consent during its life: rotated, revoked by the user, revoked at removal.
func TestConsentLife(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]func(*testing.T){
		"twenty rotations while serving":             rotations,
		"twenty rotations, each in a new process":    rotationsApart,
		"a stolen refresh token is used":             stolen,
		"revoked at the provider, then given again":  takenBack,
		"an access token that expires early":         refusedToken,
		"revoked when the account is removed":        givenBack,
		"a restart between the consent and the mail": restart,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part(t)
		})
	}
}

// unbroken checks that each refresh token except the last was used once, and that none was used after
// it had been replaced.
func unbroken(t *testing.T, grants []event) {
	t.Helper()
	for i := 1; i < len(grants); i++ {
		if grants[i].Spent != grants[i-1].Refresh || grants[i].Refresh == grants[i-1].Refresh {
			t.Errorf("refresh %d did not use the latest token, or got no new one", i)
		}
	}
}

// Access tokens live for two seconds here, so the test sends until enough of them had to be replaced.
func rotations(t *testing.T) {
	const rob = "rob@short.test"
	d := newDesk(t)
	d.add(rob)
	d.serve()
	n := 0
	for ; len(peers.provider.grants(rob)) <= 20; n++ {
		d.send(rob, starttls, "rotate")
	}
	d.stop()
	unbroken(t, peers.provider.grants(rob))
	if got := peers.sink.count("rotate@else.test"); got != n {
		t.Errorf("%d messages arrived, but %d were sent", got, n)
	}
	t.Logf("%d messages over %d refreshes", n, len(peers.provider.grants(rob))-1)
	d.serve() // with nothing but the keychain
	d.send(rob, starttls, "rotate-after")
	d.stop()
}

func rotationsApart(t *testing.T) {
	const rex = "rex@mail.test"
	d := newDesk(t)
	d.add(rex)
	for i := range 20 {
		to := fmt.Sprintf("apart-%d", i)
		d.waxseal(0, "send-test", rex, "--to", to+"@else.test")
		peers.sink.received(t, to+"@else.test")
	}
	all := peers.provider.grants(rex)
	if len(all) != 21 {
		t.Errorf("%d grants, want 21", len(all))
	}
	unbroken(t, all)
}

// The provider treats a refresh token that is used twice as stolen and ends the consent. The mail
// program is told what to do.
func stolen(t *testing.T) {
	const sam = "sam@mail.test"
	d := newDesk(t)
	d.add(sam)
	first := peers.provider.last(t, sam)
	d.waxseal(0, "doctor") // rotates it
	if status, code := peers.provider.refresh(t, first, first.Refresh); status != http.StatusBadRequest || code != "invalid_grant" {
		t.Fatalf("the replay gets %d %s", status, code)
	}
	d.serve()
	if said := d.fail(sam, starttls, "stolen", 535); !strings.Contains(said, "account reauthorize "+sam) {
		t.Errorf("the mail program gets\n%s", said)
	}
	d.stop()
}

func takenBack(t *testing.T) {
	const kim = "kim@mail.test"
	d := newDesk(t)
	d.add(kim)
	d.serve()
	d.send(kim, starttls, "kim-before")
	grant := peers.provider.last(t, kim)
	peers.provider.revoke(t, grant, grant.Refresh)
	if peers.provider.active(t, grant.Access) != "" {
		t.Fatal("the access token is still valid after the consent has ended")
	}
	// The connection to the mail server is still logged in, and Dovecot keeps it so. Without it, a new
	// login is refused: Waxseal notices in the middle of a message, and from then on refuses at AUTH.
	peers.both.kick(t, kim)
	d.fail(kim, starttls, "kim-noticing", 550)
	said := d.fail(kim, starttls, "kim-during", 535)
	if !strings.Contains(said, "account reauthorize "+kim) {
		t.Errorf("the mail program gets\n%s", said)
	}
	if list := d.waxseal(0, "account", "list"); !strings.Contains(list, "needs_consent") || !strings.Contains(list, "sign in again") {
		t.Errorf("account list:\n%s", list)
	}
	if checks := d.waxseal(1, "doctor"); !strings.Contains(checks, "account reauthorize "+kim) {
		t.Errorf("doctor:\n%s", checks)
	}

	s := d.signIn("account", "reauthorize", kim)
	p := newPerson(t)
	p.open(s.page)
	p.approve(kim)
	p.reads("Signed in")
	s.ends(t, nil, 0)
	d.send(kim, starttls, "kim-after")
	d.waxseal(0, "doctor")
	d.stop()
}

// The mail server's 334 says that a token is bad. The account gets a new one, and its user does not
// notice.
func refusedToken(t *testing.T) {
	const pat = "pat@mail.test"
	d := newDesk(t)
	d.add(pat)
	d.serve()
	d.send(pat, starttls, "pat-before")
	grant := peers.provider.last(t, pat)
	peers.provider.end(t, grant.Access)
	peers.both.kick(t, pat)
	d.send(pat, starttls, "pat-after")
	if now := peers.provider.last(t, pat); now.Access == grant.Access || now.Spent != grant.Refresh {
		t.Error("Waxseal did not get a new access token")
	}
	if _, err := d.serving.says(`the provider refused the token, refreshing it.*535`); err != nil {
		t.Error(err)
	}
	d.stop()
}

func givenBack(t *testing.T) {
	const gus = "gus@mail.test"
	d := newDesk(t)
	d.add(gus)
	grant := peers.provider.last(t, gus)
	if peers.provider.active(t, grant.Access) != gus {
		t.Fatal("the token is not valid before the removal")
	}
	d.waxseal(0, "account", "remove", gus)
	for name, token := range map[string]string{"refresh": grant.Refresh, "access": grant.Access} {
		if who := peers.provider.active(t, token); who != "" {
			t.Errorf("the %s token is still valid for %s", name, who)
		}
	}
	d.hasNoAccount()
	d.waxseal(1, "account", "password", gus)
}

func restart(t *testing.T) {
	const max = "max@mail.test"
	d := newDesk(t)
	d.serve()
	d.add(max)
	d.stop()
	d.serve()
	d.send(max, implicit, "max-after")
	d.stop()
}
