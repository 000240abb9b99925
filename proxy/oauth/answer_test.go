package oauth

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/proxy/breaker"
)

const page200 = "<!DOCTYPE html><html><title>Welcome to the hotel</title></html>"

// Odd answers say what they are, and count as the endpoint's failure.
func TestOddAnswers(t *testing.T) {
	huge := `{"access_token":"` + strings.Repeat("a", maxAnswer) + `","expires_in":3600}`
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"HTML", answers(200, page200), "a web page instead of a token"},
		{"HTML 404", answers(404, page200), "404 Not Found: a web page instead of a token"},
		{"empty", answers(200, ""), "an empty answer"},
		{"blanks", answers(200, " \r\n"), "an empty answer"},
		{"text", answers(200, "access_token a, expires_in 3600"), "not a JSON object"},
		{"a form without a token", answers(200, "token=a&expires_in=3600"), "not a JSON object"},
		{"list", answers(200, "[]"), "not a JSON object"},
		{"half", answers(200, `{"access_token":"a"`), "not a JSON object"},
		{"another shape", answers(200, `{"access_token":{"a":1},"expires_in":3600}`), "without access_token"},
		{"no token", answers(200, `{"expires_in":3600}`), "without access_token"},
		{"line end in token", answers(200, `{"access_token":"a\r\nb","expires_in":3600}`), "characters that no token may have"},
		{"separator in token", answers(200, `{"access_token":"a\u0001b","expires_in":3600}`), "characters that no token may have"},
		{"another type", answers(200, `{"access_token":"a","token_type":"mac","expires_in":3600}`), `a token of type "mac"`},
		{"huge", answers(200, huge), "an answer of more than 256 KiB"},
		{"redirect", answers(302, "", "Location", "https://elsewhere.example/token?x=1"), "302 Found: it sends the request to elsewhere.example;"},
		{"permanent redirect", answers(308, "", "Location", "/token2"), "308 Permanent Redirect: it sends the request to another path"},
		{"JSON without a reason", answers(400, `{}`), "400 Bad Request: it gives no reason"},
		{"drop", drop, "the connection broke"},
		{"drop in mid-answer", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte(`{"access_token"`))
			http.NewResponseController(w).Flush()
			drop(w, r)
		}, "the connection broke"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.endpoint.says(tt.answer)
				for range 5 {
					_, err := r.Token(t.Context())
					fault, ok := errors.AsType[*EndpointError](err)
					if !ok || fault.URL != endpointHost || !strings.Contains(fault.Error(), tt.want) {
						t.Fatalf("Token = %v, want an EndpointError with %q", err, tt.want)
					}
				}
				r.endpoint.wantRequests(t, 5)
				if s := r.breaker.Status(); s.State != breaker.Open || !strings.Contains(s.Cause, tt.want) {
					t.Errorf("not counted as the endpoint's failure: %+v", s)
				}
				r.wantKept(t, "refresh-1")
				time.Sleep(31 * time.Second)
				r.endpoint.says(nil)
				wantToken(t, r.Grant, "access-6")
			})
		})
	}
}

// TestWebPages: what stands on the way answers with pages and redirects. People were only told that the
// server does not respond.
func TestWebPages(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		reason Reason
	}{
		"a hotel's page":       {answers(200, page200, "Content-Type", "text/html"), WebPage},
		"a filter's page":      {answers(403, page200, "Content-Type", "text/html"), WebPage},
		"a filter's own login": {answers(403, page200, "WWW-Authenticate", "Basic realm=filter"), WebPage},
		"no such page":         {answers(404, page200), WebPage},
		"a redirect":           {answers(302, "", "Location", "https://portal.example/login?next=x"), WebPage},
		"RFC 6585":             {answers(511, page200), WebPage},
		"a gateway's page":     {answers(502, page200), Passing},
		"a page of the server": {answers(503, page200, "Retry-After", "3600"), Passing},
		"text":                 {answers(200, "welcome"), OddAnswer},
	} {
		inBubble(t, name, func(t *testing.T) {
			r := newRig(t)
			r.endpoint.says(tt.answer)
			_, err := r.Token(t.Context())
			if ReasonOf(err) != tt.reason || strings.Contains(err.Error(), "next=") {
				t.Errorf("Token = %s, %v; want %s", ReasonOf(err), err, tt.reason)
			}
			r.wantKept(t, "refresh-1")
		})
	}
}

