package providertest

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"
)

var (
	hiddenQuery = regexp.MustCompile(`name="query" value="([^"]*)"`)
	alert       = regexp.MustCompile(`role="alert">([^<]*)<`)
)

// Approve plays the browser of a user who consents: it opens authURL, fills in the page's form for
// account, approves, and follows the redirect to the program's callback, whose address it returns.
// An error says which of these failed, for example because the callback did not respond with 2xx.
func (p *Provider) Approve(authURL, account string) (callbackURL string, err error) {
	return p.browse(authURL, account, "approve")
}

// Deny plays the browser of a user who refuses.
func (p *Provider) Deny(authURL string) (callbackURL string, err error) {
	return p.browse(authURL, "", "deny")
}

// ApproveDevice plays a user who enters a device's code on the provider's site and approves.
func (p *Provider) ApproveDevice(userCode, account string) error {
	if !p.known(account) || !p.decideDevice(userCode, account, true) {
		return errors.New("provider's device page: unknown account or code")
	}
	return nil
}

// DenyDevice plays a user who enters the code and refuses.
func (p *Provider) DenyDevice(userCode string) error {
	if !p.decideDevice(userCode, "", false) {
		return errors.New("provider's device page: unknown code")
	}
	return nil
}

func (p *Provider) browse(authURL, account, decision string) (string, error) {
	transport := &http.Transport{DisableKeepAlives: true} // so that nothing of the browser outlives the call
	client := &http.Client{
		Transport:     transport,
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	page, back, err := visit(client.Get(authURL))
	if err != nil {
		return "", fmt.Errorf("open the consent page: %w", err)
	}
	if back == "" {
		form := hiddenQuery.FindSubmatch(page)
		if form == nil {
			return "", errors.New("the consent page has no form")
		}
		values := url.Values{"query": {html.UnescapeString(string(form[1]))}, "user": {account}, "decision": {decision}}
		if _, back, err = visit(client.PostForm(p.AuthURL(), values)); err != nil {
			return "", fmt.Errorf("%s as %s: %w", decision, account, err)
		}
	}
	if back == "" {
		return "", errors.New("the consent page did not redirect")
	}
	// The program may send the browser on, to a page without the code in its address.
	for next, steps := back, 0; next != "" && steps < 5; steps++ {
		if _, next, err = visit(client.Get(next)); err != nil {
			return back, fmt.Errorf("follow the redirect to the program: %w", err)
		}
	}
	return back, nil
}

// visit reads a page and the address it redirects to.
func visit(r *http.Response, err error) (page []byte, location string, _ error) {
	var named *url.Error
	if errors.As(err, &named) {
		err = named.Err // without the address, which contains the code
	}
	if err != nil {
		return nil, "", err
	}
	defer r.Body.Close()
	page, err = io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return nil, "", err
	}
	if r.StatusCode >= 400 {
		if said := alert.FindSubmatch(page); said != nil {
			return nil, "", fmt.Errorf("%s: %s", r.Status, html.UnescapeString(string(said[1])))
		}
		return nil, "", errors.New(r.Status)
	}
	if u, err := r.Location(); err == nil {
		location = u.String()
	}
	return page, location, nil
}
