package mailbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/pace"
	"github.com/waxseal/waxseal/proxy/signin"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// sample is an error that makes the engine give one of its answers.
type sample struct {
	anchor string
	err    error
}

func untrusted(why error) error {
	leaf := &x509.Certificate{Subject: pkix.Name{CommonName: "other.example"}, Issuer: pkix.Name{CommonName: "Example CA"}}
	return &dial.Error{Step: dial.Handshake, Addr: "smtp.example.com:587", Err: &tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{leaf}, Err: why}}
}

func tokenError(err error) error {
	return &oauth.EndpointError{URL: "login.example.com", Reason: oauth.Unreachable, Err: err}
}

func sending(err error) error {
	return &upstream.ConnError{Op: "greeting", Addr: "smtp.example.com:587", Err: err}
}

func replied(code int, text string) error {
	return &upstream.ReplyError{Reply: upstream.Reply{Code: code, Lines: []string{text}}}
}

func refusedLogin(code int, text, scope string) error {
	e := &upstream.AuthError{Reply: upstream.Reply{Code: code, Lines: []string{text}}}
	if scope != "" {
		e.Report = &dial.Report{Scope: scope}
	}
	return e
}

// accountSamples are about an account's sign-in, its provider's servers, or its login there.
var accountSamples = []sample{
	{"sign-in-cancelled", signin.ErrCancelled},
	{"stopping", signin.ErrStopping},
	{"nobody-approved", oauth.ErrNoApproval},
	{"account-changing", oauth.ErrClosed},
	{"reading-not-granted", &oauth.ScopeError{Account: example.account, Uses: []string{"imap"}, Missing: []string{"https://example.com/imap"}, Reason: oauth.ScopeMissing}},
	{"reading-needs-admin", &oauth.ScopeError{Account: example.account, Uses: []string{"imap"}, Missing: []string{"https://example.com/imap"}, Reason: oauth.AdminConsent}},
	{"sending-not-granted", &oauth.ScopeError{Account: example.account, Uses: []string{"smtp"}, Missing: []string{"https://example.com/smtp"}, Reason: oauth.ScopeMissing}},
	{"sign-in-proxy", tokenError(&dial.ProxyError{Proxy: "proxy.example.com:3128"})},
	{"sign-in-web-page", &oauth.EndpointError{Reason: oauth.WebPage}},
	{"sign-in-server", &oauth.EndpointError{Reason: oauth.Passing}},
	{"sign-in-breaker", &breaker.OpenError{Name: "token login.example.com", RetryIn: 20 * time.Second}},
	{"mail-server-breaker", &breaker.OpenError{Name: "smtp smtp.example.com:587", RetryIn: 20 * time.Second}},
	{"all-connections-in-use", upstream.ErrBusy},
	{"no-tls", dial.ErrNoTLS},
	{"no-oauth", dial.ErrNoOAuth},
	{"not-loopback", dial.ErrNotLoopback},
	{"mail-server-proxy", sending(&dial.ProxyError{Proxy: "proxy.example.com:3128"})},
	{"offline", sending(syscall.ENETUNREACH)},
	{"mail-server-unreachable", sending(errors.New("refused"))},
	{"not-a-mail-server", sending(&upstream.NotSMTPError{Line: "HTTP/1.1 400 Bad Request"})},
	{"turned-away-for-now", sending(replied(421, "4.3.2 busy"))},
	{"turned-away", sending(replied(554, "5.7.1 no"))},
	{"certificate-unknown-authority", untrusted(x509.UnknownAuthorityError{})},
	{"certificate-expired", untrusted(x509.CertificateInvalidError{Reason: x509.Expired, Detail: "the certificate has expired"})},
	{"certificate-other-name", untrusted(x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"other.example"}}, Host: "smtp.example.com"})},
	{"login-not-now", refusedLogin(454, "4.9.9 later", "")},
	{"token-refused", refusedLogin(535, "5.7.8 no", "")},
	{"permission-missing", refusedLogin(535, "5.7.8 no", "https://mail.google.com/")},
}

var tomorrow = time.Date(2026, 12, 1, 9, 0, 0, 0, time.Local)