// Answers that are fine although others would not send them.
func TestFineAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		answer string
		life   time.Duration
	}{
		"fraction":               {`{"access_token":"a","expires_in":3599.5}`, 3599500 * time.Millisecond},
		"exponent":               {`{"access_token":"a","expires_in":3.6e3}`, time.Hour},
		"a string":               {`{"access_token":"a","expires_in":"3600"}`, time.Hour},
		"a string of a fraction": {`{"access_token":"a","expires_in":" 59.5 "}`, 59500 * time.Millisecond},
		"absent":                 {`{"access_token":"a"}`, defaultLife},
		"null":                   {`{"access_token":"a","expires_in":null}`, defaultLife},
		"lower case":             {`{"access_token":"a","token_type":"bearer","expires_in":60}`, time.Minute},
		"more in it":             {`{"access_token":"a","expires_in":60,"id_token":"x","scope":["a"],"foo":{}}`, time.Minute},
		"century":                {`{"access_token":"a","expires_in":1e18}`, maxLife * time.Second},
		"blanks first":           {"\r\n {\"access_token\":\"a\",\"expires_in\":60}", time.Minute},
		"a string of nothing":    {`{"access_token":"a","expires_in":""}`, defaultLife},
		"a word":                 {`{"access_token":"a","expires_in":"soon"}`, defaultLife},
		"the word null":          {`{"access_token":"a","expires_in":"null"}`, defaultLife},
		"a list":                 {`{"access_token":"a","expires_in":[1]}`, defaultLife},
		"zero, for no end":       {`{"access_token":"a","expires_in":0}`, defaultLife},
		"a string of zero":       {`{"access_token":"a","expires_in":"0"}`, defaultLife},
		"negative":               {`{"access_token":"a","expires_in":-5}`, defaultLife},
		"not a number":           {`{"access_token":"a","expires_in":"NaN"}`, defaultLife},
		"without end":            {`{"access_token":"a","expires_in":"Inf"}`, maxLife * time.Second},
		"beyond floats":          {`{"access_token":"a","expires_in":1e999}`, maxLife * time.Second},
		"two of them":            {`{"access_token":"a","expires_in":60,"ext_expires_in":7200}`, time.Minute},
		"type with blanks":       {`{"access_token":"a","token_type":" BEARER ","expires_in":60}`, time.Minute},
		"type null":              {`{"access_token":"a","token_type":null,"expires_in":60}`, time.Minute},
		"type a list":            {`{"access_token":"a","token_type":["Bearer"],"expires_in":60}`, time.Minute},
		"no new refresh token":   {`{"access_token":"a","refresh_token":"","expires_in":60}`, time.Minute},
		"refresh token null":     {`{"access_token":"a","refresh_token":null,"expires_in":60}`, time.Minute},
		"no error":               {`{"access_token":"a","error":false,"error_description":"","expires_in":60}`, time.Minute},
		"error null":             {`{"access_token":"a","error":null,"expires_in":60}`, time.Minute},
		"names in camel case":    {`{"accessToken":"a","expiresIn":60}`, time.Minute},
		"names in capitals":      {`{"ACCESS_TOKEN":"a","EXPIRES_IN":60}`, time.Minute},
		"byte order mark":        {"\ufeff{\"access_token\":\"a\",\"expires_in\":60}", time.Minute},
		"UTF-16":                 {"\xff\xfe{\x00\"\x00a\x00c\x00c\x00e\x00s\x00s\x00_\x00t\x00o\x00k\x00e\x00n\x00\"\x00:\x00\"\x00a\x00\"\x00}\x00", defaultLife},
		"Latin-1":                {"{\"access_token\":\"a\",\"expires_in\":60,\"note\":\"gr\xfc\xdfe\"}", time.Minute},
		"a remark behind it":     {`{"access_token":"a","expires_in":60}<!-- 12 ms -->`, time.Minute},
		"a form, as of GitHub":   {"access_token=a&expires_in=60&refresh_token=r&scope=&token_type=bearer", time.Minute},
	} {
		a, err := parse(reply{status: 200, body: []byte(tt.answer), clean: strings.Clone})
		if err != nil || a.access != "a" || a.life != tt.life {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// Providers that rotate may revoke everything when the old refresh token comes again, so the new one
// counts even where the rest of the answer is of no use.
func TestOddAnswerWithNewRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
			if req.PostForm.Get("refresh_token") == "refresh-1" {
				answers(200, `{"access_token":"a","refresh_token":"refresh-2","token_type":"mac"}`)(w, req)
				return
			}
			r.wantKept(t, "refresh-2") // stored before it is used
			writeToken(w, "access", "refresh-3", 3600)
		})
		wantToken(t, r.Grant, "access")
		r.endpoint.wantRequests(t, 2)
		r.wantKept(t, "refresh-3")
	})
}

