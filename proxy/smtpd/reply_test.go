package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// TestNoForeignTextLeaks: go-smtp sends the text of any error that is not an *smtp.SMTPError,
// and ignores the code of a wrapped one. All errors pass through replyTo, which only reveals
// text that was written for people.
func TestNoForeignTextLeaks(t *testing.T) {
	secret := errors.New("dial tcp 10.1.2.3: token ya29.SECRET")
	box := &mailbox.Mailbox{Address: me, Provider: config.Provider{Name: "Corp Mail"}}
	refusal := &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4}, Message: "too large"}
	tests := []struct {
		at   string
		err  error
		want string // code and enhanced code
	}{
		{"DATA", secret, "451 4.7.0"},
		{"AUTH", secret, "454 4.7.0"},
		{"DATA", fmt.Errorf("wrapped: %w", refusal), "552"},
		{"AUTH", &breaker.OpenError{Name: "token x"}, "454 4.7.0"},
		{"MAIL", &breaker.OpenError{Name: "smtp x"}, "451 4.7.0"},
		{"AUTH", fmt.Errorf("x: %w", &oauth.ConsentError{Account: me, Reason: oauth.ConsentUnused}), "535 5.7.8 The password is correct. The consent was not used"},
		{"MAIL", fmt.Errorf("x: %w", &oauth.ConsentError{Account: me, Reason: oauth.ConsentUnused}), "550 5.7.8 The consent was not used"},
		{"AUTH", &oauth.EndpointError{Reason: oauth.Unreachable, Err: secret}, "454 4.7.0"},
		{"AUTH", &oauth.EndpointError{Reason: oauth.Unreachable, Err: &dial.ProxyError{Proxy: "in HTTPS_PROXY"}}, "454 4.7.0 Corp Mail’s sign-in server can’t be reached through the proxy in HTTPS_PROXY. Check"},
		{"AUTH", &oauth.EndpointError{Reason: oauth.Unreachable, Err: &dial.ProxyError{Proxy: "proxy.test:3128"}}, "454 4.7.0 Corp Mail’s sign-in server can’t be reached through the proxy proxy.test:3128. Check"},
		{"AUTH", &oauth.EndpointError{Reason: oauth.Unreachable, Err: &net.OpError{Op: "proxyconnect", Err: &net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 3128}, Err: errors.New("refused")}}}, "454 4.7.0 Corp Mail’s sign-in server can’t be reached through the proxy 192.0.2.1:3128. Check"},
		{"AUTH", &oauth.EndpointError{Reason: oauth.WebPage, Status: 200}, "454 4.7.0 A web page or a redirect came instead of an answer from Corp Mail’s sign-in server. If this network asks you to sign in, do so in a browser."},
		{"AUTH", fmt.Errorf("x: %w", &oauth.AdminError{Account: me, Reason: oauth.AdminConsent}), "535 5.7.8 The password is correct. An administrator"},
		{"AUTH", fmt.Errorf("x: %w", keystore.ErrLocked), "454 4.7.0"},
		{"MAIL", upstream.ErrBusy, "451 4.3.2"},
		{"AUTH", dial.ErrNoTLS, "535 5.7.10"},
		{"RCPT", &upstream.ConnError{Op: "MAIL", Err: secret}, "451 4.4.1"},
		{"DATA", &upstream.ConnError{Op: "body", Started: true, Err: secret}, "451 4.4.2"},
		{"DATA", &upstream.ConnError{Op: "body", Started: true, Unknown: true, Err: secret}, "451 4.4.2"},
		{"DATA", fmt.Errorf("%w: %w", mailbox.ErrCutOff, io.ErrUnexpectedEOF), "451 4.4.2"},
		{"AUTH", &upstream.ConnError{Op: "TLS handshake", Err: &tls.CertificateVerificationError{Err: errors.New("expired")}}, "454 4.7.0 The certificate for"},
		{"MAIL", upstream.ErrClosed, "451 4.7.0"},
		{"AUTH", fmt.Errorf("x: %w", oauth.ErrClosed), "454 4.7.0 me@corp.test is being changed"},
		{"RCPT", upstream.ErrEnvelope, "553 5.1.3"},
		{"AUTH", dial.ErrNoOAuth, "535 5.7.4"},
		{"DATA", upstream.ErrBareLineEnd, "554 5.6.0"},
		{"DATA", errLoneDot, "554 5.6.0"},
		{"DATA", context.DeadlineExceeded, "451 4.7.0"},
		{"AUTH", &upstream.AuthError{Reply: upstream.Reply{Code: 535, Lines: []string{"5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."}}}, "535 5.7.139"},
		{"AUTH", &upstream.AuthError{Reply: upstream.Reply{Code: 432, Lines: []string{"4.3.2 Concurrent connections limit exceeded"}}}, "454 4.7.0"},
	}
	for _, tt := range tests {
		r := replyTo(tt.at, box, tt.err)
		got := fmt.Sprintf("%d %s", r.Code, r.Message)
		if !strings.HasPrefix(got, tt.want) || strings.Contains(got, "SECRET") || strings.Contains(got, "10.1.2.3") {
			t.Errorf("%s, %v: got %q, want %s…", tt.at, tt.err, got, tt.want)
		}
	}
}
