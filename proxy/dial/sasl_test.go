package dial

import (
	"encoding/base64"
	"strings"
	"testing"
)

const report = `{"status":"401","schemes":"bearer mac","scope":"https://mail.example/"}`

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestMechanism(t *testing.T) {
	for offered, want := range map[string]string{
		"PLAIN OAUTHBEARER XOAUTH2": XOAUTH2, "login xoauth2": XOAUTH2, "OAUTHBEARER": OAUTHBEARER, "OAuthBearer PLAIN": OAUTHBEARER,
		"PLAIN LOGIN XOAUTH": "", "": "",
	} {
		if got := Mechanism(strings.Fields(offered)); got != want {
			t.Errorf("of %q: %q, want %q", offered, got, want)
		}
	}
}

func TestInitialResponse(t *testing.T) {
	for mech, want := range map[string]string{
		XOAUTH2:     "user=me=x,y@corp.example\x01auth=Bearer token-1\x01\x01",
		OAUTHBEARER: "n,a=me=3Dx=2Cy@corp.example,\x01host=::1\x01port=993\x01auth=Bearer token-1\x01\x01",
	} {
		if got, err := InitialResponse(mech, "me=x,y@corp.example", "[::1]:993", "token-1"); got != b64(want) || err != nil {
			t.Errorf("%s: %q, %v", mech, got, err)
		}
	}
	if got, err := InitialResponse(OAUTHBEARER, "me", "nowhere", "token-1"); err == nil || strings.Contains(err.Error(), "token-1") {
		t.Errorf("without a port: %q, %v", got, err)
	}
}

func TestControlCharactersInALogin(t *testing.T) {
	for _, s := range []string{"a\x01auth=Bearer x", "a\r\nb", "a\x00"} {
		if got, err := InitialResponse(XOAUTH2, s, "h:1", "t"); err == nil {
			t.Errorf("login %q: %q", s, got)
		}
		if got, err := InitialResponse(OAUTHBEARER, "me", "h:1", s); err == nil || strings.Contains(err.Error(), s) {
			t.Errorf("token: %q, %v", got, err)
		}
	}
}
