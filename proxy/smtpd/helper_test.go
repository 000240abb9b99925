package smtpd

import (
	"context"
	"crypto/tls"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/history"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const me = "me@corp.test"

// working is a server with an account at a running provider. Most tests of this package's behaviour
// are those of package proxy, with a whole program around it.
func working(t *testing.T) (*providertest.Provider, *Server, *mailbox.Mailbox) {
	t.Helper()
	provider, err := providertest.Start(providertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { provider.Close() })
	hall := mailbox.NewHall()
	hall.Log, hall.Secrets, hall.IdleTimeout = slog.New(slog.DiscardHandler), keystore.Memory(), time.Minute
	hall.Config = func() *config.Config { return new(config.Default()) }
	if hall.History, err = history.Open(""); err != nil {
		t.Fatal(err)
	}
	box := hall.New(api.Account{Address: me}, config.Provider{
		ID: "corp", Name: "Corp Mail", TokenURL: provider.TokenURL(), ClientID: "waxseal-test", SMTP: provider.PlainAddr, SMTPTLS: "none", MaxConnections: 2,
	}, mailbox.Parts{HTTP: oauth.HTTPClient(&tls.Config{RootCAs: provider.Pool()}, nil), Now: time.Now, Tokens: breaker.NewSet(breaker.Settings{}), Servers: breaker.NewSet(breaker.Settings{})})
	if _, err := box.Grant.Accept(t.Context(), provider.Grant(me)); err != nil {
		t.Fatal(err)
	}
	hall.Use(map[string]*mailbox.Mailbox{me: box})
	t.Cleanup(func() {
		hall.StopServing()
		hall.Kill()
		hall.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		box.Close(ctx)
	})
	return provider, New(hall), box
}
