package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// consentProvider is an authorization server (RFC 6749) with PKCE. Its user says yes at once, or what
// decide says.
type consentProvider struct {
	*httptest.Server
	decide func(redirect url.Values) // nil: grants

	mu     sync.Mutex
	codes  map[string]url.Values // code -> the authorization request
	asked  url.Values            // the last one
	tokens int
}

func newConsentProvider(t *testing.T) *consentProvider {
	p := &consentProvider{codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *consentProvider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("response_type") != "code" || q.Get("client_id") != clientID || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = q
	code := fmt.Sprint("code-", q.Get("login_hint"), "-", len(p.codes))
	p.codes[code] = q
	answer := url.Values{"state": {q.Get("state")}, "code": {code}}
	if p.decide != nil {
		p.decide(answer)
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (p *consentProvider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens++
	q, ok := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || q.Get("redirect_uri") != r.PostFormValue("redirect_uri") {
		answers(400, `{"error":"invalid_grant"}`)(w, r)
		return
	}
	writeToken(w, "access of "+q.Get("login_hint"), "refresh of "+q.Get("login_hint"), 3600)
}

func (p *consentProvider) grant(t *testing.T, account string, secrets *keystore.Store) *Grant {
	g := New(Config{
		ClientID: clientID, AuthURL: p.URL + "/authorize", TokenURL: p.URL + "/token",
		Scopes: []string{"mail.send", "offline_access"}, AuthParams: map[string]string{"access_type": "offline"},
		RedirectPath: "/callback",
	}, account, Deps{Secrets: secrets, HTTP: p.Client()})
	t.Cleanup(func() { g.Close(context.Background()) })
	return g
}

// browse is a browser: it follows the provider to the callback and gives the page that it sees in the
// end.
func browse(t *testing.T, address string) string {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Get(address)
	if err != nil {
		t.Errorf("the browser: %v", err)
		return ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("the browser: %v", err)
	}
	return string(text)
}

// browser opens addresses with browse in the background; pages get what it saw.
type browser struct {
	t     *testing.T
	pages chan string
	all   sync.WaitGroup
}

func newBrowser(t *testing.T) *browser {
	b := &browser{t: t, pages: make(chan string, 10)}
	t.Cleanup(b.all.Wait)
	return b
}

func (b *browser) open(address string) error {
	b.all.Go(func() { b.pages <- browse(b.t, address) })
	return nil
}

func redirectOf(t *testing.T, consentURL string) *url.URL {
	t.Helper()
	u, err := url.Parse(consentURL)
	if err != nil {
		t.Fatal(err)
	}
	back, err := url.Parse(u.Query().Get("redirect_uri"))
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// wantClosed fails when something still listens where the browser came back to.
func wantClosed(t *testing.T, redirect *url.URL) {
	t.Helper()
	conn, err := net.Dial("tcp", redirect.Host)
	if err == nil {
		conn.Close()
		t.Errorf("%s still listens", redirect.Host)
	}
}

func TestConsentGranted(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost"} {
		t.Run(host, func(t *testing.T) {
			p, b, secrets := newConsentProvider(t), newBrowser(t), keystore.Memory()
			g := p.grant(t, me, secrets)
			g.cfg.RedirectHost = host
			if _, err := g.Token(t.Context()); !isConsent(err) {
				t.Fatalf("Token before = %v", err)
			}
			var back *url.URL
			err := g.Consent(t.Context(), func(address string) error {
				back = redirectOf(t, address)
				return b.open(address)
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if page := <-b.pages; !strings.Contains(page, "Signed in") || !strings.Contains(page, me) {
				t.Errorf("the browser shows %s", page)
			}
			wantClosed(t, back)
			if back.Hostname() != host || back.Path != "/callback" {
				t.Errorf("redirect_uri %s", back)
			}
			for k, want := range map[string]string{"login_hint": me, "scope": "mail.send offline_access", "access_type": "offline"} {
				if got := p.asked.Get(k); got != want {
					t.Errorf("%s = %q, want %q", k, got, want)
				}
			}
			if got, err := secrets.Get(t.Context(), "refresh/"+me); err != nil || parseStored(got).value != "refresh of "+me {
				t.Errorf("stored %q, %v", got, err)
			}
			wantState(t, g, Ready, "")
			wantToken(t, g, "access of "+me)
			if p.tokens != 1 {
				t.Errorf("%d token requests, want the exchange alone", p.tokens)
			}
		})
	}
}

func TestConsentNotGiven(t *testing.T) {
	for _, tt := range []struct {
		name   string
		decide func(url.Values)
		want   string
		title  string
		reason Reason
	}{
		{"denied", func(v url.Values) {
			v.Del("code")
			v.Set("error", "access_denied")
			v.Set("error_description", "<b>The user said no</b>")
		}, "the sign-in was declined (<b>The user said no</b>)", "Declined", DeniedByUser},
		{"refused", func(v url.Values) {
			v.Del("code")
			v.Set("error", "invalid_scope")
		}, "invalid_scope", "Not signed in", ScopeRefused},
		{"no code", func(v url.Values) { v.Del("code") }, "without a code", "Not signed in", OddAnswer},
		{"another code", func(v url.Values) { v.Set("code", "SECRET") }, "no longer accepts the approval", "Not signed in", ApprovalExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, b, secrets := newConsentProvider(t), newBrowser(t), keystore.Memory()
			secrets.Set(t.Context(), "refresh/"+me, "refresh-1")
			p.decide = tt.decide
			g := p.grant(t, me, secrets)
			var back *url.URL
			err := g.Consent(t.Context(), func(address string) error {
				back = redirectOf(t, address)
				return b.open(address)
			}, nil)
			if isConsent(err) != (tt.name != "refused") || ReasonOf(err) != tt.reason || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("Consent = %v, want %q", err, tt.want)
			}
			// It told people to reauthorize an account that may not be kept.
			if strings.Contains(err.Error(), "reauthorize") {
				t.Errorf("Consent = %v", err)
			}
			if page := <-b.pages; !strings.Contains(page, "<h1>"+tt.title+"</h1>") || strings.Contains(page, "<b>") {
				t.Errorf("the browser shows %s", page)
			}
			wantClosed(t, back)
			// The old consent stays.
			wantState(t, g, Unknown, "")
			if got, _ := secrets.Get(t.Context(), "refresh/"+me); got != "refresh-1" {
				t.Errorf("the keystore holds %q", got)
			}
		})
	}
}

// Other programs and web pages may find the port; none can end the consent or bring a code of its own.
func TestConsentCallbackIsPicky(t *testing.T) {
	p, b := newConsentProvider(t), newBrowser(t)
	g := p.grant(t, me, keystore.Memory())
	err := g.Consent(t.Context(), func(address string) error {
		back := redirectOf(t, address)
		state := p.stateOf(t, address)
		for _, tt := range []struct {
			method, path, query, host string
			status                    int
		}{
			{"GET", "/callback", "code=evil&state=wrong", "", 400},
			{"GET", "/callback", "code=evil", "", 400},
			{"GET", "/callback", "error=access_denied", "", 400},
			{"GET", "/callback", "error=access_denied&state=" + state[:len(state)-1], "", 400},
			{"GET", "/callback", "%zz&state=" + state, "", 400},
			{"GET", "/", "code=evil&state=" + state, "", 404},
			{"GET", "/callback/", "code=evil&state=" + state, "", 404},
			{"GET", "/favicon.ico", "", "", 404},
			{"GET", donePath, "", "", 404},
			{"GET", donePath, "code=evil&state=" + state, "", 404},
			{"POST", donePath, "", "", 405},
			{"POST", "/callback", "code=evil&state=" + state, "", 405},
			{"HEAD", "/callback", "code=evil&state=" + state, "", 405},
			{"GET", "/callback", "code=evil&state=" + state, "evil.example", 404},
			{"GET", "/callback", "code=evil&state=" + state, "localhost:" + back.Port(), 404},
		} {
			req, err := http.NewRequest(tt.method, "http://"+back.Host+tt.path+"?"+tt.query, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = tt.host
			req.Close = true
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != tt.status {
				t.Errorf("%s %s?%s (Host %q): %d, want %d", tt.method, tt.path, tt.query, tt.host, res.StatusCode, tt.status)
			}
		}
		return b.open(address)
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantToken(t, g, "access of "+me)
}

func (p *consentProvider) stateOf(t *testing.T, consentURL string) string {
	t.Helper()
	u, err := url.Parse(consentURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("state")
}

// callbackOf signs in as the provider's user, and gives the address that the browser is sent back to.
// Nothing follows it.
func callbackOf(t *testing.T, consentURL string) string {
	t.Helper()
	c := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DisableKeepAlives: true},
	}
	res, err := c.Get(consentURL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.Header.Get("Location")
}

// slowToken makes the provider's token endpoint wait until release is closed.
func (p *consentProvider) slowToken(t *testing.T, g *Grant) (release chan struct{}) {
	release = make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-release
		p.token(w, r)
	}))
	t.Cleanup(slow.Close)
	g.endpoint.url = slow.URL
	return release
}

// A browser that comes twice with the same answer, as after a reload, sees how it ended both times.
func TestConsentCallbackTwice(t *testing.T) {
	p := newConsentProvider(t)
	b := newBrowser(t)
	g := p.grant(t, me, keystore.Memory())
	release := p.slowToken(t, g)
	err := g.Consent(t.Context(), func(address string) error {
		callback := callbackOf(t, address)
		b.open(callback)
		res, err := (&http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}).Get(callback)
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != donePath {
			t.Errorf("the second time: %s to %s", res.Status, res.Header.Get("Location"))
		}
		close(release)
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if page := <-b.pages; !strings.Contains(page, "Signed in") {
		t.Errorf("the browser shows %s", page)
	}
	if p.tokens != 1 {
		t.Errorf("%d token requests", p.tokens)
	}
}

// TestConsentAnsweredTwice: another user of the machine who reads state and challenge in the browser's
// command line could bring a code of their own, and the account would send as them.
func TestConsentAnsweredTwice(t *testing.T) {
	p := newConsentProvider(t)
	secrets := keystore.Memory()
	g := p.grant(t, me, secrets)
	release := p.slowToken(t, g)
	err := g.Consent(t.Context(), func(address string) error {
		theirs := callbackOf(t, strings.Replace(address, "login_hint=me", "login_hint=evil", 1))
		if next := callbackOf(t, theirs); next != donePath {
			t.Errorf("the first answer leads to %q", next)
		}
		if page := browse(t, address); !strings.Contains(page, "Already answered") {
			t.Errorf("the second answer is shown %s", page)
		}
		close(release)
		return nil
	}, nil)
	if !isConsent(err) || ReasonOf(err) != AnsweredTwice {
		t.Errorf("Consent = %v", err)
	}
	wantNothingKept(t, secrets)
}

// TestCodeLeavesTheAddressBar: the browser ends at an address without code and state.
func TestCodeLeavesTheAddressBar(t *testing.T) {
	p := newConsentProvider(t)
	g := p.grant(t, me, keystore.Memory())
	var all sync.WaitGroup
	err := g.Consent(t.Context(), func(address string) error {
		all.Go(func() {
			res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(address)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			if end := res.Request.URL; end.Path != donePath || end.RawQuery != "" || res.Header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("the browser ends at %s", end)
			}
		})
		return nil
	}, nil)
	all.Wait()
	if err != nil {
		t.Error(err)
	}
}

// RFC 9207: an answer that names another provider than the one that was asked is not believed.
func TestConsentOfAnotherIssuer(t *testing.T) {
	site := startProvider(t, providertest.Options{})
	for _, tt := range []struct {
		iss  string
		good bool
	}{
		{"", true},
		{site.URL, true},
		{"https://evil.example", false},
		{site.URL + "/other", false},
	} {
		p, b := newConsentProvider(t), newBrowser(t)
		p.decide = func(v url.Values) {
			if tt.iss != "" {
				v.Set("iss", tt.iss)
			}
		}
		g := p.grant(t, me, keystore.Memory())
		g.cfg.Issuer, g.cfg.UserinfoURL = site.URL, p.URL+"/userinfo"
		p.Config.Handler.(*http.ServeMux).HandleFunc("GET /userinfo", answers(200, `{"sub":"1","email":"`+me+`"}`))
		err := g.Consent(t.Context(), b.open, nil)
		if (err == nil) != tt.good || !tt.good && ReasonOf(err) != WrongIssuer {
			t.Errorf("iss=%s: %v", tt.iss, err)
		}
		if !tt.good && p.tokens != 0 {
			t.Errorf("iss=%s: the code was traded", tt.iss)
		}
	}
}

// TestBoxNotTicked: at Google the user can sign in without permission for mail. The answer says so.
func TestBoxNotTicked(t *testing.T) {
	const google = "https://mail.google.com/"
	for _, tt := range []struct {
		name    string
		wanted  []string
		scope   string // of the answer, JSON
		missing string
	}{
		{"Google", []string{google}, `"openid https://www.googleapis.com/auth/userinfo.email"`, google},
		{"Google, ticked", []string{google}, `"openid https://mail.google.com/ https://www.googleapis.com/auth/userinfo.email"`, ""},
		{"not told", []string{google}, `""`, ""},
		{"null", []string{google}, `null`, ""},
		{"a list", []string{"mail.send"}, `["openid"]`, "mail.send"},
		{"with commas", []string{"email", "mail"}, `"identity,mail"`, ""},
		{"Microsoft, in its own words", []string{"https://outlook.office.com/SMTP.Send", "offline_access"}, `"https://outlook.office365.com/SMTP.Send"`, ""},
		{"Microsoft, without the resource", []string{"https://outlook.office.com/SMTP.Send", "offline_access"}, `"SMTP.Send profile"`, ""},
		{"Microsoft, another", []string{"https://outlook.office.com/SMTP.Send", "offline_access"}, `"User.Read"`, "https://outlook.office.com/SMTP.Send"},
		{"for reading, too", []string{"https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send"}, `"https://outlook.office.com/SMTP.Send"`, ""},
		{"for reading alone", []string{"https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send"}, `"https://outlook.office.com/IMAP.AccessAsUser.All"`, "https://outlook.office.com/SMTP.Send"},
		{"only who they are was asked for", []string{"identity", "email"}, `"identity"`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, b, secrets := newConsentProvider(t), newBrowser(t), keystore.Memory()
			g := p.grant(t, me, secrets)
			g.cfg.Scopes = tt.wanted
			site := httptest.NewServer(answers(200, `{"access_token":"a","refresh_token":"r","expires_in":60,"scope":`+tt.scope+`}`))
			defer site.Close()
			g.endpoint.url = site.URL
			err := g.Consent(t.Context(), b.open, nil)
			if tt.missing == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if ReasonOf(err) != ScopeMissing || !isConsent(err) || !strings.Contains(err.Error(), "not granted: "+tt.missing) {
				t.Errorf("Consent = %v", err)
			}
			wantNothingKept(t, secrets)
		})
	}
}

// Whatever the query, only the right state gets in.
func FuzzCallback(f *testing.F) {
	for _, s := range []string{"", "state=right&code=c", "state=wrong&state=right", "error=access_denied&state=right", "state=%72ight", "state=right;code=c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := newRedirection("http://127.0.0.1:1/")
		req := httptest.NewRequest("GET", "http://127.0.0.1:1/", nil)
		req.URL.RawQuery = query
		w := httptest.NewRecorder()
		r.handler("127.0.0.1:1", "/", "right").ServeHTTP(w, req)
		select {
		case got := <-r.callback:
			if got["state"][0] != "right" {
				t.Errorf("let in %q", query)
			}
		default:
			if w.Code != http.StatusBadRequest {
				t.Errorf("%q: %d", query, w.Code)
			}
		}
	})
}

func TestConsentTimesOut(t *testing.T) {
	p := newConsentProvider(t)
	g := p.grant(t, me, keystore.Memory())
	ctx, cancel := context.WithCancelCause(t.Context())
	errCtrlC := errors.New("interrupted")
	var back *url.URL
	err := g.Consent(ctx, func(address string) error {
		back = redirectOf(t, address)
		cancel(errCtrlC)
		return nil
	}, nil)
	if !errors.Is(err, errCtrlC) {
		t.Errorf("Consent = %v, want why ctx ended", err)
	}
	wantClosed(t, back)
	wantState(t, g, Unknown, "")
}

func TestConsentWithoutBrowser(t *testing.T) {
	g := newConsentProvider(t).grant(t, me, keystore.Memory())
	errNone := errors.New("no browser")
	var back *url.URL
	err := g.Consent(t.Context(), func(address string) error {
		back = redirectOf(t, address)
		return errNone
	}, nil)
	if !errors.Is(err, errNone) {
		t.Errorf("Consent = %v, want the opener's error", err)
	}
	wantClosed(t, back)
}

func TestConsentsDoNotMix(t *testing.T) {
	p, secrets := newConsentProvider(t), keystore.Memory()
	accounts := []string{"a@corp.example", "b@corp.example", "c@corp.example"}
	var opened, all sync.WaitGroup
	opened.Add(len(accounts))
	for _, account := range accounts {
		g := p.grant(t, account, secrets)
		b := newBrowser(t)
		all.Go(func() {
			err := g.Consent(t.Context(), func(address string) error {
				opened.Done()
				opened.Wait() // all of them wait for their browsers at once
				return b.open(address)
			}, nil)
			if err != nil {
				t.Errorf("%s: %v", account, err)
				return
			}
			wantToken(t, g, "access of "+account)
			if got, _ := secrets.Get(t.Context(), "refresh/"+account); parseStored(got).value != "refresh of "+account {
				t.Errorf("%s has %q", account, got)
			}
		})
	}
	all.Wait()
}

func TestConsentEndsRevocation(t *testing.T) {
	p, b, secrets := newConsentProvider(t), newBrowser(t), keystore.Memory()
	secrets.Set(t.Context(), "refresh/"+me, "imported-and-revoked")
	g := p.grant(t, me, secrets)
	endpoint := g.endpoint.url
	revoked := httptest.NewServer(answers(400, `{"error":"invalid_grant"}`))
	defer revoked.Close()
	g.endpoint.url = revoked.URL
	g.Token(t.Context())
	wantState(t, g, NeedsConsent, "invalid_grant")
	g.endpoint.url = endpoint
	if err := g.Consent(t.Context(), b.open, nil); err != nil {
		t.Fatal(err)
	}
	wantState(t, g, Ready, "")
	// Reading the old import file must not undo it.
	if _, err := g.Accept(t.Context(), "imported-and-revoked"); err != nil {
		t.Fatal(err)
	}
	wantToken(t, g, "access of "+me)
}

func TestConsentWithLockedKeystore(t *testing.T) {
	p, b, secrets := newConsentProvider(t), newBrowser(t), keystore.Memory()
	g := p.grant(t, me, secrets)
	g.Token(t.Context()) // reads the client secret, while that works
	err := g.Consent(t.Context(), func(address string) error {
		secrets.Fail(keystore.ErrLocked)
		return b.open(address)
	}, nil)
	if !errors.Is(err, keystore.ErrLocked) || !g.Status().Unsaved {
		t.Errorf("Consent = %v, Status = %+v; want both to tell", err, g.Status())
	}
	wantToken(t, g, "access of "+me)
	secrets.Fail(nil)
	if err := g.save(t.Context()); err != nil {
		t.Error(err)
	}
	if got, _ := secrets.Get(t.Context(), "refresh/"+me); parseStored(got).value != "refresh of "+me {
		t.Errorf("stored %q", got)
	}
}

func TestConsentWithoutRefreshToken(t *testing.T) {
	p, b := newConsentProvider(t), newBrowser(t)
	g := p.grant(t, me, keystore.Memory())
	bare := httptest.NewServer(answers(200, `{"access_token":"a","expires_in":60}`))
	defer bare.Close()
	g.endpoint.url = bare.URL
	if err := g.Consent(t.Context(), b.open, nil); err == nil || !strings.Contains(err.Error(), "no refresh token") {
		t.Errorf("Consent = %v", err)
	}
}

func TestPageIsLockedDown(t *testing.T) {
	w := httptest.NewRecorder()
	failed(me, errors.New(`<script>alert(1)</script>`)).write(w, http.StatusOK)
	body := w.Body.String()
	for _, banned := range []string{"<script", "http://", "https://", "<img", "<link"} {
		if strings.Contains(body, banned) {
			t.Errorf("the page has %s:\n%s", banned, body)
		}
	}
	_, style, _ := strings.Cut(body, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, want) || !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("policy %s does not fit the style", csp)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Error("the page may be stored")
	}
}
