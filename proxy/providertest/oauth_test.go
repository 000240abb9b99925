package providertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B

// program is the loopback listener of a program that is waiting for its user's consent.
func program(t *testing.T) (redirect string, callback chan url.Values) {
	callback = make(chan url.Values, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { callback <- r.URL.Query() }))
	t.Cleanup(s.Close)
	return s.URL + "/callback?keep=1", callback
}

func request(redirect string) url.Values {
	return url.Values{"client_id": {"c"}, "redirect_uri": {redirect}, "response_type": {"code"}, "state": {"a&b=c"},
		"scope": {"mail offline"}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"}, "login_hint": {me}}
}

func exchange(redirect, code, verifier string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "client_id": {"c"}, "code_verifier": {verifier}}
}

// TestConsent goes from the consent page to a token that the SMTP server accepts, and then replays
// the code.
func TestConsent(t *testing.T) {
	if challengeOf(verifier) != "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" {
		t.Fatal("S256 is not RFC 7636's")
	}
	p := start(t, Options{Accounts: []string{"Me@Corp.test"}})
	redirect, callback := program(t)
	back, err := p.Approve(p.AuthURL()+"?"+request(redirect).Encode(), me)
	if err != nil {
		t.Fatal(err)
	}
	q := <-callback
	if !strings.HasPrefix(back, redirect[:len(redirect)-len("?keep=1")]) || q.Get("keep") != "1" || q.Get("state") != "a&b=c" || q.Get("code") == "" {
		t.Fatalf("callback %v", q)
	}
	for _, wrong := range []url.Values{
		exchange(redirect, q.Get("code"), strings.Repeat("x", 43)), exchange(redirect+"x", q.Get("code"), verifier), exchange(redirect, "x", verifier),
	} {
		if status, got := p.post(t, wrong); status != 400 || got["error"] != "invalid_grant" {
			t.Errorf("%v: %d %v", wrong, status, got)
		}
	}
	status, got := p.post(t, exchange(redirect, q.Get("code"), verifier))
	if status != 200 || got["token_type"] != "Bearer" || got["expires_in"] != 3600.0 || got["scope"] != "mail offline" || got["refresh_token"] == nil {
		t.Fatalf("%d %v", status, got)
	}
	if len(got["access_token"].(string)) != 120 {
		t.Errorf("access token of %d characters", len(got["access_token"].(string)))
	}
	if g := p.grants.owner(got["access_token"].(string)); g == nil || g.account != me {
		t.Errorf("token belongs to %+v", g)
	}
	if status, _ := p.post(t, exchange(redirect, q.Get("code"), verifier)); status != 400 {
		t.Errorf("replay: %d", status)
	}
	if p.grants.owner(got["access_token"].(string)) != nil {
		t.Error("the replay must revoke what the code gave")
	}
	if n := p.Counts(); n.Authorizations != 1 || n.Exchanges != 1 {
		t.Errorf("counts %+v", n)
	}
}

