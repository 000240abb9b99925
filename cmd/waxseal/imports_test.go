package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImportsPointOneWay checks the layout that docs/architecture.md describes: no window toolkit
// below the command, and no package that knows its users.
func TestImportsPointOneWay(t *testing.T) {
	const module = "github.com/waxseal/waxseal/"
	base := []string{"keystore", "keystore/safeio", "keystore/seal", "keystore/shared", "proxy/balancer", "proxy/breaker", "proxy/foreign", "proxy/localuser"}
	account := append([]string{"proxy/api", "proxy/config", "proxy/dial", "proxy/emailproxy", "proxy/envelope", "proxy/history", "proxy/machine",
		"proxy/oauth", "proxy/pace", "proxy/signin", "proxy/tcp", "proxy/upstream"}, base...) // an account at work
	session := append([]string{"proxy/mailbox", "proxy/prelogin", "proxy/splice"}, account...)
	engine := append([]string{"proxy/lending", "proxy/imapd", "proxy/localtls", "proxy/popd", "proxy/smtpd", "proxy/updates"}, session...)
	allowed := map[string][]string{
		"keystore/safeio":    {},
		"keystore/seal":      {},
		"keystore":           {"keystore/safeio", "keystore/seal"},
		"keystore/shared":    {"keystore", "keystore/safeio", "keystore/seal"},
		"keystore/etcd":      {"keystore", "keystore/safeio", "keystore/seal", "keystore/shared"},
		"assets":             {},
		"proxy/api":          {},
		"proxy/balancer":     {},
		"proxy/breaker":      {},
		"proxy/dialogue":     {},
		"proxy/envelope":     {},
		"proxy/pace":         {},
		"proxy/foreign":      {},
		"proxy/localuser":    {},
		"proxy/emailproxy":   {"keystore/safeio"},
		"proxy/localtls":     {"keystore/safeio"},
		"proxy/history":      {"keystore/safeio", "proxy/api", "proxy/pace"},
		"proxy/machine":      {"proxy/api", "proxy/localuser"},
		"proxy/tcp":          {},
		"proxy/prelogin":     {},
		"proxy/splice":       {"proxy/api"},
		"proxy/lending":      {"keystore", "keystore/safeio", "keystore/seal", "keystore/shared"},
		"proxy/mailbox":      account,
		"proxy/smtpd":        append([]string{"proxy/mailbox", "proxy/prelogin"}, account...),
		"proxy/imapd":        session,
		"proxy/popd":         session,
		"proxy/oauth":        base,
		"proxy/signin":       {"proxy/api"},
		"proxy/updates":      {"keystore/safeio", "proxy/api"},
		"proxy/dial":         append([]string{"proxy/oauth", "proxy/tcp"}, base...),
		"proxy/upstream":     append([]string{"proxy/dial", "proxy/oauth", "proxy/pace", "proxy/tcp"}, base...),
		"proxy/config":       append([]string{"proxy/api", "proxy/dial", "proxy/emailproxy", "proxy/oauth", "proxy/pace", "proxy/upstream", "proxy/tcp"}, base...),
		"proxy":              engine,
		"proxy/control":      append([]string{"proxy"}, engine...),
		"proxy/providertest": {},
		"ui/programs":        {"proxy/api"},
	}
	for pkg, may := range allowed {
		out, err := exec.Command("go", "list", "-deps", module+pkg).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", pkg, err)
		}
		for dep := range strings.Lines(string(out)) {
			dep = strings.TrimSpace(dep)
			own, ours := strings.CutPrefix(dep, module)
			if ours && own != pkg && !slices.Contains(may, own) {
				t.Errorf("%s imports %s", pkg, own)
			}
			if strings.HasPrefix(dep, "fyne.io/") {
				t.Errorf("%s imports %s", pkg, dep)
			}
		}
	}
}

// TestWindowKnowsNoDriverAndNoNetwork: whoever creates the window gives it a Fyne application, which
// draws it, and the window asks its backend for everything else.
func TestWindowKnowsNoDriverAndNoNetwork(t *testing.T) {
	const module = "github.com/waxseal/waxseal/"
	may := []string{"assets", "keystore/safeio", "proxy/api", "ui/programs", "ui/speech"}
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, module+"ui").Output()
	if err != nil {
		t.Fatalf("go list ui: %v", err)
	}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		own, ours := strings.CutPrefix(dep, module)
		switch {
		case ours && !slices.Contains(may, own),
			dep == "net" || dep == "net/http" || dep == "crypto/tls",
			dep == "fyne.io/fyne/v2/app" || strings.HasPrefix(dep, "fyne.io/fyne/v2/driver/") && dep != "fyne.io/fyne/v2/driver/desktop":
			t.Errorf("ui imports %s", dep)
		}
	}
}

// TestTrayKnowsNoWindow: the tray's process does not use the window system.
func TestTrayKnowsNoWindow(t *testing.T) {
	const module = "github.com/waxseal/waxseal/"
	may := []string{"assets", "keystore", "keystore/safeio", "keystore/seal", "proxy/api", "ui/speech"}
	out, err := exec.Command("go", "list", "-deps", module+"ui/tray").Output()
	if err != nil {
		t.Fatalf("go list ui/tray: %v", err)
	}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		own, ours := strings.CutPrefix(dep, module)
		toolkit := strings.HasPrefix(dep, "fyne.io/fyne/v2/") && dep != "fyne.io/fyne/v2/lang" && !strings.HasPrefix(dep, "fyne.io/fyne/v2/internal")
		if ours && own != "ui/tray" && !slices.Contains(may, own) || toolkit || strings.HasPrefix(dep, "github.com/go-gl/") {
			t.Errorf("ui/tray imports %s", dep)
		}
	}
}
