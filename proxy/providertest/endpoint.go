package providertest

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// oauthError is an error response as in RFC 6749 section 5.2.
type oauthError struct {
	status      int
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
	Suberror    string `json:"suberror,omitempty"`    // Microsoft's
	Codes       []int  `json:"error_codes,omitempty"` // Microsoft's
}

func newError(status int, code, why string) *oauthError {
	return &oauthError{status: status, Code: code, Description: why}
}

func invalidGrant(why string) *oauthError   { return newError(400, "invalid_grant", why) }
func invalidRequest(why string) *oauthError { return newError(400, "invalid_request", why) }

// listenHTTP opens the OAuth endpoint.
func (p *Provider) listenHTTP() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("provider's HTTP port: %w", err)
	}
	p.URL = "http://" + l.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /authorize", p.decide)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("POST /revoke", p.revoke)
	mux.HandleFunc("POST /device_authorization", p.deviceCode)
	mux.HandleFunc("GET /device", p.devicePage)
	mux.HandleFunc("POST /device", p.deviceDecide)
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /userinfo", p.userinfo)
	p.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
		// http.Server.Close does not wait for the connections' goroutines, but Provider.Close does.
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				p.running.Add(1)
			case http.StateClosed, http.StateHijacked:
				p.running.Done()
			}
		},
	}
	p.running.Go(func() { p.http.Serve(l) })
	return nil
}

// token handles the token endpoint (RFC 6749 section 3.2).
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.count.tokenRequests.Add(1)
	form, client, oops := p.request(w, r)
	fault := TokenFault{}
	if hook := p.faults.Load().Token; hook != nil {
		fault = hook(r)
	}
	if p.tokenFault(w, r, fault) {
		return
	}
	if oops != nil {
		fail(w, r, oops)
		return
	}
	var out tokens
	switch form.Get("grant_type") {
	case "authorization_code":
		if out, oops = p.grants.exchange(form.Get("code"), client, form.Get("redirect_uri"), form.Get("code_verifier")); oops == nil {
			p.count.exchanges.Add(1)
		}
	case "refresh_token":
		if out, oops = p.grants.renew(form.Get("refresh_token"), client, form.Get("scope"), p.opts.Wider); oops == nil {
			p.count.refreshes.Add(1)
		}
	case deviceGrant:
		if out, oops = p.grants.poll(form.Get("device_code"), client); oops == nil {
			p.count.exchanges.Add(1)
		}
	case "client_credentials":
		out, oops = p.appToken(form.Get("scope"))
	case jwtBearerGrant:
		out, oops = p.delegated(form.Get("assertion"))
	default:
		oops = newError(400, "unsupported_grant_type", "Invalid grant_type: "+form.Get("grant_type"))
	}
	if oops != nil {
		p.log.Debug("token refused", "grant_type", form.Get("grant_type"), "error", oops.Code, "description", oops.Description)
		fail(w, r, oops)
		return
	}
	if p.wait(context.Background(), fault.Late) {
		p.grant(w, out, fault.ExpiresIn)
	}
}

// grant writes a successful response (RFC 6749 section 5.1).
func (p *Provider) grant(w http.ResponseWriter, t tokens, expiresIn string) {
	fields := map[string]any{"access_token": t.access, "token_type": "Bearer", "scope": t.scope}
	switch expiresIn {
	case "":
		fields["expires_in"] = max(1, int64(p.opts.TokenTTL/time.Second))
	case "-":
	default:
		fields["expires_in"] = json.RawMessage(expiresIn)
	}
	if t.refresh != "" {
		fields["refresh_token"] = t.refresh
	}
	if t.grant != nil && wantsIdentity(t.scope) {
		fields["id_token"] = p.identity(t.grant)
	}
	answer(w, http.StatusOK, fields)
}

// request reads a client's form and authenticates the client (RFC 6749 section 2.3).
func (p *Provider) request(w http.ResponseWriter, r *http.Request) (url.Values, string, *oauthError) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	err := r.ParseForm()
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	form := r.PostForm
	switch {
	case err != nil || kind != "application/x-www-form-urlencoded":
		return nil, "", invalidRequest("The body is not a form.")
	case len(r.URL.RawQuery) > 0:
		return nil, "", invalidRequest("Parameters belong in the body.")
	}
	for key, values := range form {
		if len(values) > 1 {
			return nil, "", invalidRequest("Parameter given twice: " + key)
		}
	}
	id, password, basic := r.BasicAuth()
	if basic {
		if form.Get("client_secret") != "" {
			return nil, "", invalidRequest("Two kinds of client authentication at once.")
		}
		id, _ = url.QueryUnescape(id) // RFC 6749 section 2.3.1: both are form-encoded
		password, _ = url.QueryUnescape(password)
	} else {
		id, password = form.Get("client_id"), form.Get("client_secret")
	}
	o := &p.opts
	if form.Get("grant_type") == jwtBearerGrant { // the assertion identifies the client (RFC 7521 section 4.1)
		return form, id, nil
	}
	if id == "" {
		return nil, "", invalidRequest("Could not determine client ID from request.")
	}
	if o.ClientID != "" && id != o.ClientID {
		return nil, "", newError(401, "invalid_client", "The OAuth client was not found.")
	}
	if o.ClientSecret != "" && subtle.ConstantTimeCompare([]byte(password), []byte(o.ClientSecret)) == 0 {
		return nil, "", newError(401, "invalid_client", "The client secret is wrong or missing.")
	}
	return form, id, nil
}

// revoke revokes a token (RFC 7009). An unknown token is not an error (section 2.2).
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) {
	form, _, oops := p.request(w, r)
	if oops != nil {
		fail(w, r, oops)
		return
	}
	token := form.Get("token")
	if token == "" {
		fail(w, r, invalidRequest("No token."))
		return
	}
	g := &p.grants
	g.mu.Lock()
	if t := g.refresh[token]; t != nil {
		g.revoke(t)
	} else if a, ok := g.access[token]; ok {
		g.revoke(a.grant)
	}
	g.mu.Unlock()
	p.count.revocations.Add(1)
	w.WriteHeader(http.StatusOK)
}

// tokenFault does what a fault says. It returns false if the normal response is still needed.
func (p *Provider) tokenFault(w http.ResponseWriter, r *http.Request, f TokenFault) (done bool) {
	if !p.wait(r.Context(), f.Delay) {
		panic(http.ErrAbortHandler)
	}
	switch {
	case f.Hang:
		select {
		case <-r.Context().Done():
		case <-p.done:
		}
		panic(http.ErrAbortHandler)
	case f.Drop:
		panic(http.ErrAbortHandler) // net/http closes the connection without a response
	case f.Status == 0:
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	for key, values := range f.Header {
		w.Header()[http.CanonicalHeaderKey(key)] = values
	}
	w.WriteHeader(f.Status)
	io.WriteString(w, f.Body)
	blank := strings.Repeat(" ", 32<<10)
	for left := f.Pad; left > 0; left -= int64(len(blank)) {
		if _, err := io.WriteString(w, blank[:min(left, int64(len(blank)))]); err != nil {
			break
		}
	}
	return true
}

func fail(w http.ResponseWriter, r *http.Request, e *oauthError) {
	if _, _, basic := r.BasicAuth(); basic && e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="provider"`)
	}
	answer(w, e.status, e)
}

// answer writes JSON that must not be cached (RFC 6749 section 5.1).
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
