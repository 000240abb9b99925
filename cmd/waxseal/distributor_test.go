package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/waxseal/waxseal/proxy/config"
)

// TestBuiltClients builds the program as a distributor does (`make build CLIENTS=...`), and finds the client
// IDs in it; one in the configuration takes precedence.
func TestBuiltClients(t *testing.T) {
	const clients = "google=built-google:SECRET microsoft=built-microsoft"
	dir := t.TempDir()
	program := filepath.Join(dir, "waxseal-test.exe") // a name that Windows starts, and others do not mind
	build := exec.Command("go", "build", "-tags", "nogui", "-o", program, "-ldflags", "-X 'github.com/waxseal/waxseal/proxy/config.builtClients="+clients+"'", ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	path := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(path, []byte("[[provider]]\nid = \"microsoft\"\nclient_id = \"mine\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "providers", "--json", "--config", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []config.Provider
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{"google": "built-google", "microsoft": "mine", "outlook": ""} {
		for _, p := range list {
			if p.ID == id && p.ClientID != want {
				t.Errorf("%s has the client ID %q, want %q", id, p.ClientID, want)
			}
		}
	}
}