// TestConsentRefused lists the ways to get no code. The program learns of it, or only the user if
// the program cannot be trusted.
func TestConsentRefused(t *testing.T) {
	p := start(t, Options{Accounts: []string{me}, ClientID: "c"})
	redirect, callback := program(t)
	toProgram := []struct {
		change func(url.Values)
		want   string
	}{
		{func(q url.Values) { q.Del("code_challenge") }, "invalid_request"},
		{func(q url.Values) { q.Set("code_challenge_method", "plain") }, "invalid_request"},
		{func(q url.Values) { q.Set("response_type", "token") }, "unsupported_response_type"},
		{func(q url.Values) { q.Add("scope", "x") }, "invalid_request"},
	}
	for _, tt := range toProgram {
		q := request(redirect)
		tt.change(q)
		if _, err := p.Approve(p.AuthURL()+"?"+q.Encode(), me); err != nil {
			t.Error(err)
		}
		if got := <-callback; got.Get("error") != tt.want || got.Get("state") != "a&b=c" || got.Has("code") {
			t.Errorf("callback %v, want %s", got, tt.want)
		}
	}
	if _, err := p.Deny(p.AuthURL() + "?" + request(redirect).Encode()); err != nil {
		t.Error(err)
	}
	if got := <-callback; got.Get("error") != "access_denied" || got.Get("state") != "a&b=c" {
		t.Errorf("callback %v", got)
	}
	for _, bad := range []string{"https://127.0.0.1/", "http://evil.test/", "http://127.0.0.1.evil.test/", "http://a@127.0.0.1/", "http://127.0.0.1/#x", ""} {
		q := request(bad)
		if _, err := p.Approve(p.AuthURL()+"?"+q.Encode(), me); err == nil || !strings.Contains(err.Error(), "redirect_uri_mismatch") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	q := request(redirect)
	q.Set("client_id", "other")
	if _, err := p.Approve(p.AuthURL()+"?"+q.Encode(), me); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("other client: %v", err)
	}
	if _, err := p.Approve(p.AuthURL()+"?"+request(redirect).Encode(), "you@corp.test"); err == nil || !strings.Contains(err.Error(), "no account") {
		t.Errorf("unknown user: %v", err)
	}
	if len(callback) != 0 || p.Counts().Authorizations != 0 {
		t.Error("a consent was counted")
	}
}

// TestAuto consents without a page, for programs under test that open the address by themselves.
func TestAuto(t *testing.T) {
	p := start(t, Options{})
	redirect, callback := program(t)
	q := request(redirect)
	q.Set("auto", "1")
	resp, err := http.Get(p.AuthURL() + "?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if got := <-callback; got.Get("code") == "" {
		t.Errorf("callback %v", got)
	}
}

// TestPage shows that the page treats what a program sends as text, not as markup.
func TestPage(t *testing.T) {
	p := start(t, Options{})
	q := request("http://localhost:1/")
	q.Set("login_hint", `"><script>`)
	q.Set("client_id", `<b>`)
	resp, err := plain().Get(p.AuthURL() + "?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 8<<10)
	n, _ := resp.Body.Read(body)
	resp.Body.Close()
	if page := string(body[:n]); strings.Contains(page, "<script") || strings.Contains(page, "<b></b>") ||
		!strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%v %s", resp.Header, page)
	}
}

func refresh(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {"c"}}
}

// TestRotation replaces refresh tokens, and revokes the whole grant when an old one is used again.
func TestRotation(t *testing.T) {
	p := start(t, Options{Rotate: true})
	first := p.Grant(me)
	_, got := p.post(t, refresh(first))
	second, access := got["refresh_token"].(string), got["access_token"].(string)
	if second == first {
		t.Error("not rotated")
	}
	_, got = p.post(t, refresh(second))
	third := got["refresh_token"].(string)
	if status, got := p.post(t, refresh(first)); status != 400 || got["error"] != "invalid_grant" {
		t.Errorf("replay: %d %v", status, got)
	}
	if status, _ := p.post(t, refresh(third)); status != 400 {
		t.Error("the newest token must be revoked too")
	}
	if p.grants.owner(access) != nil {
		t.Error("access tokens must be revoked too")
	}
	if n := p.Counts().Replays; n != 1 {
		t.Errorf("%d replays, want 1", n)
	}
}

// TestNoRotation keeps one refresh token for ever and does not repeat it in responses.
func TestNoRotation(t *testing.T) {
	p := start(t, Options{})
	token := p.Grant(me)
	for range 2 {
		if status, got := p.post(t, refresh(token)); status != 200 || got["refresh_token"] != nil {
			t.Errorf("%d %v", status, got)
		}
	}
}

