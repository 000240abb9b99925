package oauth

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/waxseal/waxseal/keystore"
)

// TestPaste brings a redirect home that a browser elsewhere could not deliver, in whatever form people
// copy it.
func TestPaste(t *testing.T) {
	for name, form := range map[string]func(string) string{
		"as it is":              func(a string) string { return a },
		"with blanks":           func(a string) string { return " " + a + "\n" },
		"quoted":                func(a string) string { return `"` + a + `"` },
		"by https":              func(a string) string { return strings.Replace(a, "http:", "https:", 1) },
		"without scheme":        func(a string) string { return strings.TrimPrefix(a, "http://") },
		"another port":          func(a string) string { return "http://127.0.0.1:1/callback?" + after(a, "?") },
		"another path":          func(a string) string { return strings.Replace(a, "/callback", "/other", 1) },
		"another host":          func(a string) string { return strings.Replace(a, "127.0.0.1", "localhost", 1) },
		"with a fragment":       func(a string) string { return a + "#_=_" },
		"in a fragment":         func(a string) string { return strings.Replace(a, "?", "#", 1) },
		"the query":             func(a string) string { return "?" + after(a, "?") },
		"the query, bare":       func(a string) string { return after(a, "?") },
		"with more in it":       func(a string) string { return a + "&session_state=x" },
		"in typographic quotes": func(a string) string { return "“" + a + "”" },
		"in backticks":          func(a string) string { return "`" + a + "`" },
		"in brackets":           func(a string) string { return "<" + a + ">" },
		"in a sentence":         func(a string) string { return "It says: " + a + ", what now?" },
		"in lines of 40":        func(a string) string { return inLines(a, 40) },
		"in lines of 7":         func(a string) string { return inLines(a, 7) },
		"in lines, CRLF":        func(a string) string { return strings.ReplaceAll(inLines(a, 40), "\n", "\r\n") },
		"in lines, indented":    func(a string) string { return strings.ReplaceAll(inLines(a, 40), "\n", "\n  ") },
		"pasted in brackets":    func(a string) string { return "\x1b[200~" + a + "\x1b[201~" },
		"encoded":               url.QueryEscape,
		"encoded twice":         func(a string) string { return url.QueryEscape(url.QueryEscape(a)) },
		"values encoded twice": func(a string) string {
			return upTo(a, "?") + "?" + strings.ReplaceAll(after(a, "?"), "%", "%25")
		},
		"a filter's link": func(a string) string {
			return "https://eur01.safelinks.example/?url=" + url.QueryEscape(a) + "&data=05%7C02%7C&reserved=0"
		},
		"from HTML":        func(a string) string { return strings.ReplaceAll(a, "&", "&amp;") },
		"a markdown link":  func(a string) string { return "[link](" + a + ")" },
		"with tracking":    func(a string) string { return a + "&utm_source=x&fbclid=y" },
		"with a full stop": func(a string) string { return a + "." },
		"state last":       func(a string) string { return reordered(a, "code", "state") },
		"state first":      func(a string) string { return reordered(a, "state", "code") },
		"by ::1":           func(a string) string { return strings.Replace(a, "127.0.0.1", "[::1]", 1) },
		"capitals":         func(a string) string { return strings.Replace(a, "http:", "HTTP:", 1) },
		"of curl":          func(a string) string { return "curl '" + a + "' -H 'User-Agent: x'" },
		"a form":           func(a string) string { return strings.Replace(after(a, "?"), "&", "\n", -1) },
		"a form as listed": func(a string) string {
			v, _ := url.ParseQuery(after(a, "?"))
			return "code: " + v.Get("code") + "\nstate: " + v.Get("state") + "\nsession_state: x"
		},
		"a form as a table": func(a string) string {
			v, _ := url.ParseQuery(after(a, "?"))
			return "code\t" + v.Get("code") + "\nstate\t" + v.Get("state")
		},
		"a form as JSON": func(a string) string {
			v, _ := url.ParseQuery(after(a, "?"))
			return `{"code": "` + v.Get("code") + `", "state": "` + v.Get("state") + `"}`
		},
		"a scheme of theirs": func(a string) string { return "com.example.mail:/oauth?" + after(a, "?") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newConsentProvider(t)
			g := p.grant(t, me, keystore.Memory())
			var pasting sync.WaitGroup
			ctx, giveUp := context.WithCancel(t.Context())
			defer giveUp()
			err := g.Consent(ctx, func(page string) error {
				address := form(callbackOf(t, page))
				pasting.Go(func() {
					if err := Paste(t.Context(), page, address); err != nil {
						t.Errorf("%q: %v", address, err)
						giveUp()
					}
				})
				return nil
			}, nil)
			pasting.Wait()
			if err != nil {
				t.Fatal(err)
			}
			wantToken(t, g, "access of "+me)
		})
	}
}

