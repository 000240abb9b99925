package dial

import (
	"encoding/base64"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDecodeReport(t *testing.T) {
	for in, want := range map[string]Report{
		b64(report):                         {"401", "bearer mac", "https://mail.example/"},
		b64(`{"status":400}`):               {Status: "400"},
		b64(`{"status":"a\r\nb","x":[1]}`):  {Status: "a??b"},
		b64(`[]`):                           {},
		"":                                  {},
		"not base64!":                       {},
		b64(`{"scope":null,"schemes":"b"}`): {Schemes: "b"},

		strings.TrimRight(b64(report), "="):                            {"401", "bearer mac", "https://mail.example/"},
		strings.ReplaceAll(b64(report), "=", "") + " ":                 {"401", "bearer mac", "https://mail.example/"},
		b64(report)[:40] + " " + b64(report)[40:]:                      {"401", "bearer mac", "https://mail.example/"},
		base64.URLEncoding.EncodeToString([]byte(`{"status":"?>?>"}`)): {Status: "?>?>"},
		report: {"401", "bearer mac", "https://mail.example/"},
		b64(`{"status":"invalid_token","scope":"a b","openid-configuration":"https://x.example/"}`): {Status: "invalid_token", Scope: "a b"},
		b64(`{"scope":"` + strings.Repeat("ü", 150) + `"}`):                                         {Scope: strings.Repeat("ü", 100) + "…"},
	} {
		if got, _ := ReadReport(in, "token-1"); got != want {
			t.Errorf("%q: %+v", in, got)
		}
	}
}

// TestReportText: the text is fit to be shown, without the token that a server may repeat.
func TestReportText(t *testing.T) {
	const token = "ya29.marked-secret/of+many~letters_"
	for in, want := range map[string]string{
		b64(report):                         report,
		b64("{\"status\":\"\x1b[2J\"}"):     `{"status":"?[2J"}`,
		"not base64!":                       "",
		b64(`{"scope":"` + token + `"}`):    `{"scope":"***"}`,
		b64(strings.Repeat("ü", maxReport)): strings.Repeat("ü", maxReport/2) + "…",
	} {
		if _, got := ReadReport(in, token); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if r, text := ReadReport(b64(`{"status":"`+b64("user=me\x01auth=Bearer "+token)+`"}`), token); strings.Contains(r.Status+text, b64(token)[:20]) {
		t.Errorf("the report shows the token: %+v, %q", r, text)
	}
}

// FuzzReadReport: whatever a server says about a token, it is text, short, and without the token.
func FuzzReadReport(f *testing.F) {
	const token = "ya29.marked-secret/of+many~letters_"
	for _, seed := range []string{"", report, b64(report), b64(`{"scope":["` + token + `"]}`), b64(`{"status":{"a":1e400}}`), "not base64!", "{"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, challenge string) {
		r, text := ReadReport(challenge, token)
		for name, s := range map[string]string{"text": text, "status": r.Status, "schemes": r.Schemes, "scope": r.Scope} {
			if len(s) > maxReport*3+len("…") || strings.Contains(s, token) || strings.ContainsAny(s, "\r\n\x00\x1b") || name != "text" && len(s) > maxField*3+len("…") {
				t.Errorf("%s: %q", name, s)
			}
			if !utf8.ValidString(s) {
				t.Errorf("%s is not UTF-8: %q", name, s)
			}
		}
	})
}
