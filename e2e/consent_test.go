//go:build e2e

package e2e

import (
	"cmp"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// Each case is one way in which a sign-in can go, from the command to what the user sees in the
// browser and in the terminal.
func TestConsent(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]func(*testing.T){
		"granted":                       granted,
		"user known from userinfo":      userinfo,
		"declined":                      declined,
		"browser closed, then Ctrl-C":   aborted,
		"another user":                  anotherUser,
		"two at once":                   twoAtOnce,
		"a code that has expired":       expiredCode,
		"requests from strangers":       strangers,
		"a page of another site":        anotherSite,
		"a callback that is repeated":   replayed,
		"sign in again":                 again,
		"no browser opens, URL printed": printed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			way(t)
		})
	}
}

func granted(t *testing.T) {
	const ann = "ann@mail.test"
	d := newDesk(t)
	s := d.signIn("account", "add", ann)
	for name, want := range map[string]string{"code_challenge_method": "S256", "login_hint": ann, "response_type": "code"} {
		if got := s.query.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	p := newPerson(t)
	p.open(s.page)
	p.approve(ann)
	p.reads("Signed in")
	p.reads("Waxseal can now send mail for " + ann)
	p.photograph("granted")
	s.ends(t, nil, 0)
	s.mustSay(t, `^ok .* Sign-in: Approved`)
	s.mustSay(t, `^ok .* Mail server sign-in: localhost:\d+ accepts the access token`)
	s.mustSay(t, `^ann@mail\.test is ready\.`)
	s.mustSay(t, `^password +[a-z2-7]{4}(-[a-z2-7]{4}){6}$`)

	header := func(name string) string { v, _ := p.last.Headers[name].(string); return v }
	if policy := header("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("the page's policy is %q", policy)
	}
	if header("Cache-Control") != "no-store" || header("Referrer-Policy") != "no-referrer" {
		t.Errorf("the page's headers are %v", p.last.Headers)
	}
	if peers.provider.did(askedFor(ann)) {
		t.Error("Waxseal called the userinfo endpoint although the ID token names the user")
	}
	if got := peers.provider.active(t, peers.provider.last(t, ann).Access); got != ann {
		t.Errorf("the token is valid for %q", got)
	}
}

func userinfo(t *testing.T) {
	const una = "una@userinfo.test"
	d := newDesk(t)
	d.add(una)
	peers.provider.when(t, "get a request for the user", askedFor(una))

	s := d.signIn("account", "add", "ugo@userinfo.test")
	p := newPerson(t)
	p.open(s.page)
	p.approve(una)
	p.reads("Somebody else signed in")
	s.ends(t, nil, 1)
}

// askedFor matches the request at the userinfo endpoint for an account's token.
func askedFor(account string) func(event) bool {
	return func(e event) bool {
		return e.Event == "request" && e.Path == "/me" && e.Status == http.StatusOK && e.Account == account
	}
}

func declined(t *testing.T) {
	d := newDesk(t)
	s := d.signIn("account", "add", "dan@mail.test")
	p := newPerson(t)
	p.open(s.page)
	p.deny()
	p.reads("Declined")
	p.reads("Nothing was changed")
	p.photograph("declined")
	s.ends(t, nil, 1)
	s.mustSay(t, `^waxseal: not signed in: the sign-in was declined`)
	d.hasNoAccount()
}

func aborted(t *testing.T) {
	d := newDesk(t)
	s := d.signIn("account", "add", "abe@mail.test")
	p := newPerson(t)
	p.open(s.page)
	p.leaves()
	s.ends(t, syscall.SIGINT, 1)
	s.mustSay(t, `^waxseal: interrupted$`)
	d.hasNoAccount()
	if resp, err := http.Get(s.callback.String()); err == nil {
		resp.Body.Close()
		t.Errorf("the callback still responds: %s", resp.Status)
	}
}

func anotherUser(t *testing.T) {
	const wanted, came = "wes@mail.test", "eve@mail.test"
	d := newDesk(t)
	s := d.signIn("account", "add", wanted)
	p := newPerson(t)
	p.open(s.page)
	p.approve(came)
	p.reads("Somebody else signed in")
	p.reads("You signed in as " + came + ", but Waxseal waits for " + wanted)
	p.photograph("another")
	s.ends(t, nil, 1)
	s.mustSay(t, `^waxseal: you signed in as eve@mail\.test, but this account is wes@mail\.test`)
	d.hasNoAccount()
	d.waxseal(1, "account", "password", wanted)
}

// The second account's user approves first. Each approval must reach its own account, whatever the
// order.
func twoAtOnce(t *testing.T) {
	const one, two = "tom@mail.test", "tim@tls.test"
	d := newDesk(t)
	d.serve()
	first := d.signIn("account", "add", one)
	second := d.signIn("account", "add", two)
	if first.callback.Host == second.callback.Host || first.query.Get("state") == second.query.Get("state") {
		t.Fatal("two sign-ins share a port or a state")
	}
	p, q := newPerson(t), newPerson(t)
	p.open(first.page)
	q.open(second.page)
	q.approve(two)
	q.reads("Waxseal can now send mail for " + two)
	second.ends(t, nil, 0)
	p.approve(one)
	p.reads("Waxseal can now send mail for " + one)
	first.ends(t, nil, 0)
	for _, address := range []string{one, two} {
		d.send(address, starttls, "both-"+address[:3])
		got := peers.sink.received(t, "both-"+address[:3]+"@else.test")
		if got.from != address {
			t.Errorf("the message from %s came from %s", address, got.from)
		}
		if n := len(peers.provider.grants(address)); n != 1 {
			t.Errorf("%s has %d grants, want one", address, n)
		}
	}
	d.stop()
}

func expiredCode(t *testing.T) {
	d := newDesk(t)
	s := d.signIn("account", "add", "hal@hasty.test")
	p := newPerson(t)
	p.open(s.page)
	p.holdBefore(s.callback.String(), "hal@hasty.test", func() {
		peers.provider.when(t, "let a code expire", func(e event) bool { return e.Event == "expired" && e.Account == "hal@hasty.test" })
	})
	p.reads("Not signed in")
	p.reads("it may have taken too long")
	p.photograph("expired")
	s.ends(t, nil, 1)
	s.mustSay(t, `no longer accepts the approval; it may have taken too long`)
	d.hasNoAccount()
	peers.provider.when(t, "refuse the code", func(e event) bool {
		return e.Event == "refusal" && e.Client == "hasty" && e.Type == "authorization_code" && e.Error == "invalid_grant"
	})
}

// Requests that did not come from the provider neither end the sign-in nor learn anything.
func strangers(t *testing.T) {
	const sue = "sue@mail.test"
	d := newDesk(t)
	s := d.signIn("account", "add", sue)
	right := s.callback.String() + "?code=stolen&state=" + s.query.Get("state")
	for _, try := range []struct {
		what, method, url, host string
		status                  int
	}{
		{"wrong state", "GET", s.callback.String() + "?code=stolen&state=guessed", "", http.StatusBadRequest},
		{"no state", "GET", s.callback.String() + "?code=stolen", "", http.StatusBadRequest},
		{"wrong path", "GET", strings.Replace(right, "/callback", "/", 1), "", http.StatusNotFound},
		{"wrong method", "POST", right, "", http.StatusMethodNotAllowed},
		{"another name for this machine", "GET", right, "rebound.example:" + s.callback.Port(), http.StatusNotFound},
	} {
		if got := ask(t, try.method, try.url, try.host); got != try.status {
			t.Errorf("%s: %d, want %d", try.what, got, try.status)
		}
	}
	p := newPerson(t)
	p.open(s.page)
	p.approve(sue)
	p.reads("Signed in")
	s.ends(t, nil, 0)
}

// ask makes a request, with another host name unless that is empty.
func ask(t *testing.T, method, address, host string) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = cmp.Or(host, req.Host)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// A page of another site can make the browser call the callback, but it can neither guess the state
// nor read or frame the response.
func anotherSite(t *testing.T) {
	const oda = "oda@mail.test"
	d := newDesk(t)
	s := d.signIn("account", "add", oda)
	guess := s.callback.String() + "?code=injected&state=guessed"
	evil := serveHTML(t, `<title>evil</title><img src="`+guess+`"><iframe id="f" src="`+guess+`"></iframe>
<form method="post" action="`+guess+`" target="f"></form>`)
	p := newPerson(t)
	p.open(evil)
	read := `fetch("` + guess + `").then(r => r.text()).then(t => "read " + t, e => "refused")`
	if got := run(p, "fetch across sites", chromedp.Evaluate[string](read, chromedp.EvalAwaitPromise)); got != "refused" {
		t.Errorf("another site's script %s", got)
	}
	// Anybody may link to the callback, so it responds, but with an empty page.
	p.open(guess)
	if p.last.Status != http.StatusBadRequest {
		t.Errorf("another site's link gets status %d", p.last.Status)
	}
	p.reads("Nothing here")
	p.photograph("strange")
	p.open(s.page)
	p.approve(oda)
	p.reads("Signed in")
	s.ends(t, nil, 0)
}

func replayed(t *testing.T) {
	const ray = "ray@mail.test"
	d := newDesk(t)
	s := d.signIn("account", "add", ray)
	p := newPerson(t)
	p.open(s.page)
	p.approve(ray)
	// Neither code nor state stays in the address bar.
	if at := run(p, "look where it is", chromedp.Location()); !strings.HasPrefix(at, "http://"+s.callback.Host+"/") || strings.Contains(at, "?") {
		t.Fatalf("the browser is at %s", at)
	}
	s.ends(t, nil, 0)
	if resp, err := http.Get(s.callback.String() + "?code=again&state=" + s.query.Get("state")); err == nil {
		resp.Body.Close()
		t.Errorf("a second request to the callback gets a response: %s", resp.Status)
	}
	if n := len(peers.provider.grants(ray)); n != 1 {
		t.Errorf("the provider granted %d times, want once", n)
	}
	d.waxseal(0, "doctor")
}

func again(t *testing.T) {
	const ian = "ian@mail.test"
	d := newDesk(t)
	d.add(ian)
	before := peers.provider.last(t, ian)
	s := d.signIn("account", "reauthorize", ian)
	p := newPerson(t)
	p.open(s.page)
	p.approve(ian)
	p.reads("Signed in")
	s.ends(t, nil, 0)
	s.mustSay(t, `^ian@mail\.test is ready$`)
	if peers.provider.last(t, ian).Refresh == before.Refresh {
		t.Error("nothing new was granted")
	}
	d.waxseal(0, "doctor")
}

func printed(t *testing.T) {
	const pia = "pia@mail.test"
	d := newDesk(t)
	s := d.start("account", "add", pia, "--no-browser")
	page, err := s.says(`^  (http\S+)$`)
	if err != nil {
		t.Fatal(err)
	}
	p := newPerson(t)
	p.open(page[1])
	p.approve(pia)
	p.reads("Signed in")
	s.ends(t, nil, 0)
}
