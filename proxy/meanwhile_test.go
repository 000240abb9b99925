package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// A sign-in succeeded although its account was removed or changed in the meantime, but its
// token was stored for an account that no longer existed, or the account still asked for a
// sign-in.
func TestAccountChangesDuringItsSignIn(t *testing.T) {
	for name, change := range map[string]func(r *rig) error{
		"removed": func(r *rig) error { _, err := r.server.Remove(t.Context(), me); return err },
		"changed": func(r *rig) error {
			text, err := os.ReadFile(r.config)
			if err != nil {
				return err
			}
			text = bytes.Replace(text, []byte("max_connections = 10"), []byte("max_connections = 7"), 1)
			if err := os.WriteFile(r.config, text, 0o600); err != nil {
				return err
			}
			_, err = r.server.Reload(t.Context())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			_, err := r.server.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: me}}, func(p api.Prompt) error {
				if p.URL == "" {
					return nil
				}
				return change(r)
			})
			if !errors.Is(err, oauth.ErrClosed) {
				t.Errorf("the sign-in ended with %v", err)
			}
			_, err = r.secrets.Get(t.Context(), "refresh/"+me)
			if kept := name == "changed"; kept != (err == nil) || !kept && !errors.Is(err, keystore.ErrNotFound) {
				t.Errorf("the refresh token: %v", err)
			}
			if name == "changed" {
				r.login(me)
			}
		})
	}
}

// A stop waited for a change in progress: up to 24 s for a provider that did not answer the
// revocation of a consent.
func TestStopEndsAChangeInProgress(t *testing.T) {
	asked, left := make(chan struct{}, 1), make(chan struct{})
	provider := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // without this the server does not notice that the client leaves
		select {
		case asked <- struct{}{}:
		default:
		}
		select {
		case <-r.Context().Done():
		case <-left:
		}
	}))
	defer provider.Close()
	defer close(left)
	r := newRig(t, rigOptions{config: func(c *config.Config) { c.Providers[0].RevokeURL = provider.URL }})
	var removing sync.WaitGroup
	removing.Go(func() {
		note, err := r.server.Remove(t.Context(), me)
		if err != nil || !strings.Contains(note, "not given back") || !strings.Contains(note, context.Canceled.Error()) {
			t.Errorf("removing the account ended with %q, %v", note, err)
		}
	})
	<-asked
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	removing.Wait()
	if cfg, err := config.Load(r.config); err != nil || len(cfg.Accounts) > 0 {
		t.Errorf("the configuration has %d accounts, %v", len(cfg.Accounts), err)
	}
	for _, key := range []string{"refresh/" + me, mailbox.PasswordKey(me)} {
		if _, err := r.secrets.Get(t.Context(), key); !errors.Is(err, keystore.ErrNotFound) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
