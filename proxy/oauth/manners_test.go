package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	oddID     = "client:1"
	oddSecret = "s+cr%t"
)

// clientOf says in which form a request authenticates its client: "post" or "basic", and for the
// latter "raw" where it is not form-encoded, "+id" where the client ID is in the body, too.
func clientOf(r *http.Request) string {
	header := r.Header.Get("Authorization")
	if header == "" {
		if r.PostForm.Get("client_id") == oddID && r.PostForm.Get("client_secret") == oddSecret {
			return "post"
		}
		if r.PostForm.Get("client_id") == oddID && !r.PostForm.Has("client_secret") {
			return "none"
		}
		return "?"
	}
	form := ""
	id, secret, _ := r.BasicAuth()
	switch {
	case id == url.QueryEscape(oddID) && secret == url.QueryEscape(oddSecret):
		form = "basic"
	case r.Header.Get("Authorization") == rawBasic():
		form = "basic raw"
	default:
		return "?"
	}
	if r.PostForm.Get("client_id") == oddID {
		form += "+id"
	}
	if r.PostForm.Has("client_secret") {
		form += "+secret"
	}
	return form
}

func rawBasic() string {
	r, _ := http.NewRequest("GET", "/", nil)
	r.SetBasicAuth(oddID, oddSecret)
	return r.Header.Get("Authorization")
}

// TestFormsOfClientAuthentication has what servers were seen to take, and how they refuse the others.
func TestFormsOfClientAuthentication(t *testing.T) {
	forms := []string{"post", "basic", "basic raw", "basic+id", "basic raw+id"}
	refusals := map[string]http.HandlerFunc{
		"RFC 6749":             answers(401, `{"error":"invalid_client"}`),
		"with 400":             answers(400, `{"error":"invalid_client","error_description":"Client authentication failed"}`),
		"in capitals":          answers(400, `{"error":"INVALID_CLIENT"}`),
		"golang/oauth2#320":    answers(401, `{"code":null,"message":"Bad credentials"}`, "WWW-Authenticate", `Basic realm="token"`),
		"by the header alone":  answers(401, "", "WWW-Authenticate", "basic realm=x"),
		"with a page":          answers(401, page200, "WWW-Authenticate", "Basic"),
		"bare JSON":            answers(401, `{}`),
		"nothing":              answers(401, ""),
		"words":                answers(401, "Unauthorized"),
		"unauthorized_client":  answers(400, `{"error":"unauthorized_client","error_description":"Unexpected error when authenticating client"}`),
		"invalid_request":      answers(400, `{"error":"invalid_request","error_description":"Client authentication is missing"}`),
		"UAA":                  answers(401, `{"error":"unauthorized","error_description":"Full authentication is required to access this resource"}`, "WWW-Authenticate", `Basic realm="UAA/client"`),
		"Hydra":                answers(401, `{"error":"invalid_client","error_description":"Client authentication failed (e.g., unknown client, no client authentication included, or unsupported authentication method)","error_hint":"The OAuth 2.0 Client supports client authentication method \"client_secret_basic\", but method \"client_secret_post\" was requested."}`),
		"two ways at once":     answers(400, `{"error":"invalid_request","error_description":"The request utilizes more than one mechanism for authenticating the client"}`),
		"Auth0":                answers(401, `{"error":"access_denied","error_description":"Unauthorized"}`),
		"Yandex":               answers(400, `{"error":"basic_auth_required","error_description":"Basic authorization is required but the Authorization header not specified"}`),
		"Yandex, older":        answers(400, `{"error":"Malformed Authorization header"}`),
		"Okta":                 answers(400, `{"error":"invalid_request","error_description":"Cannot supply multiple client credentials. Use one of the following: credentials in the Authorization header, credentials in the post body, or a client_assertion in the post body."}`),
		"a code of its own":    answers(403, `{"error":"client_authentication_failed"}`),
		"a message alone":      answers(400, `{"message":"Missing Authorization header"}`),
		"the second challenge": answers(401, `{"error":"invalid_token_request"}`, "WWW-Authenticate", `Bearer realm="x, y", Basic realm="z"`),
		"400 and the header":   answers(400, "", "WWW-Authenticate", "Basic"),
		"GitHub's form":        answers(200, "error=invalid_client&error_description=no"),
		"Apigee":               answers(401, `{"ErrorCode":"invalid_client","Error":"Client credentials are missing"}`),
		"a fault":              answers(401, `{"fault":{"faultstring":"Invalid client","detail":{"errorcode":"oauth.v2.x"}}}`),
		"the secret, it says":  answers(401, `{"error":"invalid_client","error_description":"Client secret is invalid"}`, "WWW-Authenticate", "Basic"),
		"an object":            answers(401, `{"error":{"code":401,"status":"UNAUTHENTICATED","message":"no"}}`),
	}
	for i, takes := range forms {
		for name, refuse := range refusals {
			t.Run(takes+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := oddClient(t)
					r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
						switch clientOf(req) {
						case takes:
							writeToken(w, "access", "", 3600)
						case "?":
							t.Errorf("asked with %v and %v", req.Header, req.PostForm)
						default:
							refuse(w, req)
						}
					})
					wantToken(t, r.Grant, "access")
					r.endpoint.wantRequests(t, i+1)
					r.Reject("access")
					wantToken(t, r.Grant, "access")
					r.endpoint.wantRequests(t, i+2) // remembered
					// All accounts of the registration learn together.
					r.put(t, "refresh/you@corp.example", "granted")
					g := New(r.cfg, "you@corp.example", Deps{Secrets: r.secrets, HTTP: r.endpoint.client})
					wantToken(t, g, "access")
					r.endpoint.wantRequests(t, i+3)
					g.Close(t.Context())
				})
			})
		}
	}
}