// TestEnds lists how tokens become invalid.
func TestEnds(t *testing.T) {
	p := start(t, Options{})
	give := func() (refreshToken, access string) {
		refreshToken = p.Grant(me)
		_, got := p.post(t, refresh(refreshToken))
		return refreshToken, got["access_token"].(string)
	}
	revoke := func(token string) {
		if status, _ := fetch(t, p.RevokeURL(), url.Values{"token": {token}, "client_id": {"c"}}, nil); status != 200 {
			t.Errorf("revoke: %d", status)
		}
	}
	tests := []struct {
		name              string
		end               func(refreshToken, access string)
		refreshes, access bool // what is still valid
	}{
		{"nothing", func(_, _ string) {}, true, true},
		{"revoked by the user", func(_, _ string) { p.Revoke("ME@corp.test") }, false, false},
		{"expired", func(_, _ string) { p.ExpireAccess(me) }, true, false},
		{"another account's", func(_, _ string) { p.Revoke("you@corp.test"); p.ExpireAccess("you@corp.test") }, true, true},
		{"refresh token given back", func(r, _ string) { revoke(r) }, false, false},
		{"access token given back", func(_, a string) { revoke(a) }, false, false},
		{"unknown token given back", func(_, _ string) { revoke("x") }, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, a := give()
			tt.end(r, a)
			if ok := p.grants.owner(a) != nil; ok != tt.access {
				t.Errorf("access token good: %v", ok)
			}
			if status, _ := p.post(t, refresh(r)); (status == 200) != tt.refreshes {
				t.Errorf("refresh: %d", status)
			}
		})
	}
	short := start(t, Options{TokenTTL: time.Nanosecond})
	if _, got := short.post(t, refresh(short.Grant(me))); got["expires_in"] != 1.0 {
		t.Errorf("%v", got)
	} else if short.grants.owner(got["access_token"].(string)) != nil {
		t.Error("a token is valid after it has expired")
	}
}

// TestClients lists how a client must authenticate itself.
func TestClients(t *testing.T) {
	p := start(t, Options{ClientID: "the client", ClientSecret: "s3&ret"})
	basic := func(id, secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
	}
	tests := []struct {
		name   string
		add    url.Values
		change func(*http.Request)
		status int
		want   string
	}{
		{"in the body", url.Values{"client_id": {"the client"}, "client_secret": {"s3&ret"}}, nil, 200, "access_token"},
		{"basic", nil, basic("the client", "s3&ret"), 200, "access_token"},
		{"both", url.Values{"client_secret": {"s3&ret"}}, basic("the client", "s3&ret"), 400, "invalid_request"},
		{"wrong secret", url.Values{"client_id": {"the client"}, "client_secret": {"x"}}, nil, 401, "invalid_client"},
		{"no secret", url.Values{"client_id": {"the client"}}, nil, 401, "invalid_client"},
		{"wrong client", nil, basic("x", "s3&ret"), 401, "invalid_client"},
		{"no client", nil, nil, 400, "invalid_request"},
		{"twice", url.Values{"client_id": {"the client", "the client"}}, nil, 400, "invalid_request"},
		{"JSON", nil, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, 400, "invalid_request"},
		{"in the URL", nil, func(r *http.Request) { r.URL.RawQuery = "client_id=x" }, 400, "invalid_request"},
		{"GET", nil, func(r *http.Request) { r.Method = "GET" }, 405, ""},
		{"unknown grant", url.Values{"grant_type": {"password"}, "client_id": {"the client"}, "client_secret": {"s3&ret"}}, nil, 400, "unsupported_grant_type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			form := refresh(p.Grant(me))
			form.Del("client_id")
			for k, v := range tt.add {
				form[k] = v
			}
			if status, body := fetch(t, p.TokenURL(), form, tt.change); status != tt.status || !strings.Contains(string(body), tt.want) {
				t.Errorf("%d %s, want %d %s", status, body, tt.status, tt.want)
			}
		})
	}
}

