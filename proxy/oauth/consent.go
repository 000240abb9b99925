package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// ConsentTimeout is how long the user has in the browser, and ErrNoApproval says that it has passed.
const ConsentTimeout = 10 * time.Minute

var ErrNoApproval = errors.New("nobody approved it within 10 minutes")

// exchangeTimeout is how long the answer to an approval is awaited. The browser waits for it.
const exchangeTimeout = time.Minute

// Consent asks the user for a grant, in their own browser: the authorization code flow of RFC 6749
// with PKCE (RFC 7636, S256), redirected to this machine (RFC 8252 section 7.3). It calls open with
// the address of the provider's page, which may show it, print it or both; an error from open ends
// it. Then it waits for the browser to come back, until ctx ends or ten minutes have passed. Another
// user than the account's is refused with an [*IdentityError], where the provider tells who it is.
//
// Once the account has its token, check finds out whether mail can be sent with it. Its error is what
// the browser shows in the end, in sentences, and is not Consent's. Nil checks nothing.
//
// Several may run at once, for one account or many: each has its own port, state and verifier. Until
// one succeeds the account stays as it is. When the keystore does not take the new token, the error
// says so, and the account works from memory.
func (g *Grant) Consent(ctx context.Context, open func(url string) error, check func(context.Context) error) error {
	asking, cancel := context.WithTimeoutCause(ctx, ConsentTimeout, ErrNoApproval)
	defer cancel()
	if g.isApp() {
		return errNoSignIn
	}
	asking, over := g.whileOpen(asking)
	defer over()
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	back, err := listen(asking, g.cfg.RedirectHost, g.cfg.RedirectPath, state)
	if err != nil {
		return fmt.Errorf("listen for the browser's return: %w", err)
	}
	defer g.deps.LatePages.keep(back)

	if err := open(g.consentURL(back.url, state, nonce, verifier)); err != nil {
		return fmt.Errorf("open the browser: %w", err)
	}
	var callback url.Values
	select {
	case callback = <-back.callback:
	case <-asking.Done():
		return fmt.Errorf("wait for the user's approval: %w", context.Cause(asking))
	}
	if err := g.finish(asking, back, callback, nonce, verifier); err != nil {
		back.tell(failed(g.account, err))
		return err
	}
	var trouble error
	if check != nil {
		back.tell(checking(g.account))
		trouble = check(ctx)
	}
	back.tell(granted(g.account, trouble))
	return nil
}

// whileOpen is ctx, which ends with the Grant too.
func (g *Grant) whileOpen(ctx context.Context) (_ context.Context, over func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(g.life, func() { cancel(ErrClosed) })
	return ctx, func() {
		unhook()
		cancel(nil)
	}
}

// consentURL is the address of the provider's page (RFC 6749 section 4.1.1).
func (g *Grant) consentURL(redirect, state, nonce, verifier string) string {
	var more []oauth2.AuthCodeOption
	for k, v := range g.cfg.AuthParams {
		more = append(more, oauth2.SetAuthURLParam(k, v))
	}
	more = append(more, oauth2.SetAuthURLParam("login_hint", g.user()), oauth2.S256ChallengeOption(verifier))
	if g.cfg.Issuer != "" {
		more = append(more, oidc.Nonce(nonce))
	}
	c := oauth2.Config{
		ClientID:    g.cfg.ClientID,
		Endpoint:    oauth2.Endpoint{AuthURL: g.cfg.AuthURL},
		RedirectURL: redirect,
		Scopes:      g.scopes(),
	}
	return c.AuthCodeURL(state, more...)
}

// finish turns the browser's return into a grant, or says why there is no grant.
func (g *Grant) finish(ctx context.Context, back *redirection, callback url.Values, nonce, verifier string) error {
	code := callback.Get("code")
	if err := g.checkIssuer(ctx, callback.Get("iss")); err != nil {
		return err
	}
	if err := g.callbackError(callback, code); err != nil {
		return err
	}
	if code == "" {
		return &ConsentError{Account: g.account, Reason: OddAnswer, asked: true, text: "the provider sent the browser back without a code"}
	}
	a, err := g.trade(ctx, code, back.url, verifier)
	if err != nil {
		return err
	}
	if back.disputed() {
		return &ConsentError{Account: g.account, Reason: AnsweredTwice, asked: true}
	}
	return g.take(ctx, a, nonce)
}