func oddClient(t *testing.T) *rig {
	r := newRig(t)
	r.Grant, _ = r.grantWith(t, me, func(c *Config) { c.ClientID = oddID })
	r.put(t, ClientKey(r.cfg.TokenURL, oddID), oddSecret)
	return r
}

// A refusal that names what is wrong is not tried in other forms, and one that names nothing is told
// as it came first.
func TestRefusedClient(t *testing.T) {
	for _, tt := range []struct {
		name     string
		answer   http.HandlerFunc
		requests int
		reason   Reason
	}{
		{"wrong", answers(401, `{"error":"invalid_client"}`), 6, Refused},
		{"wrong, says Microsoft", answers(401, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}`), 1, WrongSecret},
		{"expired, says Microsoft", answers(401, `{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys are expired."}`), 1, SecretExpired},
		{"wrong, says Google", answers(401, `{"error":"invalid_client","error_description":"The provided client secret is invalid."}`), 1, WrongSecret},
		{"unknown, says Google", answers(401, `{"error":"invalid_client","error_description":"The OAuth client was not found."}`), 1, NotRegistered},
		{"wrong, says Yahoo", answers(401, `{"error":"INVALID_CLIENT_SECRET"}`), 1, WrongSecret},
		{"no consent", answers(401, `{"error":"INVALID_GRANT"}`), 1, ConsentEnded},
		{"another fault of the request", answers(400, `{"error":"invalid_request","error_description":"no"}`), 1, Refused},
		{"a public client", func(w http.ResponseWriter, r *http.Request) {
			if clientOf(r) == "none" {
				writeToken(w, "access", "", 3600)
				return
			}
			answers(401, `{"error":"invalid_client","error_description":"AADSTS700025: Client is public so neither 'client_assertion' nor 'client_secret' should be presented."}`)(w, r)
		}, 2, ""},
		{"a public client, not said", func(w http.ResponseWriter, r *http.Request) {
			if clientOf(r) == "none" {
				writeToken(w, "access", "", 3600)
				return
			}
			answers(401, `{"error":"access_denied","error_description":"Unauthorized"}`)(w, r) // auth0/nextjs-auth0#66
		}, 6, ""},
		{"wrong, and nothing good without", func(w http.ResponseWriter, r *http.Request) {
			if clientOf(r) == "none" {
				answers(400, `{"error":"invalid_grant"}`)(w, r) // the consent is the confidential client's
				return
			}
			answers(401, `{"error":"invalid_client"}`)(w, r)
		}, 6, Refused},
		{"wrong, says Auth0", answers(401, `{"error":"access_denied","error_description":"Unauthorized"}`), 6, Refused},
		{"wrong, says Okta", answers(401, `{"error":"invalid_client","error_description":"The client secret supplied for a confidential client is invalid."}`), 1, WrongSecret},
		{"wrong, says Keycloak", answers(401, `{"error":"unauthorized_client","error_description":"Invalid client or Invalid client credentials"}`), 6, FlowNotAllowed},
		{"wrong, says GitHub", answers(200, "error=incorrect_client_credentials&error_description=The+client_id+and%2For+client_secret+passed+are+incorrect."), 1, WrongSecret},
		{"unknown, says Okta", answers(401, `{"error":"invalid_client","error_description":"Invalid value for 'client_id' parameter."}`), 1, NotRegistered},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := oddClient(t)
				r.endpoint.says(tt.answer)
				_, err := r.Token(t.Context())
				if ReasonOf(err) != tt.reason {
					t.Errorf("Token = %v, want %s", err, tt.reason)
				}
				r.endpoint.wantRequests(t, tt.requests)
				if s := r.breaker.Status(); s.Failures != 0 {
					t.Errorf("the breaker counted a healthy refusal: %+v", s)
				}
			})
		})
	}
	t.Run("a client without a secret is asked once", func(t *testing.T) {
		r := newRig(t)
		r.endpoint.says(answers(401, `{"error":"invalid_client"}`, "WWW-Authenticate", "Basic"))
		if _, err := r.Token(t.Context()); ReasonOf(err) != Refused {
			t.Errorf("Token = %v", err)
		}
		r.endpoint.wantRequests(t, 1)
	})
}