// TestDevice walks through RFC 8628: pending, too fast, approved, only once; and denied, unknown.
func TestDevice(t *testing.T) {
	p := start(t, Options{Accounts: []string{me}})
	begin := func() (form url.Values, userCode string) {
		status, body := fetch(t, p.DeviceURL(), url.Values{"client_id": {"c"}, "scope": {"mail"}}, nil)
		text := string(body)
		if status != 200 || !strings.Contains(text, p.URL+"/device") {
			t.Fatalf("%d %s", status, text)
		}
		field := func(name string) string {
			_, rest, _ := strings.Cut(text, fmt.Sprintf("%q:\"", name))
			value, _, _ := strings.Cut(rest, `"`)
			return value
		}
		return url.Values{"grant_type": {deviceGrant}, "device_code": {field("device_code")}, "client_id": {"c"}}, field("user_code")
	}
	ask := func(form url.Values, want string) {
		t.Helper()
		if _, got := p.post(t, form); got["error"] != want && got[want] == nil {
			t.Errorf("%v, want %s", got, want)
		}
	}
	form, code := begin()
	ask(form, "authorization_pending")
	ask(form, "slow_down")
	ready := func() { // as if the device had waited
		p.grants.mu.Lock()
		p.grants.devices[form.Get("device_code")].next = time.Time{}
		p.grants.mu.Unlock()
	}
	if p.ApproveDevice(code, "you@corp.test") == nil || p.ApproveDevice("x", me) == nil {
		t.Error("an unknown code or account was approved")
	}
	status, body := fetch(t, p.URL+"/device", url.Values{"user_code": {strings.ToLower(code)}, "user": {me}, "decision": {"approve"}}, nil)
	if status != 200 {
		t.Errorf("device page: %d %s", status, body)
	}
	ready()
	ask(form, "access_token")
	ask(form, "invalid_grant")

	form, code = begin()
	if err := p.DenyDevice(code); err != nil {
		t.Error(err)
	}
	ask(form, "access_denied")

	form, _ = begin()
	p.grants.mu.Lock()
	p.grants.devices[form.Get("device_code")].expires = time.Now().Add(-time.Second)
	p.grants.mu.Unlock()
	ask(form, "expired_token")
}

// refresh asks for an access token.
func (p *Provider) refresh(t testing.TB, refresh string, scope ...string) (status int, got map[string]any) {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {"c"}}
	if len(scope) > 0 {
		form.Set("scope", scope[0])
	}
	return p.post(t, form)
}

// TestWider asks for less and for more than was consented to.
func TestWider(t *testing.T) {
	for _, tt := range []struct {
		wider Wider
		scope string
		want  string // the scope granted, or the error
		again string // the scope of the next refresh
	}{
		{WiderIgnored, "", "send offline", "send offline"},
		{WiderIgnored, "send", "send", "send offline"},
		{WiderIgnored, "send imap", "send offline", "send offline"},
		{WiderGranted, "send imap", "send imap", "send offline imap"},
		{WiderConsent, "send imap", "invalid_grant consent_required", "send offline"},
		{WiderRefused, "send imap", "invalid_scope", "send offline"},
	} {
		p := start(t, Options{Wider: tt.wider})
		token := p.GrantScope(me, "send offline")
		status, got := p.refresh(t, token, tt.scope)
		is, _ := got["scope"].(string)
		if status != 200 {
			is = got["error"].(string)
			if why, ok := got["suberror"].(string); ok {
				is += " " + why
			}
		}
		if _, next := p.refresh(t, token); is != tt.want || next["scope"] != tt.again {
			t.Errorf("%+v: %d %v, then %v", tt, status, got, next)
		}
	}
}

// TestConsentToPart grants less than was asked for.
func TestConsentToPart(t *testing.T) {
	p := start(t, Options{})
	p.SetFaults(Faults{Consent: func(account, scope string) string { return strings.TrimSuffix(scope, " imap") }})
	if got := p.granted(me, "send imap"); got != "send" {
		t.Errorf("granted %q", got)
	}
}
