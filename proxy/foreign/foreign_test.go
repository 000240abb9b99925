package foreign

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// encodings are the ways in which a server was seen, or may be expected, to repeat what it heard.
var encodings = map[string]func(string) string{
	"plain":      func(s string) string { return s },
	"upper case": strings.ToUpper,
	"quoted":     func(s string) string { return fmt.Sprintf("%q", s) },
	"base64":     func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 +1":  func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x" + s + "y")) },
	"base64 +2":  func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte("xy" + s + "z")) },
	"XOAUTH2": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte("user=me@corp.example\x01auth=Bearer " + s + "\x01\x01"))
	},
	"AUTH PLAIN": func(s string) string { return base64.StdEncoding.EncodeToString([]byte("\x00me\x00" + s)) },
	"Basic":      func(s string) string { return basic("client-1", s) },
	"Basic of RFC 6749": func(s string) string {
		return basic("client-1", url.QueryEscape(s))
	},
	"base64 in lines": func(s string) string {
		return wrap(base64.StdEncoding.EncodeToString([]byte("me:"+s)), 9)
	},
	"base64 in a URL":  func(s string) string { return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))) },
	"query":            url.QueryEscape,
	"path":             url.PathEscape,
	"all escaped":      percent("%%%02X"),
	"lower case":       percent("%%%02x"),
	"escaped twice":    func(s string) string { return url.QueryEscape(percent("%%%02x")(s)) },
	"escaped thrice":   func(s string) string { return url.QueryEscape(url.QueryEscape(percent("%%%02x")(s))) },
	"half escaped":     func(s string) string { return percent("%%%02x")(s[:len(s)/2]) + s[len(s)/2:] },
	"every other byte": everyOther,
	"hex":              func(s string) string { return hex.EncodeToString([]byte("ab" + s)) },
	"HEX":              func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"hex dump":         func(s string) string { return strings.TrimSpace(fmt.Sprintf("% x", s)) },
	"hex with colons":  func(s string) string { return strings.ReplaceAll(fmt.Sprintf("% x", s), " ", ":") },
	"HTML":             html.EscapeString,
	"HTML decimal":     percent("&#%d;"),
	"HTML hexadecimal": percent("&#x%x;"),
	"HTML of a URL":    func(s string) string { return html.EscapeString(url.QueryEscape(s)) },
	"JSON":             func(s string) string { b, _ := json.Marshal(s); return string(b) },
	"JSON escaped":     percent(`\u%04x`),
	"JSON of a URL":    func(s string) string { b, _ := json.Marshal(url.QueryEscape(s)); return string(b) },
	"C string":         percent(`\x%02x`),
	"in lines":         func(s string) string { return wrap(s, 4) },
	"with NULs":        func(s string) string { return strings.Join(strings.Split(s, ""), "\x00") },
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func percent(format string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, format, c)
		}
		return b.String()
	}
}