// A provider that rotates has replaced the refresh token when its answer is cut off. The new one is used
// if it came whole, and so is the whole answer: asking again with the old one could end the consent.
func TestAnswerCutOff(t *testing.T) {
	cut := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "500")
			io.WriteString(w, body)
			http.NewResponseController(w).Flush()
			drop(w, r)
		}
	}
	for name, tt := range map[string]struct {
		first    http.HandlerFunc
		token    string // of the first call; "" where it fails
		requests int
		kept     string
	}{
		"after everything":           {cut(`{"access_token":"a","refresh_token":"refresh-2"}`), "a", 1, "refresh-2"},
		"after the refresh token":    {cut(`{"access_token":"a","refresh_token":"refresh-2","sco`), "access", 2, "refresh-3"},
		"in mid-token":               {cut(`{"access_token":"a","refresh_token":"refre`), "", 1, "refresh-1"},
		"in a form":                  {cut(`access_token=a&refresh_token=refre`), "", 1, "refresh-1"},
		"and said to be complete":    {answers(200, `{"access_token":"a","refresh_token":"refresh-2","sco`), "access", 2, "refresh-3"},
		"in mid-token, said to be":   {answers(200, `{"access_token":"a","refresh_token":"refre`), "", 1, "refresh-1"},
		"500 after the new token":    {answers(500, `{"refresh_token":"refresh-2","error":"server_error"}`), "access", 2, "refresh-3"},
		"gateway's 502":              {answers(502, `{"error":"temporarily_unavailable"}`), "", 1, "refresh-1"},
		"gateway's 504":              {answers(504, `{"error":"temporarily_unavailable"}`), "", 1, "refresh-1"},
		"too early, so not replaced": {answers(425, ""), "access", 2, "refresh-2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				n := 0
				r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
					if n++; n == 1 {
						tt.first(w, req)
						return
					}
					next := map[string]string{"refresh-1": "refresh-2", "refresh-2": "refresh-3"}[req.PostForm.Get("refresh_token")]
					writeToken(w, "access", next, 3600)
				})
				got, err := r.Token(t.Context())
				if got.Value != tt.token || (err == nil) != (tt.token != "") {
					t.Errorf("Token = %q, %v; want %q", got.Value, err, tt.token)
				}
				r.endpoint.wantRequests(t, tt.requests)
				r.wantKept(t, tt.kept)
			})
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"access_token":"a","expires_in":3600,"refresh_token":"r"}`,
		`{"error":"invalid_grant","error_description":"AADSTS70000: x\r\nTrace ID: y"}`,
		`{"access_token":"a","expires_in":"3600"}`,
		`{"access_token":"\u0001","expires_in":1e400}`,
		page200, "", "[]", "null", `{"error":{}}`,
	} {
		f.Add(200, []byte(s))
		f.Add(400, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, data []byte) {
		a, err := parse(reply{status: status, header: http.Header{}, body: data, clean: func(s string) string { return clean(s, "secret") }})
		_, isFault := errors.AsType[*EndpointError](err)
		_, isRefusal := errors.AsType[*RefusedError](err)
		switch {
		case a.refresh != "" && !printable(a.refresh):
			t.Errorf("refresh token %q", a.refresh)
		case err == nil && (!printable(a.access) || a.life < time.Second || a.life > maxLife*time.Second):
			t.Errorf("accepted %+v", a)
		case err != nil && !isFault && !isRefusal:
			t.Errorf("an error of another kind: %v", err)
		case err != nil && (a.access != "" || len(err.Error()) > 3*maxWords || strings.ContainsAny(err.Error(), "\r\n")):
			t.Errorf("%+v with %q", a, err)
		}
	})
}
