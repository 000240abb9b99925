//go:build linux && clients

package main_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/e2e/marionette"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/ui/programs"
)

// thunderbird is a running Thunderbird with its own profile.
type thunderbird struct {
	*marionette.Thunderbird
	t *testing.T
	e endpoint
}

// startThunderbird starts Thunderbird on a screen, set up for the endpoint.
func startThunderbird(t *testing.T, e endpoint, display string) *thunderbird {
	t.Helper()
	profile := t.TempDir()
	port, err := strconv.Atoi(e.port())
	if err != nil {
		t.Fatal(err)
	}
	marionette.WriteProfile(t, profile, programs.Thunderbird(`user_pref("mail.accountmanager.accounts", "account1");
user_pref("mail.accountmanager.defaultaccount", "account1");
user_pref("mail.account.account1.identities", "id1");
user_pref("mail.account.account1.server", "server1");
user_pref("mail.server.server1.type", "none");
user_pref("mail.server.server1.hostname", "Local Folders");
user_pref("mail.server.server1.userName", "nobody");
user_pref("mail.identity.id1.useremail", "`+sender+`");
user_pref("mail.identity.id1.fullName", "Me");
user_pref("mail.identity.id1.valid", true);
`, programs.Values{User: sender, SMTP: &programs.Server{Protocol: api.SMTP, Host: e.host(), Port: port, Security: e.pick("none", "starttls", "tls")[0]}}))
	cmd := exec.Command("thunderbird", "--profile", profile, "--no-remote", "--marionette", "--remote-allow-system-access")
	runOnScreen(t, cmd, t.TempDir(), display)
	return &thunderbird{marionette.Connect(t, profile), t, e}
}

// send writes and sends a message. With trust, it accepts a certificate that Thunderbird shows, and
// sends again. said is what Thunderbird showed meanwhile.
func (b *thunderbird) send(trust bool, attachment string) (sent bool, said string) {
	b.t.Helper()
	script, err := os.ReadFile("testdata/clients/thunderbird.js")
	if err != nil {
		b.t.Fatal(err)
	}
	var result struct {
		Sent bool
		Said []string
	}
	b.Script(string(script), &result, b.e.to, text, attachment, b.e.password, trust)
	return result.Sent, strings.Join(result.Said, "\n")
}