func everyOther(s string) string {
	var b strings.Builder
	for i, c := range []byte(s) {
		if i%2 == 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func wrap(s string, width int) string {
	var b strings.Builder
	for i, c := range []byte(s) {
		if i > 0 && i%width == 0 {
			b.WriteString("\r\n")
		}
		b.WriteByte(c)
	}
	return b.String()
}

// TestSecretsInAnyEncoding: a secret is found in each encoding, whether it looks like a token or
// like words. Hide must find it too: it does not have the rule for opaque words to help.
func TestSecretsInAnyEncoding(t *testing.T) {
	for _, secret := range []string{
		"s3cret",
		"p&ss/w+rd \"%41=",
		"correct horse battery staple and many more words",
		"ya29.a0AfH6SMBx-TOKEN_of/many+letters==",
		"refresh-token-of-somebody-in-words",
	} {
		for name, encode := range encodings {
			text := "500 5.5.1 Command unrecognized: <" + encode(secret) + "> (try HELP)"
			want := "500 5.5.1 Command unrecognized: <"
			for _, got := range []string{Clean(text, "", "other", secret), New(secret).Hide(text)} {
				if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "> (try HELP)") {
					t.Errorf("%s of %q: %q; its surroundings must stay", name, secret, got)
				}
				if rest := strings.Trim(strings.TrimSuffix(strings.TrimPrefix(got, want), "> (try HELP)"), `"`); rest != "***" && rest != "Basic ***" {
					t.Errorf("%s of %q: %q", name, secret, got)
				}
			}
		}
	}
}

// TestPartOfASecret: what a server cuts off at a length limit is still most of a token.
func TestPartOfASecret(t *testing.T) {
	const secret = "this-token-is-made-of-words-only-and-goes-on"
	for _, part := range []string{secret[:20], secret[:30], secret[5:40], secret[len(secret)-20:]} {
		got := New(secret).Hide(`"` + part + `..."`)
		if got != `"***..."` {
			t.Errorf("%q: %q", part, got)
		}
	}
}

// TestOpaqueWords go even though nobody told of them: the code that the answer to another request
// holds, a session's ID.
func TestOpaqueWords(t *testing.T) {
	for _, word := range []string{
		"a0AfH6SMBxPqLmNoPqRsTuVw12345",
		"//0gAbCdEfGhIjKlMn-OpQrStUvWxYz",
		"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9",
		"EwB4A8l6BAAUO9chh8cJscQLmU+LSWpbnr0vmwwAAQ==",
		"M0_BAY!CgKzAbQ2RsT4UvW6Xyz*def$GhI",
		"abc8Q~dEfGhIjKlMnOpQrStUvWxYz0123456789",
		"GOCSPX-AbCdEfGhIjKlMnOpQrStUvWx",
		"gho_16C7e42F292c6912E7710c838347Ae178B4a",
		"AQABAAIAAAAtn_3pZLkfS4bTRa0Y9Ck2",
		"da39a3ee5e6b4b0d3255bfef95601890afd80709",
		"JBSWY3DPEHPK3PXPJBSWY3DPEH",
		"dXNlcj1tZUBjb3JwLmV4YW1wbGUBYXV0aD1CZWFyZXIg",
		"123456789012345678901234567890",
		"k3j9x2m8q1z7w5v4t6r0p2n8",
		percent("%%%02x")("a0AfH6SMBxPqLmNoPqRsTuVw12345"),
	} {
		for _, form := range []string{"%s", "token=%s;", "<%s>", "the code '%s' has expired", "https://login.example/x?code=%s&y=1"} {
			text := fmt.Sprintf(form, word)
			want := fmt.Sprintf(form, "***")
			if got := Clean(text); got != want {
				t.Errorf("%q: %q, want %q", text, got, want)
			}
		}
	}
	if got, want := Clean("got eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"), "got ***.***.***"; got != want {
		t.Errorf("a JWT: %q, want %q", got, want)
	}
}

// TestOrdinaryWordsStay has what providers were seen to say.
func TestOrdinaryWordsStay(t *testing.T) {
	for _, text := range []string{
		"",
		"5.7.3 Authentication unsuccessful [XX0PR01CA0001.PROD.OUTLOOK.COM]",
		"5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [VI1PR0402CA0012.eurprd04.prod.outlook.com 2026-11-29T10:00:00.123Z 08DE2F0123456789]",
		"STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message due to a permanent exception with message [BeginDiagnosticData] 0.35250:0A00D684, 1.36674:0A000000",
		"5.7.8 Username and Password not accepted. For more information, go to 5.7.8  https://support.google.com/mail/?p=BadCredentials x1-2 - gsmtp",
		"AADSTS50194: Application '00000000-aaaa-bbbb-cccc-000000000001'(mail-relay) is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such applications created after '10/15/2018'.",
		"AADSTS7000222: The provided client secret keys for app '00000000-aaaa-bbbb-cccc-000000000001' are expired. Visit https://aka.ms/NewClientSecret",
		"https://login.microsoftonline.com/00000000-aaaa-bbbb-cccc-000000000001/oauth2/v2.0/authorize",
		"urn:ietf:params:oauth:grant-type:device_code",
		"urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
		"the scope https://www.fastmail.com/dev/protocol-smtp is not granted",
		"https://outlook.office365.com/IMAP.AccessAsUser.All offline_access",
		"reauth related error (invalid_rapt), see https://support.google.com/a/answer/9368756",
		"123456789012.apps.googleusercontent.com",
		"ACCOUNT_NOT_AUTHORIZED: The user has not authorized requesting Client ID",
		"Donaudampfschifffahrtsgesellschaftskapitän",
		"550 black ip. (发信IP被禁止) недостаточно прав",
		"------------------------------------ 2026-11-29 10:00:00+01:00 =====================",
		"firstname.lastname+tag@subdomain.example-company.co.uk",
		"Message-Size 36700160 exceeds maxMessageSizeBytes35882577",
	} {
		if got := Clean(text, "s3cret-of-this-exchange"); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// TestHideKeepsQueueIDs: people ask a provider about a message by its ID.
func TestHideKeepsQueueIDs(t *testing.T) {
	const text = "2.0.0 OK 1732891234 5b1f17b1804b1-4439c1f2e5bsm48871585e9.11 - gsmtp"
	if got := New("s3cret").Hide(text); got != text {
		t.Errorf("%q", got)
	}
}

func TestOneLineOfPrintableText(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"two\r\nlines\nof\rtext\u0085and\u2028more\u2029", "two lines of text and more"},
		{"tab\tand\u00a0wide", "tab and wide"},
		{"\x1b[31mred\x1b[0m \x07bell \x00nul \x7fdel", "[31mred[0m bell nul del"},
		{"C1 \u009b31m \u0090 \u009f", "C1 31m"},
		{"\u202eevil\u202c \u2066x\u2069 \u200fy\u200e \u061cz", "evil x y z"},
		{"zero\u200bwidth\ufeff\u00ad", "zerowidth"},
		{"bad \xc7\xeb\xca bytes \xff", "bad ? bytes ?"},
		{"private \ue000 use", "private  use"},
		{"  Grüße, 世界 ✓ ", "Grüße, 世界 ✓"},
	} {
		if got := Clean(c.text); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestTimeIsLinear: the longest answer that is read at all, of the kinds that take most work.
func TestTimeIsLinear(t *testing.T) {
	secret := strings.Repeat("ab", 2000)
	for _, unit := range []string{"a", "ab", "ab ", "%61%62", "%2561", "&#97;", "&", `\`, `\u0061`, "YWJhYmFi", "6162", "=", " ", "x-", "é", "00000000-"} {
		text := strings.Repeat(unit, (256<<10)/len(unit))
		start := time.Now()
		Clean(text, secret, "short", "ab")
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%d KiB of %q took %v", len(text)>>10, unit, took)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("535 5.7.8 no: ", "dXNlcj1tZUBjb3Jw.s3cret", " [x]", 3)
	f.Add("\u202e%", "a+b/c=d e%41", "\x85", 7)
	f.Add("&#", `\u0041bcdef`, ";", 12)
	names := slices.Sorted(maps.Keys(encodings))
	f.Fuzz(func(t *testing.T, before, secret, after string, n int) {
		if n < 0 || len(before)+len(secret)+len(after) > 32<<10 {
			return
		}
		text := before + encodings[names[n%len(names)]](secret) + after
		start := time.Now()
		got := Clean(text, secret)
		if took := time.Since(start); took > 10*time.Second {
			t.Fatalf("%d bytes took %v", len(text), took)
		}
		if !utf8.ValidString(got) {
			t.Fatalf("not UTF-8: %q", got)
		}
		for _, r := range got {
			if !unicode.IsGraphic(r) || r != ' ' && unicode.IsSpace(r) {
				t.Fatalf("%q has %U", got, r)
			}
		}
		// A mask may by chance join with a secret of asterisks, and one of spaces and plus signs is
		// none.
		s := oneLine(secret)
		if len(s) >= minDecoded && !strings.Contains(s, "*") && strings.Trim(s, " +") != "" && strings.Contains(got, s) {
			t.Fatalf("%q of %q shows %q", got, text, s)
		}
	})
}
