package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/config"
)

// TestConfigurationInScaling: the configuration in docs/scaling.md can be loaded, and its paths are those of the unit.
func TestConfigurationInScaling(t *testing.T) {
	page, err := os.ReadFile("../../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	unit, err := os.ReadFile("../../assets/waxseal@.service")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(page), "\n    hostname ")
	text, _, ended := strings.Cut(after, "\n[Waxseal on a server]")
	if !found || !ended {
		t.Fatal("there is no configuration")
	}
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte("hostname "+strings.ReplaceAll(text, "\n    ", "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{cfg.Etcd.CAFile, cfg.Etcd.CertFile, cfg.Etcd.KeyFile} {
		folder, name := filepath.Split(path)
		if folder != "/run/credentials/waxseal@mail-1.service/" || !strings.Contains(string(unit), "\nLoadCredential="+name+":/etc/waxseal/"+name+"\n") {
			t.Errorf("the unit gives no %s", path)
		}
	}
	if cfg.Keystore != keystore.EtcdKind || cfg.DrainDelay == 0 || len(cfg.ProxyProtocol.From) == 0 {
		t.Errorf("%+v", cfg)
	}
}

// TestConfigurationForKubernetes: the configuration in docs/kubernetes.yaml can be loaded and has what a fleet needs.
// `make kubernetes` checks the rest of that file.
func TestConfigurationForKubernetes(t *testing.T) {
	data, err := os.ReadFile("../../docs/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(data), "\n  config.toml: |\n")
	text, _, ended := strings.Cut(after, "\n---\n")
	if !found || !ended {
		t.Fatal("there is no config.toml")
	}
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll("\n"+text, "\n    ", "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Keystore != keystore.EtcdKind || len(cfg.Etcd.Endpoints) != 3 || cfg.DrainDelay == 0 || cfg.Metrics == "" || cfg.TLS.Key == "" || cfg.Hostname == "" {
		t.Errorf("%+v", cfg)
	}
	for _, l := range cfg.Listeners() {
		if !strings.HasPrefix(l.Address, "0.0.0.0:") {
			t.Errorf("%s %s cannot be reached from outside the pod", l.Protocol, l.Address)
		}
	}
}
