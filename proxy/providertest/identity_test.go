package providertest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
)

// The library that verifies the token is the one that programs use.
func TestIDToken(t *testing.T) {
	p := start(t, Options{})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ctx := oidc.ClientContext(t.Context(), client)
	provider, err := oidc.NewProvider(ctx, p.URL)
	if err != nil {
		t.Fatal(err)
	}
	device := post(t, client, p.DeviceURL(), url.Values{"client_id": {"c"}, "scope": {"openid email"}})
	if err := p.ApproveDevice(device["user_code"].(string), me); err != nil {
		t.Fatal(err)
	}
	got := post(t, client, p.TokenURL(), url.Values{"client_id": {"c"}, "grant_type": {deviceGrant}, "device_code": {device["device_code"].(string)}})
	token, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: "c"}).Verify(ctx, got["id_token"].(string))
	if err != nil {
		t.Fatal(err)
	}
	var c struct{ Email string }
	if err := token.Claims(&c); err != nil || c.Email != me {
		t.Errorf("email %q, %v", c.Email, err)
	}
}

// The token of a program acting for itself is valid for every account and names no user.
func TestClientCredentials(t *testing.T) {
	p := start(t, Options{ClientSecret: "s"})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	form := url.Values{"client_id": {"c"}, "client_secret": {"s"}, "grant_type": {"client_credentials"}, "scope": {"openid"}}
	got := post(t, client, p.TokenURL(), form)
	if got["refresh_token"] != nil || got["id_token"] != nil {
		t.Errorf("got more than an access token: %v", got)
	}
	for _, user := range []string{me, "you@corp.test"} {
		c := dial(t, p.PlainAddr, nil)
		c.expect("220")
		c.do("EHLO x", "250")
		c.do("AUTH XOAUTH2 "+xoauth2(user, got["access_token"].(string)), "235")
	}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", p.UserinfoURL(), nil)
	req.Header.Set("Authorization", "Bearer "+got["access_token"].(string))
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("userinfo: %s", res.Status)
	}
}

func post(t *testing.T, client *http.Client, address string, form url.Values) map[string]any {
	t.Helper()
	res, err := client.PostForm(address, form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var v map[string]any
	if err := json.NewDecoder(res.Body).Decode(&v); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v %v", address, res.Status, v, err)
	}
	return v
}