// messageSamples are about a message.
var messageSamples = []sample{
	{"not-ascii", upstream.ErrNotASCII},
	{"bad-address", fmt.Errorf("%w: a control character", upstream.ErrEnvelope)},
	{"no-smtputf8", upstream.ErrUTF8},
	{"lone-dot", upstream.ErrBareLineEnd},
	{"cut-off", ErrCutOff},
	{"may-have-been-delivered", &upstream.ConnError{Op: "reply", Unknown: true}},
	{"connection-broke", &upstream.ConnError{Op: "body", Started: true}},
	{"messages-per-minute", &pace.Error{Kind: pace.PerMinute, Limit: 30, Wait: 90 * time.Second}},
	{"messages-per-day", &pace.Error{Kind: pace.MessagesPerDay, Limit: 500, Until: tomorrow}},
	{"recipients-per-day", &pace.Error{Kind: pace.RecipientsPerDay, Limit: 10000, Until: tomorrow}},
	{"gave-up-waiting", context.Canceled},
	{"internal", errors.New("anything else")},
}

func sampleEntries(t *testing.T, samples []sample) (list []entry) {
	for _, s := range samples {
		subject, at := example, "AUTH"
		subject.scopes, subject.adminConsent = []string{"mail"}, "https://login.microsoftonline.com/organizations/adminconsent?client_id=…"
		f := Failure{subject.explain(s.err), 0}
		if f.Problem == nil {
			f, at = explainMessage(subject, s.err), "DATA"
		}
		if f.What.IsZero() {
			t.Fatalf("%s: %+v", s.anchor, f.Problem)
		}
		f.Said = ""
		list = append(list, problemEntry(s.anchor, at, f))
	}
	return append(list, others(samples)...)
}

// others are answers that no error leads to.
func others(samples []sample) (list []entry) {
	if samples[0].anchor == messageSamples[0].anchor {
		p := ExplainReply(nil, upstream.Reply{Code: 550, Lines: []string{"5.9.9 no"}})
		later := ExplainReply(nil, upstream.Reply{Code: 450, Lines: []string{"4.9.9 later"}})
		unsent := example.unsent(&api.Activity{Own: true})
		return []entry{
			{anchor: "not-accepted", what: heading(p), sees: "the provider's own reply, unchanged", cures: []string{"If the reply begins with 5: " + p.Cure.String(), "If it begins with 4: " + later.Cure.String()}},
			{anchor: "last-unsent", what: heading(unsent), cures: []string{remedy(unsent)}},
		}
	}
	e := problemEntry("not-registered", "AUTH", Failure{example.notRegistered(), 0})
	wrongName := example
	wrongName.signedIn = "someone@example.com"
	other := problemEntry("other-name", "AUTH", Failure{wrongName.explain(refusedLogin(535, "5.7.3 no", "")), 0})
	return []entry{e, other}
}

// readRefusals are the answers of servers for reading that name no cause.
func readRefusals() (list []entry) {
	shared := example
	shared.login = "delegate@example.com"
	for _, s := range []struct {
		anchor string
		of     subject
		err    *ServerError
	}{
		{"reading-turned-away", example, &ServerError{Op: "greeting", Status: "BYE"}},
		{"reading-shared-mailbox", shared, &ServerError{Op: "AUTHENTICATE", Status: "NO"}},
		{"reading-refused", example, &ServerError{Op: "AUTHENTICATE", Status: "NO"}},
	} {
		p := s.of.readProblem(s.err)
		list = append(list, entry{anchor: s.anchor, what: heading(p), cures: []string{remedy(p)}})
	}
	return list
}

// TestTroubleshootingIsWhole: every sentence that this package can answer with is in the documentation.
// Whoever adds an answer to the engine adds an error above that leads to it.
func TestTroubleshootingIsWhole(t *testing.T) {
	data, err := os.ReadFile(troubleshooting)
	if err != nil {
		t.Fatal(err)
	}
	page, n := string(data), 0
	for _, name := range []string{"explain.go", "explainserver.go", "explaintoken.go", "limits.go", "meanings.go", "servererror.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(node ast.Node) bool {
			lit, ok := node.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil || !strings.Contains(text, " ") || !strings.HasSuffix(text, ".") {
				return true // not a sentence
			}
			n++
			text = strings.Replace(text, "1 second.", "{{.Seconds}} seconds.", 1) // the page has one form
			for _, part := range strings.FieldsFunc(places(text), func(r rune) bool { return r == '\x00' }) {
				if part = strings.TrimSuffix(part, "."); !strings.Contains(page, part) {
					t.Errorf("%s: %q is not in %s", name, text, troubleshooting)
					break
				}
			}
			return true
		})
	}
	if n < 100 {
		t.Errorf("only %d sentences were found", n)
	}
}

// places has a NUL for every place of a sentence.
func places(text string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{{.")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		_, text, _ = strings.Cut(rest, "}}")
		b.WriteByte(0)
	}
}
