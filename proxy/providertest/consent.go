package providertest

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// challengeForm is the form of an S256 challenge: 32 octets in base64url without padding (RFC 7636
// section 4.2).
var challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// consentPage asks the user for consent. The device page is the same, with a code instead of the
// request.
var consentPage = template.Must(template.New("consent").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Test provider</title>
<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:15vh auto;padding:0 1rem}
input,button{font:inherit;padding:.4rem .7rem}input{width:100%;box-sizing:border-box;margin:.2rem 0 1rem}p.no{color:#c33}</style>
<h1>Test provider</h1>
{{with .Problem}}<p class="no" role="alert">{{.}}</p>{{end}}
{{if .Done}}<p>{{.Done}}</p>{{else}}
<p><b>{{.Client}}</b> wants to use your mailbox.</p>
<form method="post" action="{{.Action}}">
{{if .Query}}<input type="hidden" name="query" value="{{.Query}}">
{{else}}<label>Code<input name="user_code" value="{{.UserCode}}" autocomplete="off"></label>{{end}}
<label>Account<input name="user" value="{{.User}}" autocomplete="off"></label>
<button name="decision" value="approve">Approve</button>
<button name="decision" value="deny">Deny</button>
</form>{{end}}
</html>
`))

type consentView struct {
	Action, Client, Query, UserCode, User string
	Problem, Done                         string
}

func (v consentView) write(w http.ResponseWriter, status int) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	consentPage.Execute(w, v)
}

// authorize shows the consent page (RFC 6749 section 4.1.1). With auto=1 in the query, the user in
// login_hint approves at once.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !p.checkAuthorize(w, r, q) {
		return
	}
	if q.Get("auto") == "1" {
		p.approve(w, r, r.URL.RawQuery, q, q.Get("login_hint"))
		return
	}
	view := consentView{Action: "/authorize", Client: q.Get("client_id"), Query: r.URL.RawQuery, User: q.Get("login_hint")}
	view.write(w, http.StatusOK)
}

// decide handles the consent page's form.
func (p *Provider) decide(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	raw := r.PostFormValue("query")
	q, err := url.ParseQuery(raw)
	if err != nil {
		consentView{Problem: "This form is damaged.", Done: "Start again in your program."}.write(w, http.StatusBadRequest)
		return
	}
	if !p.checkAuthorize(w, r, q) {
		return
	}
	switch r.PostFormValue("decision") {
	case "approve":
		p.approve(w, r, raw, q, strings.TrimSpace(r.PostFormValue("user")))
	default:
		goBack(w, r, q, url.Values{"error": {"access_denied"}, "error_description": {"The user refused."}})
	}
}

// checkAuthorize reports whether a request is valid, and responds to it if it is not. If the client
// or its redirect address is wrong, the user must not be sent there and sees an error page (RFC
// 6749 section 4.1.2.1).
func (p *Provider) checkAuthorize(w http.ResponseWriter, r *http.Request, q url.Values) bool {
	problem := ""
	switch id := q.Get("client_id"); {
	case id == "" || p.opts.ClientID != "" && id != p.opts.ClientID:
		problem = "Error 401: invalid_client. The OAuth client was not found."
	case !loopback(q.Get("redirect_uri")):
		problem = "Error 400: redirect_uri_mismatch. The redirect must be an http address on this machine."
	}
	if problem != "" {
		consentView{Problem: problem, Done: "Nothing was allowed."}.write(w, http.StatusBadRequest)
		return false
	}
	code, why := "", ""
	switch {
	case q.Get("response_type") != "code":
		code, why = "unsupported_response_type", "response_type must be code."
	case q.Get("code_challenge_method") != "S256" || !challengeForm.MatchString(q.Get("code_challenge")):
		code, why = "invalid_request", "PKCE with S256 is required."
	case slices.ContainsFunc([]string{"client_id", "redirect_uri", "state", "scope"}, func(k string) bool { return len(q[k]) > 1 }):
		code, why = "invalid_request", "A parameter was given twice."
	default:
		return true
	}
	goBack(w, r, q, url.Values{"error": {code}, "error_description": {why}})
	return false
}

// approve issues the code if there is such a user.
func (p *Provider) approve(w http.ResponseWriter, r *http.Request, raw string, q url.Values, user string) {
	if !p.known(user) {
		consentView{Action: "/authorize", Client: q.Get("client_id"), Query: raw, User: user,
			Problem: "There is no account with this name."}.write(w, http.StatusForbidden)
		return
	}
	c := &code{
		account: user, client: q.Get("client_id"), redirect: q.Get("redirect_uri"), scope: p.granted(user, q.Get("scope")),
		challenge: q.Get("code_challenge"), nonce: q.Get("nonce"), expires: time.Now().Add(time.Minute),
	}
	s := secret("code-", 48)
	p.grants.mu.Lock()
	p.grants.codes[s] = c
	p.grants.mu.Unlock()
	p.count.authorizations.Add(1)
	goBack(w, r, q, url.Values{"code": {s}})
}

// known reports whether user may consent here.
func (p *Provider) known(user string) bool {
	if len(p.opts.Accounts) == 0 {
		return user != ""
	}
	return slices.ContainsFunc(p.opts.Accounts, func(a string) bool { return fold(a) == fold(user) })
}

// goBack redirects the browser to the client with the result and the request's state.
func goBack(w http.ResponseWriter, r *http.Request, q, result url.Values) {
	u, err := url.Parse(q.Get("redirect_uri"))
	if err != nil { // cannot happen: checkAuthorize has parsed it
		http.Error(w, "bad redirect_uri", http.StatusBadRequest)
		return
	}
	back := u.Query()
	for key, values := range result {
		back[key] = values
	}
	if q.Has("state") {
		back.Set("state", q.Get("state"))
	}
	u.RawQuery = back.Encode()
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}

// loopback reports whether an address is the redirect address of a native program: http, this
// machine, any port (RFC 8252 section 7.3).
func loopback(redirect string) bool {
	u, err := url.Parse(redirect)
	if err != nil || u.Scheme != "http" || u.Fragment != "" || u.User != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
