package oauth

import (
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/keystore"
)

// Another user of the computer reads the state from the browser's arguments. With a code of their own
// they ended the sign-in, or took it over where the provider does not say who signed in.
func TestConsentAnswersItsOwnUserOnly(t *testing.T) {
	for _, tool := range []string{"setpriv", "curl", "bash"} {
		if _, err := exec.LookPath(tool); err != nil || os.Getuid() != 0 {
			t.Skip("NOT TESTED: another user's answer to a sign-in. It needs root, setpriv (of util-linux), curl and bash.")
		}
	}
	p, b, secrets := newConsentProvider(t), newBrowser(t), keystore.Memory()
	g := p.grant(t, me, secrets)
	err := g.Consent(t.Context(), func(address string) error {
		u, err := url.Parse(address)
		if err != nil {
			return err
		}
		back := redirectOf(t, address)
		for _, query := range []url.Values{{"state": {u.Query().Get("state")}, "code": {"mallory's"}}, {"state": {"guessed"}}, {}} {
			back.RawQuery = query.Encode()
			out, err := exec.CommandContext(t.Context(), "setpriv", "--reuid=54321", "--regid=54321", "--clear-groups",
				"curl", "-sSi", "--noproxy", "*", "--max-time", "20", back.String()).CombinedOutput()
			if err != nil || !strings.HasPrefix(string(out), "HTTP/1.1 403 ") || !strings.Contains(string(out), "Another user of this computer") {
				t.Errorf("another user gets %v:\n%s", err, out)
			}
		}
		// A request that nobody waits for: whose it was is known only until it is closed.
		hitAndRun := `exec 3<>/dev/tcp/127.0.0.1/$1; printf 'GET %s HTTP/1.1\r\nHost: %s\r\n\r\n' "$2" "$3" >&3`
		back.RawQuery = url.Values{"state": {u.Query().Get("state")}, "code": {"mallory's"}}.Encode()
		for range 20 {
			out, err := exec.CommandContext(t.Context(), "setpriv", "--reuid=54321", "--regid=54321", "--clear-groups",
				"bash", "-c", hitAndRun, "bash", back.Port(), back.RequestURI(), back.Host).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
		return b.open(address)
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if page := <-b.pages; !strings.Contains(page, "Signed in") {
		t.Errorf("its own user's browser shows %s", page)
	}
	if got, err := secrets.Get(t.Context(), "refresh/"+me); err != nil || parseStored(got).value != "refresh of "+me {
		t.Errorf("stored %q, %v", got, err)
	}
}