// trade changes the code of an approval for tokens. A code is for one use, like a refresh token. It
// goes past the breaker: the user is waiting, and may know that the endpoint is back.
func (g *Grant) trade(ctx context.Context, code, redirect, verifier string) (answer, error) {
	secret, err := g.secret(ctx)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	a, err := retry(ctx, g.patience, (*EndpointError).unprocessed, func() (answer, error) {
		return g.once().post(ctx, question{secret: secret, scope: strings.Join(g.cfg.Scopes, " "), form: url.Values{
			"grant_type":    {"authorization_code"},
			"code":          {code},
			"redirect_uri":  {redirect},
			"code_verifier": {verifier},
		}})
	})
	if r, ok := errors.AsType[*RefusedError](err); ok && ofApproval(r.Reason) {
		return a, &ConsentError{
			Account: g.account, Reason: ApprovalExpired, Code: r.Code, Description: r.Description, ClockOff: r.ClockOff, asked: true,
			text: "the provider no longer accepts the approval; it may have taken too long",
		}
	}
	if err != nil {
		return a, g.notSignedIn(fmt.Errorf("trade the approval for a token: %w", err))
	}
	return a, nil
}

// ofApproval reports whether a reason that is given for the code of an approval is about its age or
// its use, as it would be about a consent's for a refresh token.
func ofApproval(r Reason) bool {
	switch r {
	case ConsentEnded, ConsentExpired, ConsentUnused, ConsentRevoked, ApprovalExpired:
		return true
	}
	return false
}

// take makes an answer the account's grant, if it came from the account's user and is for mail.
func (g *Grant) take(ctx context.Context, a answer, nonce string) error {
	if err := g.tooLittle(a); err != nil {
		return err
	}
	if a.refresh == "" {
		return errors.New("the provider gave no refresh token; scopes or auth_params must ask for one (such as offline_access, or access_type=offline)")
	}
	signedIn, err := g.identify(ctx, a, nonce)
	if err != nil {
		// What the other user granted is left to end by itself: to revoke it could end their other
		// consents for this program.
		return err
	}
	return g.adopt(ctx, a, signedIn)
}

// tooLittle is the error of an answer that grants nothing of what the account does, or not sending,
// which it may have been able to do before. An answer that grants only part of the rest is taken; see
// [Grant.Allows].
func (g *Grant) tooLittle(a answer) error {
	granted := grantedBy(a, g.cfg.Scopes)
	if len(granted) == 0 && len(a.scopes) > 0 { // nothing for mail
		granted = a.scopes
	}
	var lost, missing []string
	for _, use := range g.uses() {
		if lacks := g.lacking(use, granted); len(lacks) > 0 {
			lost = append(lost, use)
			missing = append(missing, lacks...)
		}
	}
	if len(lost) == 0 || lost[0] != useSMTP && len(lost) < len(g.uses()) {
		return nil
	}
	slices.Sort(missing)
	return &ConsentError{Account: g.account, Reason: ScopeMissing, Missing: slices.Compact(missing), asked: true, text: notGranted(lost)}
}

// callbackError is the error that the provider sent the browser back with (RFC 6749 section 4.1.2.1),
// or nil.
func (g *Grant) callbackError(callback url.Values, code string) error {
	s := said{
		code: callback.Get("error"), description: callback.Get("error_description"),
		more: []string{callback.Get("error_subtype"), callback.Get("suberror")},
	}
	if s.code == "" {
		return nil
	}
	reason, exact := s.reason()
	r := &RefusedError{
		URL: hostOf(g.cfg.AuthURL), kind: authorizationEndpoint, Reason: reason, exact: exact,
		Code: clean(s.code, code), Description: clean(s.description, code),
	}
	if reason.Class() == ByTime {
		return &EndpointError{URL: r.URL, kind: r.kind, Reason: Passing, Code: r.Code, Description: r.Description}
	}
	return g.notSignedIn(r)
}

// notSignedIn is refused for a sign-in.
func (g *Grant) notSignedIn(err error) error {
	err = g.refused(err)
	switch e := err.(type) {
	case *ConsentError:
		e.asked = true
	case *AdminError:
		e.asked = true
	}
	return err
}

// checkIssuer refuses an answer of another provider (RFC 9207 section 2.4). One without an issuer is
// as good as before the RFC.
func (g *Grant) checkIssuer(ctx context.Context, iss string) error {
	if iss == "" || g.cfg.Issuer == "" || iss == g.cfg.Issuer {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, g.patience)
	defer cancel()
	doc, err := g.discover(ctx)
	if err != nil {
		return fmt.Errorf("check which provider answered: %w", err)
	}
	before, after, many := strings.Cut(doc.IssuerURL, tenantPlace)
	if iss == doc.IssuerURL || many && strings.HasPrefix(iss, before) && strings.HasSuffix(iss, after) && len(iss) > len(before)+len(after) {
		return nil
	}
	return &ConsentError{
		Account: g.account, Reason: WrongIssuer, asked: true,
		text: fmt.Sprintf("the answer came from %s, but this sign-in is at %s", clean(iss), g.cfg.Issuer),
	}
}
