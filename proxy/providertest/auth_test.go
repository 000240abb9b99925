package providertest

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// TestAuth lists ways to log in that are accepted and refused. %T in a line stands for the response
// with a valid token.
func TestAuth(t *testing.T) {
	enc := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	tests := []struct {
		name  string
		opts  Options
		lines []string
	}{
		{"xoauth2 in one step", Options{}, []string{"AUTH XOAUTH2 %X|235 2.7.0"}},
		{"xoauth2 in two", Options{}, []string{"auth xoauth2|334 ", "%X|235 2.7.0"}},
		{"oauthbearer in one step", Options{}, []string{"AUTH OAUTHBEARER %B|235 2.7.0"}},
		{"oauthbearer in two", Options{}, []string{"AUTH OAUTHBEARER|334 ", "%B|235 2.7.0"}},
		{"long token in one step", Options{TokenSize: 3000}, []string{"AUTH XOAUTH2 %X|500 5.5.2"}},
		{"middling token in one step", Options{TokenSize: 600}, []string{"AUTH XOAUTH2 %X|500 5.5.6", "AUTH XOAUTH2|334", "%X|235"}},
		{"long token in two", Options{TokenSize: 3000}, []string{"AUTH XOAUTH2|334 ", "%X|235 2.7.0"}},
		{"refused, xoauth2", Options{}, []string{"AUTH XOAUTH2 " + xoauth2(me, "bad") + "|334 ey", "|535-5.7.8", "NOOP|250"}},
		{"refused, oauthbearer", Options{}, []string{"AUTH OAUTHBEARER " + bearer(me, "bad") + "|334 ey", "AQ==|535-5.7.8", "NOOP|250"}},
		{"wrong answer to the report", Options{}, []string{
			"AUTH XOAUTH2 " + xoauth2(me, "bad") + "|334 ", "AQ==|501 5.5.2",
			"AUTH OAUTHBEARER " + bearer(me, "bad") + "|334 ", "|501 5.5.2"}},
		{"report cancelled", Options{}, []string{"AUTH XOAUTH2 " + xoauth2(me, "bad") + "|334 ", "*|501 5.7.0"}},
		{"cancelled", Options{}, []string{"AUTH XOAUTH2|334 ", "*|501 5.7.0"}},
		{"not offered", Options{Mechanisms: []string{"OAUTHBEARER"}}, []string{"AUTH XOAUTH2 %X|504 5.5.4", "AUTH PLAIN|504", "AUTH|504"}},
		{"not base64", Options{}, []string{"AUTH XOAUTH2 !|501 5.5.2", "AUTH XOAUTH2 =|501 5.5.2"}},
		{"wrong form", Options{}, []string{
			"AUTH XOAUTH2 " + enc("user=a\x01auth=Bearer t\x01") + "|501",
			"AUTH XOAUTH2 " + enc("a\x01auth=Bearer t\x01\x01") + "|501",
			"AUTH XOAUTH2 " + enc("user=a\x01auth=Basic t\x01\x01") + "|501",
			"AUTH OAUTHBEARER " + enc("y,a=a,\x01auth=Bearer t\x01\x01") + "|501",
			"AUTH OAUTHBEARER " + enc("n,a=a,\x01port=x\x01auth=Bearer t\x01\x01") + "|501",
			"AUTH OAUTHBEARER " + enc("n,a=a,\x01auth=Bearer t\x01auth=Bearer u\x01\x01") + "|501",
			"AUTH OAUTHBEARER " + enc("n,a=a=b,\x01auth=Bearer t\x01\x01") + "|501",
		}},
		{"token of another account", Options{}, []string{"AUTH XOAUTH2 " + xoauth2("you@corp.test", "%T") + "|535 5.7.3"}},
		{"three refusals", Options{}, []string{
			"AUTH XOAUTH2 " + xoauth2(me, "bad") + "|334 ", "|535-5.7.8",
			"AUTH XOAUTH2 " + xoauth2(me, "bad") + "|334 ", "|535-5.7.8",
			"AUTH XOAUTH2 " + xoauth2(me, "bad") + "|334 ", "|535-5.7.8"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, tt.opts)
			token := p.accessToken(t, me)
			responses := strings.NewReplacer("%X", xoauth2("ME@corp.test", token), "%B", bearer(me, token),
				xoauth2("you@corp.test", "%T"), xoauth2("you@corp.test", token))
			c := dial(t, p.PlainAddr, nil)
			c.expect("220 ")
			c.do("EHLO c.test", "250-")
			last := ""
			for _, line := range tt.lines {
				i := strings.LastIndex(line, "|")
				last = c.do(responses.Replace(line[:i]), line[i+1:])
			}
			n := p.Counts()
			if strings.HasPrefix(last, "235") != (n.Auths == 1) {
				t.Errorf("counts %+v after %q", n, last)
			}
			if tt.name == "three refusals" {
				c.expect("421 4.7.0")
				c.ended()
				if n.AuthFailures != 3 {
					t.Errorf("counts %+v", n)
				}
			}
		})
	}
}

// TestReport decodes the challenge that follows a refused token.
func TestReport(t *testing.T) {
	p := start(t, Options{})
	c := dial(t, p.PlainAddr, nil)
	c.expect("220 ")
	c.do("EHLO c.test", "250-")
	challenge := c.do("AUTH XOAUTH2 "+xoauth2(me, "bad"), "334 ")
	text, err := base64.StdEncoding.DecodeString(challenge[4:])
	if err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(text, &got); err != nil || got != (report{"invalid_token", "bearer", defaultScope}) {
		t.Errorf("report %s (%v)", text, err)
	}
	c.do("", "535-5.7.8 Username and Password not accepted. For more information, go to\n535 5.7.8  https://")
}

func FuzzBearer(f *testing.F) {
	f.Add(true, "user=me@corp.test\x01auth=Bearer t\x01\x01")
	f.Add(false, "n,a=me=2C@corp.test,\x01host=h\x01port=1\x01auth=Bearer t\x01\x01")
	f.Fuzz(func(t *testing.T, xoauth bool, response string) {
		mechanism := "OAUTHBEARER"
		if xoauth {
			mechanism = "XOAUTH2"
		}
		user, token, ok := parseBearer(mechanism, response)
		if ok && (user == "" || token == "" || strings.Contains(token, "\x01")) {
			t.Errorf("%q gives user %q, token %q", response, user, token)
		}
	})
}
