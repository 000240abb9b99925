package providertest

import (
	"net/http"
	"strings"
	"time"
)

const (
	deviceGrant    = "urn:ietf:params:oauth:grant-type:device_code"
	deviceLife     = 10 * time.Minute
	deviceInterval = 1 // seconds between polls; short, because tests wait for it
)

// device is an authorization in progress on a device without a browser (RFC 8628).
type device struct {
	client, scope, userCode string

	account string // the account that approved; "" until one does
	denied  bool
	expires time.Time
	next    time.Time // no poll is allowed before this
	spacing time.Duration
}

// deviceCode starts a device authorization (RFC 8628 section 3.1).
func (p *Provider) deviceCode(w http.ResponseWriter, r *http.Request) {
	form, client, oops := p.request(w, r)
	if oops != nil {
		fail(w, r, oops)
		return
	}
	text := secret("", 26)
	d := &device{client: client, scope: form.Get("scope"), userCode: text[:4] + "-" + text[4:8],
		expires: time.Now().Add(deviceLife), spacing: deviceInterval * time.Second}
	id := secret("device-", 48)
	p.grants.mu.Lock()
	p.grants.devices[id] = d
	p.grants.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{
		"device_code": id, "user_code": d.userCode,
		"verification_uri":          p.URL + "/device",
		"verification_uri_complete": p.URL + "/device?user_code=" + d.userCode,
		"expires_in":                int(deviceLife / time.Second), "interval": deviceInterval,
	})
}

// poll responds to a device that asks whether its user has approved (RFC 8628 section 3.5).
func (g *grants) poll(id, client string) (tokens, *oauthError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d, now := g.devices[id], time.Now()
	switch {
	case d == nil || d.client != client:
		return tokens{}, invalidGrant("Unknown device code.")
	case now.After(d.expires):
		return tokens{}, newError(400, "expired_token", "The device code has expired.")
	case d.denied:
		delete(g.devices, id)
		return tokens{}, newError(400, "access_denied", "The user refused.")
	case now.Before(d.next):
		d.spacing += 5 * time.Second
		d.next = now.Add(d.spacing)
		return tokens{}, newError(400, "slow_down", "Polled too soon; wait five seconds longer from now on.")
	case d.account == "":
		d.next = now.Add(d.spacing)
		return tokens{}, newError(400, "authorization_pending", "The user has not decided yet.")
	}
	delete(g.devices, id)
	t := g.consent(d.account, client, d.scope)
	return tokens{g.issue(t, d.scope), t.current, d.scope, t}, nil
}

// devicePage is where the user enters the code.
func (p *Provider) devicePage(w http.ResponseWriter, r *http.Request) {
	view := consentView{Action: "/device", Client: "A device", UserCode: r.URL.Query().Get("user_code")}
	view.write(w, http.StatusOK)
}

func (p *Provider) deviceDecide(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	user := strings.TrimSpace(r.PostFormValue("user"))
	entered := strings.ToUpper(strings.TrimSpace(r.PostFormValue("user_code")))
	view := consentView{Action: "/device", Client: "A device", UserCode: entered, User: user}
	approved := r.PostFormValue("decision") == "approve"
	switch {
	case approved && !p.known(user):
		view.Problem = "There is no account with this name."
	case !p.decideDevice(entered, user, approved):
		view.Problem = "This code is unknown or has expired."
	default:
		consentView{Done: "Done. You can go back to your device."}.write(w, http.StatusOK)
		return
	}
	view.write(w, http.StatusForbidden)
}

// decideDevice records the user's decision. It returns false if no such code is waiting for one.
func (p *Provider) decideDevice(userCode, user string, approved bool) bool {
	p.grants.mu.Lock()
	defer p.grants.mu.Unlock()
	for _, d := range p.grants.devices {
		if d.userCode != userCode || d.account != "" || d.denied || time.Now().After(d.expires) {
			continue
		}
		if d.denied = !approved; approved {
			d.account, d.scope = user, p.granted(user, d.scope)
			p.count.authorizations.Add(1)
		}
		return true
	}
	return false
}
