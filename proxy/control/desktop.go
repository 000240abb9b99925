package control

import (
	"context"
	"net/http"

	"github.com/waxseal/waxseal/proxy/api"
)

// Activity lists the messages that ended after the one with the Seq after.
func (c *Client) Activity(ctx context.Context, after uint64) (a []api.Activity, err error) {
	err = c.call(ctx, http.MethodPost, "/activity", activityRequest{after}, &a)
	return a, err
}

// SetPaused pauses and resumes accepting mail.
func (c *Client) SetPaused(ctx context.Context, paused bool) error {
	return c.call(ctx, http.MethodPost, "/pause", pauseRequest{paused}, nil)
}

// UnlockKeystore has the instance's keychain ask the user to unlock it; see
// [proxy.Server.UnlockKeystore].
func (c *Client) UnlockKeystore(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/unlock", struct{}{}, nil)
}

// MailSettings answers what to enter in a mail program for an account. With renew
// it makes a new local password first.
func (c *Client) MailSettings(ctx context.Context, address string, renew bool) (s api.MailSettings, err error) {
	err = c.call(ctx, http.MethodPost, "/mail-settings", addressRequest{Address: address, Renew: renew}, &s)
	return s, err
}

// Settings answers the current settings.
func (c *Client) Settings(ctx context.Context) (s api.Settings, err error) {
	err = c.call(ctx, http.MethodGet, "/settings", nil, &s)
	return s, err
}

// Configure changes settings; see [proxy.Server.Configure].
func (c *Client) Configure(ctx context.Context, to api.SettingsChange) (notes []string, err error) {
	err = c.call(ctx, http.MethodPost, "/configure", to, &notes)
	return notes, err
}

// Certificate answers the certificate for local TLS.
func (c *Client) Certificate(ctx context.Context) (i api.Certificate, err error) {
	err = c.call(ctx, http.MethodGet, "/certificate", nil, &i)
	return i, err
}

// Show brings the instance's window to the front, or opens it, on a page, for an
// account if the page is about one.
func (c *Client) Show(ctx context.Context, page, account string) error {
	return c.call(ctx, http.MethodPost, "/show", Page{page, account}, nil)
}

// Quit ends the instance. It returns as soon as the instance has accepted that.
func (c *Client) Quit(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/quit", struct{}{}, nil)
}