func inLines(a string, width int) string {
	var lines []string
	for len(a) > width {
		lines, a = append(lines, a[:width]), a[width:]
	}
	return strings.Join(append(lines, a), "\n")
}

func upTo(s, sep string) string {
	s, _, _ = strings.Cut(s, sep)
	return s
}

// reordered is an address with these fields alone, in this order.
func reordered(a string, names ...string) string {
	v, _ := url.ParseQuery(after(a, "?"))
	var fields []string
	for _, name := range names {
		fields = append(fields, name+"="+url.QueryEscape(v.Get(name)))
	}
	return upTo(a, "?") + "?" + strings.Join(fields, "&")
}

// after is the part of s after the first sep, or "".
func after(s, sep string) string {
	_, rest, _ := strings.Cut(s, sep)
	return rest
}

func TestPasteOfSomethingElse(t *testing.T) {
	p := newConsentProvider(t)
	g := p.grant(t, me, keystore.Memory())
	var page, address string
	var pasting sync.WaitGroup
	err := g.Consent(t.Context(), func(url string) error {
		page, address = url, callbackOf(t, url)
		field := func(name string) string {
			_, rest, _ := strings.Cut(address, name+"=")
			return upTo(rest, "&")
		}
		for name, wrong := range map[string]string{
			"nothing":               "",
			"words":                 "what do I paste?",
			"the page":              url,
			"another state":         strings.Replace(address, "state=", "state=x", 1),
			"no state":              "http://127.0.0.1:1/callback?code=x",
			"no answer":             strings.Split(address, "?")[0],
			"the code alone":        "4/0AbCdEf",
			"another page's":        "https://x.example/?state=mine&code=1 " + url,
			"its code, with a name": "code=" + field("code"),
			"code_challenge alone":  "code_challenge=x&state=" + field("state"),
			"two of them":           address + " " + strings.Replace(address, "code=", "code=x", 1),
		} {
			if err := Paste(t.Context(), url, wrong); !errors.Is(err, ErrNotCallback) || strings.Contains(err.Error(), "code=x") {
				t.Errorf("%s: %v", name, err)
			}
		}
		pasting.Go(func() {
			if err := Paste(t.Context(), url, address); err != nil {
				t.Error(err)
			}
		})
		return nil
	}, nil)
	pasting.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := Paste(t.Context(), page, address); err == nil || strings.Contains(err.Error(), "code=") {
		t.Errorf("when nobody waits any more: %v", err)
	}
	if err := Paste(t.Context(), "https://login.example/", address); !errors.Is(err, ErrNotCallback) {
		t.Errorf("a page without redirect: %v", err)
	}
}

func FuzzPasted(f *testing.F) {
	for _, s := range []string{
		"http://127.0.0.1:1/?code=a&state=STATE", "code: a\nstate: STATE", "%3Fcode%3Da%26state%3DSTATE", "?error=x&amp;state=STATE", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		query, ok := pasted(text, "STATE")
		v, err := url.ParseQuery(query)
		if ok && (err != nil || v.Get("state") != "STATE" || v.Get("code") == "" && v.Get("error") == "") {
			t.Errorf("%q: %q", text, query)
		}
		if _, ok := pasted(text, ""); ok {
			t.Errorf("%q is taken for the answer to no sign-in", text)
		}
	})
}
