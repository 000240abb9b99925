//go:build linux

package main_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/assets"
	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/shared"
	"github.com/waxseal/waxseal/proxy"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestMetricsAsPrometheusReadsThem sends a message, and then has Prometheus' own tool read /metrics,
// which must also have a series for everything that the dashboard and the alert rules use. Those about
// etcd are a fleet's only.
func TestMetricsAsPrometheusReadsThem(t *testing.T) {
	text := metricsAfterOneMessage(t)
	fleet := metricsOfAFleet(t)
	for _, name := range []string{"waxseal_store_up", "waxseal_fleet_instances"} {
		if strings.Contains(text, name) {
			t.Errorf("a machine alone has %s", name)
		}
	}

	asked := regexp.MustCompile(`\b(waxseal|process|go)_[a-z_]+`)
	for _, name := range asked.FindAllString(string(assets.Dashboard)+string(assets.Alerts), -1) {
		if !regexp.MustCompile(`(?m)^` + name + `[{ ]`).MatchString(text + fleet) {
			t.Errorf("the dashboard or a rule uses %s, which has no series", name)
		}
	}
	if want := `waxseal_messages_total{result="sent"} 1`; !strings.Contains(text, want+"\n") {
		t.Errorf("no line %s", want)
	}
	if strings.Contains(text+fleet, "@") {
		t.Error("there is an address in a label")
	}

	promtool := findTool(t, "prometheus", "promtool")
	for _, text := range []string{text, fleet} {
		check := exec.Command(promtool, "check", "metrics")
		check.Stdin = strings.NewReader(text)
		if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool check metrics: %v\n%s", err, out)
		}
	}
}

// metricsOfAFleet is what /metrics serves of a machine whose accounts are in etcd.
func metricsOfAFleet(t *testing.T) string {
	t.Helper()
	store := shared.Open(shared.Options{Engine: shared.NewMemory(), Passphrase: "p", Instance: "mail-1", Work: 1})
	secrets, err := keystore.Open(keystore.EtcdKind, keystore.Place{Passphrase: "p", Etcd: func(string) (keystore.Backend, error) { return store.Secrets(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { secrets.Close() })
	<-store.Loaded()
	cfg := config.Default()
	cfg.Keystore, cfg.Etcd.Endpoints, cfg.Metrics = keystore.EtcdKind, []string{"http://127.0.0.1:2379"}, "127.0.0.1:0"
	server, err := proxy.New(proxy.Options{Config: cfg, Secrets: secrets, Instance: "mail-1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Shutdown(context.Background()) })
	return scrape(t, server)
}

// metricsAfterOneMessage is what /metrics serves after one message was sent.
func metricsAfterOneMessage(t *testing.T) string {
	t.Helper()
	provider, err := providertest.Start(providertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { provider.Close() })
	dir := t.TempDir()
	ca, err := provider.WriteCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "config.toml")
	writeFile(t, file, configFor(provider, ca)+"max_per_minute = 30\nmax_messages_per_day = 500\n") // or there are no series of limits
	config, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	config.Providers[0].MaxPerMinute, config.Providers[0].MaxRecipients = new(30), new(500)
	server, err := proxy.New(proxy.Options{Config: config, ConfigPath: file, Secrets: keystore.Memory()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	<-server.Ready()
	if _, err := server.Import(ctx, []byte(importFor(t, provider, "me@corp.example"))); err != nil {
		t.Fatal(err)
	}

	c := dialSMTP(t, server.Snapshot().Listeners[0].Address)
	c.login("me@corp.example")
	c.want(250, "MAIL FROM:<me@corp.example>")
	c.want(250, "RCPT TO:<you@else.example>")
	c.want(354, "DATA")
	c.send([]byte("Subject: one\r\n\r\n.\r\n"))
	c.want(250, "")
	c.want(221, "QUIT")

	return scrape(t, server)
}

// scrape is what a server answers to Prometheus.
func scrape(t *testing.T, server *proxy.Server) string {
	t.Helper()
	w := httptest.NewRecorder()
	server.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("/metrics answered %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}
