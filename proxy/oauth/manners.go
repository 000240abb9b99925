package oauth

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// authForm is a way to tell an endpoint which client asks. RFC 6749 section 2.3.1 knows two. Servers
// differ in which they take, and in how they read HTTP Basic.
type authForm struct {
	basic bool // in the Authorization header, not in the body
	raw   bool // not form-encoded there, against the RFC
	id    bool // with the client ID in the body as well
	none  bool // the secret is left out: the registration is a public client
}

// authForms are the ways worth trying, in order. The body is first: Google insists on it, and most
// others take it. The secret is left out last: a registration may have been changed to a public client,
// and not every server says so.
func authForms(clientID, secret string) []authForm {
	if secret == "" || clientID == "" {
		return []authForm{{}}
	}
	forms := []authForm{{}, {basic: true}, {basic: true, id: true}, {none: true}}
	if url.QueryEscape(clientID) != clientID || url.QueryEscape(secret) != secret {
		forms = []authForm{{}, {basic: true}, {basic: true, raw: true}, {basic: true, id: true}, {basic: true, raw: true, id: true}, {none: true}}
	}
	return forms
}

// set adds the client to a request and its form.
func (f authForm) set(req *http.Request, form url.Values, clientID, secret string) {
	if clientID != "" && (!f.basic || f.id) {
		form.Set("client_id", clientID)
	}
	switch {
	case secret == "" || f.none:
	case !f.basic:
		form.Set("client_secret", secret)
	case f.raw:
		req.SetBasicAuth(clientID, secret)
	default:
		req.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(secret))
	}
}

// manners are what an endpoint wants of a request, learned from its refusals.
type manners struct {
	mu    sync.Mutex
	auth  authForm
	scope bool // a refresh names the scope
}

func (m *manners) get() (authForm, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.auth, m.scope
}

func (m *manners) learn(auth authForm, scope bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.auth, m.scope = auth, scope
}

// mannersKey is an endpoint as one registration reaches it.
type mannersKey struct {
	client        *http.Client
	url, clientID string
}

// learned has the manners of all endpoints, so that the accounts of one provider learn together.
var learned sync.Map // of *manners by mannersKey

func mannersOf(c *http.Client, address, clientID string) *manners {
	m, _ := learned.LoadOrStore(mannersKey{c, address, clientID}, &manners{})
	return m.(*manners)
}

// wantsOtherClient reports whether a refusal may be of the form in which the client said who it is.
// Then nothing was carried out, so that the same request may be made in another form. A refusal that
// names a wrong or expired secret is final, unless its header asks for HTTP Basic.
func wantsOtherClient(status int, header http.Header, code, description string, reason Reason, exact bool) bool {
	if reason == SecretMissing || reason == SecretUnwanted {
		return true
	}
	if reason == WrongSecret && offersBasic(header) { // it may have found none, for looking elsewhere
		return true
	}
	if exact || reason.Class() != ByRegistration {
		return false
	}
	if status == http.StatusUnauthorized || offersBasic(header) {
		return true
	}
	words := strings.ToLower(code + " " + description)
	return slices.ContainsFunc(aboutClient, func(w string) bool { return strings.Contains(words, w) })
}

// aboutClient are words by which refusals of the form were told, whatever their code: Yandex has
// basic_auth_required and "Malformed Authorization header" (nixsolutions/yandex-php-library#135).
// Where they mean something else, the same request in another form is refused just the same.
var aboutClient = []string{
	"invalid_client", "unauthorized_client", "client_id", "client id", "client_secret", "client secret", "credential",
	"authenticat", "authorization header", "authorization_header", "header authorization", "basic", "client_auth", "client auth",
}

// offersBasic reports whether an answer asks for HTTP Basic (RFC 7617). A header may hold several
// challenges (RFC 9110 section 11.6.1).
func offersBasic(header http.Header) bool {
	return slices.ContainsFunc(header.Values("WWW-Authenticate"), basicChallenge.MatchString)
}

var basicChallenge = regexp.MustCompile(`(?i)(?:^|,)\s*basic(?:[\s,]|$)`)

// wantsScope reports whether a refusal may be of a request that named no scope. RFC 6749 section 6
// makes it optional; Microsoft does not everywhere: AADSTS900144 names the missing parameter, and
// by AADSTS90009 it takes a request without it for one of a token for the program itself. Okta wants
// one where its server has no default.
func wantsScope(code, description string, reason Reason) bool {
	words := strings.ToLower(code + " " + description)
	switch {
	case strings.Contains(description, "AADSTS90009:"), strings.Contains(description, "AADSTS28003:"):
		return true
	case strings.Contains(description, "AADSTS900144:"), strings.Contains(description, "AADSTS90014:"):
		return strings.Contains(words, "'scope'")
	}
	return reason.Class() == ByRegistration && strings.Contains(words, "scope")
}
