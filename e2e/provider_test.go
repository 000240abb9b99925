//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// event is a line that testdata/provider.mjs prints.
type event struct {
	Event   string // "ready", "request", "grant", "refusal", "expired", "ended" or "fault"
	Issuer  string
	Method  string
	Path    string
	Status  int
	Type    string // grant_type
	Client  string
	Account string
	Spent   string // the refresh token that was used for it
	Scope   string // what was granted
	Access  string
	Refresh string
	Error   string
	Detail  string
}

// provider is the OpenID provider.
type provider struct {
	issuer  string
	process *process
	input   io.WriteCloser // takes access tokens to invalidate; closing it ends the provider
	rest    []byte         // an incomplete line of output

	feed
	events []event
}

// startProvider starts the provider in dir, where its modules are too.
func startProvider(dir string) (*provider, error) {
	p := &provider{}
	cmd := exec.Command("node", filepath.Join(dir, "provider.mjs"))
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.input = input
	if p.process, err = start(cmd, p); err != nil {
		return nil, err
	}
	err = p.await(p.process.exited, func() bool { return len(p.events) > 0 })
	if err == nil {
		p.issuer = p.events[0].Issuer
	} else {
		p.stop()
		return nil, fmt.Errorf("the provider has not started: %w\n%s", err, p.process.said())
	}
	return p, nil
}

func (p *provider) stop() error {
	p.input.Close()
	_, err := p.process.end(nil)
	return err
}

// complains prints the provider's refusals and faults, to help find out why a test has failed.
func (p *provider) complains() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if e.Event == "refusal" || e.Event == "fault" {
			fmt.Printf("the provider: %s %s of %s: %s: %s\n", e.Event, e.Type, e.Client, e.Error, e.Detail)
		}
	}
}

// Write takes the provider's output.
func (p *provider) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		line, rest, ok := bytes.Cut(p.rest, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		var e event
		if err := json.Unmarshal(line, &e); err == nil {
			p.grow(func() { p.events = append(p.events, e) })
		}
		p.rest = rest
	}
}

// when waits until the provider has done something.
func (p *provider) when(t *testing.T, what string, is func(event) bool) (found event) {
	t.Helper()
	err := p.await(p.process.exited, func() bool {
		i := slices.IndexFunc(p.events, is)
		if i >= 0 {
			found = p.events[i]
		}
		return i >= 0
	})
	if err != nil {
		t.Fatalf("wait for the provider to %s: %v", what, err)
	}
	return found
}

// did reports whether the provider has done something.
func (p *provider) did(is func(event) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.events, is)
}

// grants returns what the provider has granted for an account, in order.
func (p *provider) grants(account string) (all []event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if e.Event == "grant" && e.Account == account {
			all = append(all, e)
		}
	}
	return all
}

// last returns what the provider granted last for an account.
func (p *provider) last(t *testing.T, account string) event {
	t.Helper()
	all := p.grants(account)
	if len(all) == 0 {
		t.Fatalf("the provider has granted nothing for %s", account)
	}
	return all[len(all)-1]
}

// active asks the provider which account a token is valid for (RFC 7662), as a mail server does. It
// returns "" if the token is not valid.
func (p *provider) active(t *testing.T, token string) (account string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.issuer+"/token/introspection", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("mailserver", "mailserver-secret")
	var answer struct {
		Active bool
		Sub    string
	}
	if status := post(t, req, url.Values{"token": {token}}, &answer); status != http.StatusOK {
		t.Fatalf("introspection: %d", status)
	}
	if !answer.Active {
		return ""
	}
	return answer.Sub
}

// revoke revokes a token (RFC 7009), as a user does on the provider's site.
func (p *provider) revoke(t *testing.T, of event, token string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.issuer+"/token/revocation", nil)
	if err != nil {
		t.Fatal(err)
	}
	if status := post(t, req, url.Values{"token": {token}, "client_id": {of.Client}}, nil); status != http.StatusOK {
		t.Fatalf("revocation: %d", status)
	}
	if p.active(t, token) != "" {
		t.Fatal("a revoked token is still valid")
	}
}

// end makes an access token invalid.
func (p *provider) end(t *testing.T, token string) {
	t.Helper()
	if _, err := fmt.Fprintln(p.input, token); err != nil {
		t.Fatal(err)
	}
	p.when(t, "invalidate a token", func(e event) bool { return e.Event == "ended" && e.Access == token })
	if p.active(t, token) != "" {
		t.Fatal("the token is still valid")
	}
}

// refresh uses a refresh token, as a thief would.
func (p *provider) refresh(t *testing.T, of event, token string) (status int, code string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.issuer+"/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ Error string }
	status = post(t, req, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {of.Client}}, &answer)
	return status, answer.Error
}

func post(t *testing.T, req *http.Request, form url.Values, answer any) (status int) {
	t.Helper()
	req = req.WithContext(t.Context())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body := []byte(form.Encode())
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer != nil {
		if err := json.NewDecoder(resp.Body).Decode(answer); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	return resp.StatusCode
}