// TestScopeWhereItIsWanted: Microsoft refuses a refresh without scope at some addresses; elsewhere it
// could shrink or break a grant.
func TestScopeWhereItIsWanted(t *testing.T) {
	for name, refusal := range map[string]string{
		"tarickb/sasl-xoauth2#89":     `{"error":"invalid_request","error_description":"AADSTS900144: The request body must contain the following parameter: 'scope'. Trace ID: 1"}`,
		"open-webui/open-webui#22358": `{"error":"invalid_request","error_description":"AADSTS90009: Application 'x' is requesting a token for itself."}`,
		"empty":                       `{"error":"invalid_scope","error_description":"AADSTS28003: Provided value for the input parameter scope can't be empty"}`,
		"Okta":                        `{"error":"invalid_scope","error_description":"The authorization server resource does not have any configured default scopes, 'scope' must be provided."}`,
		"a code of its own":           `{"error":"missing_parameter","error_description":"scope is required"}`,
		"the code alone":              `{"error":"missing_scope"}`,
		"no code":                     `{"message":"Required parameter missing: scope"}`,
		"an object":                   `{"error":{"code":400,"message":"scope is required","status":"INVALID_ARGUMENT"}}`,
		"in other words":              `{"error":"INVALID_REQUEST","error_description":"The Scope parameter is required."}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.cfg.Scopes = []string{"mail.send", "offline_access"}
				r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
					if req.PostForm.Get("scope") != "mail.send offline_access" {
						answers(400, refusal)(w, req)
						return
					}
					writeToken(w, "access", "", 3600)
				})
				wantToken(t, r.Grant, "access")
				r.endpoint.wantRequests(t, 2)
				r.Reject("access")
				wantToken(t, r.Grant, "access")
				r.endpoint.wantRequests(t, 3) // remembered
				time.Sleep(time.Hour)
				// And forgotten where it is refused.
				r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
					if req.PostForm.Has("scope") {
						answers(400, `{"error":"invalid_scope"}`)(w, req)
						return
					}
					writeToken(w, "access-b", "", 3600)
				})
				wantToken(t, r.Grant, "access-b")
				r.endpoint.wantRequests(t, 5)
			})
		})
	}
	for name, refusal := range map[string]string{
		"another parameter": `{"error":"invalid_request","error_description":"AADSTS900144: The request body must contain the following parameter: 'client_id'."}`,
		"the consent":       `{"error":"invalid_grant","error_description":"the scope was withdrawn"}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.cfg.Scopes = []string{"mail.send"}
				r.endpoint.says(answers(400, refusal))
				if _, err := r.Token(t.Context()); err == nil {
					t.Error("a token")
				}
				r.endpoint.wantRequests(t, 1)
			})
		})
	}
}

// Both at once: a server that wants Basic and the scope.
func TestMannersTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := oddClient(t)
		r.cfg.Scopes = []string{"mail.send"}
		var said []string
		r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
			said = append(said, clientOf(req)+" "+req.PostForm.Get("scope"))
			switch {
			case clientOf(req) != "basic":
				answers(401, `{"error":"invalid_client"}`)(w, req)
			case !req.PostForm.Has("scope"):
				answers(400, `{"error":"invalid_request","error_description":"scope missing"}`)(w, req)
			default:
				writeToken(w, "access", "", 3600)
			}
		})
		wantToken(t, r.Grant, "access")
		if want := []string{"post ", "basic ", "basic mail.send"}; !slices.Equal(said, want) {
			t.Errorf("asked %q, want %q", said, want)
		}
	})
}

// A fault in the middle is told as what it is: that request may have been carried out.
func TestFaultWhileLearning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := oddClient(t)
		r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
			if clientOf(req) == "post" {
				answers(401, `{"error":"invalid_client"}`)(w, req)
				return
			}
			drop(w, req)
		})
		_, err := r.Token(t.Context())
		if fault, ok := errors.AsType[*EndpointError](err); !ok || !fault.Sent || !strings.Contains(err.Error(), "broke") {
			t.Errorf("Token = %v", err)
		}
		r.endpoint.wantRequests(t, 2)
	})
}
