package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// inBubble runs a subtest in a bubble of its own.
func inBubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// TestReasons has what providers were seen to answer to a refresh.
func TestReasons(t *testing.T) {
	microsoft := func(code, words string) string {
		return `{"error":"` + code + `","error_description":"` + words + `\r\nTrace ID: 00000000-0000-0000-0000-000000000001\r\nCorrelation ID: 00000000-0000-0000-0000-000000000002\r\nTimestamp: 2026-11-18 16:26:27Z"}`
	}
	for _, tt := range []struct {
		status int
		answer string
		reason Reason
		kind   error  // ErrConsent, ErrAdmin, or nil for the registration
		words  string // in the error
	}{
		{400, microsoft("invalid_grant", "AADSTS700082: The refresh token has expired due to inactivity."), ConsentUnused, ErrConsent, "not used for too long and has expired (AADSTS700082)"},
		{400, microsoft("invalid_grant", "AADSTS50173: The provided grant has expired due to it being revoked."), PasswordChanged, ErrConsent, "the password was changed, or all sessions were signed out (AADSTS50173)"},
		{400, microsoft("invalid_grant", "AADSTS65001: The user or administrator has not consented to use the application"), ConsentMissing, ErrConsent, "consent for this program is missing (AADSTS65001)"},
		{400, microsoft("invalid_grant", "AADSTS70000: Provided grant is invalid or malformed."), ConsentRevoked, ErrConsent, "taken back, or was given for another program (AADSTS70000)"},
		{400, microsoft("invalid_grant", "AADSTS70008: The provided authorization code or refresh token has expired"), ConsentExpired, ErrConsent, "expired"},
		{400, microsoft("invalid_grant", "AADSTS700084: The refresh token was issued to a single page app (SPA)"), ConsentExpired, ErrConsent, "expired"},
		{400, microsoft("invalid_grant", "AADSTS70043: The refresh token has expired or is invalid due to sign-in frequency checks"), SessionLimited, ErrConsent, "policy"},
		{400, microsoft("interaction_required", "AADSTS50076: Due to a configuration change made by your administrator"), MFANeeded, ErrConsent, "second factor"},
		{400, microsoft("interaction_required", "AADSTS50079: Due to a configuration change"), MFANeeded, ErrConsent, "second factor"},
		{400, microsoft("interaction_required", "AADSTS50158: External security challenge not satisfied."), MFANeeded, ErrConsent, "second factor"},
		{400, microsoft("invalid_grant", "AADSTS50058: A silent sign-in request was sent but no user is signed in."), SignInNeeded, ErrConsent, "new sign-in"},
		{400, microsoft("invalid_grant", "AADSTS50055: The password is expired."), PasswordExpired, ErrConsent, "password"},
		{400, microsoft("invalid_grant", "AADSTS50126: Error validating credentials"), SignInNeeded, ErrConsent, "sign-in"},
		{400, microsoft("invalid_grant", "AADSTS50034: The user account does not exist in the directory."), UserUnknown, ErrConsent, "does not know this user"},
		{400, microsoft("invalid_grant", "AADSTS50020: User account from identity provider does not exist in tenant"), UserUnknown, ErrConsent, "does not know this user"},
		{400, microsoft("invalid_grant", "AADSTS90072: User account does not exist in tenant"), UserUnknown, ErrConsent, "does not know this user"},
		{400, microsoft("invalid_grant", "AADSTS50057: The user account is disabled."), UserDisabled, ErrAdmin, "disabled (AADSTS50057)"},
		{400, microsoft("invalid_grant", "AADSTS50053: The account is locked"), UserLocked, ErrAdmin, "locked"},
		{400, microsoft("interaction_required", "AADSTS53003: Access has been blocked by Conditional Access policies."), PolicyBlocks, ErrAdmin, "policy blocks this sign-in (AADSTS53003)"},
		{400, microsoft("consent_required", "AADSTS90094: The grant requires administrator permission."), AdminConsent, ErrAdmin, "administrator of the organisation must consent"},
		{400, microsoft("access_denied", "AADSTS90095: Admin consent is required for the permissions requested by this application."), AdminConsent, ErrAdmin, "administrator of the organisation must consent"},
		{400, microsoft("invalid_grant", "AADSTS7000012: The grant was obtained for a different tenant."), WrongTenant, nil, "tenant"},
		{400, microsoft("invalid_request", "AADSTS50194: Application '00000000-aaaa-bbbb-cccc-000000000001'(mail-relay) is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such applications created after '10/15/2018'. Use a tenant-specific endpoint or configure the application to be multi-tenant."), WrongTenant, nil, "Use a tenant-specific endpoint or configure the application to be multi-tenant.)"},
		{400, microsoft("invalid_request", "AADSTS90002: Tenant 'corp' not found."), WrongTenant, nil, "AADSTS90002"},
		{400, microsoft("invalid_request", "AADSTS9002331: Application is configured for use by Microsoft Account users only. Please use the /consumers endpoint"), WrongAccountType, nil, "type of account"},
		{400, microsoft("unauthorized_client", "AADSTS700016: Application was not found in the directory"), NotRegistered, nil, "the client ID is not known"},
		{400, microsoft("unauthorized_client", "AADSTS7000112: Application is disabled."), AppDisabled, nil, "disabled"},
		{401, microsoft("invalid_client", "AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or 'client_secret'."), SecretMissing, nil, "allow public client flows"},
		{401, microsoft("invalid_client", "AADSTS7000215: Invalid client secret provided."), WrongSecret, nil, "not its ID"},
		{401, microsoft("invalid_client", "AADSTS7000222: The provided client secret keys are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds."), SecretExpired, nil, "create a new client secret"},
		{400, microsoft("invalid_scope", "AADSTS70011: The provided value for the input parameter 'scope' is not valid. The scope https://outlook.office.com/SMTP.Send is not valid."), ScopeRefused, nil, "https://outlook.office.com/SMTP.Send"},
		{400, microsoft("invalid_request", "AADSTS50011: The redirect URI specified does not match"), RedirectUnknown, nil, "redirect"},
		{400, microsoft("invalid_request", "AADSTS900971: No reply address provided."), RedirectUnknown, nil, "redirect"},
		{400, `{"error":"invalid_grant","error_codes":[700082],"error_description":"Das Token ist abgelaufen."}`, ConsentUnused, ErrConsent, "abgelaufen"},
		{400, `{"error":"invalid_grant","suberror":"bad_token"}`, ConsentRevoked, ErrConsent, "taken back"},
		{400, microsoft("invalid_grant", "AADSTS999999: Something new."), ConsentEnded, ErrConsent, "no longer accepts the sign-in (invalid_grant: AADSTS999999: Something new.)"},
		{400, microsoft("invalid_request", "AADSTS999999: Something new."), Refused, nil, "invalid_request (AADSTS999999: Something new.)"},

		{400, `{"error":"invalid_grant","error_description":"Token has been expired or revoked."}`, ConsentEnded, ErrConsent, "(invalid_grant: Token has been expired or revoked.)"},
		{400, `{"error":"invalid_grant","error_description":"reauth related error (invalid_rapt)","error_uri":"https://support.google.com/a/answer/9368756","error_subtype":"invalid_rapt"}`, SessionLimited, ErrConsent, "organisation's policy"},
		{400, `{"error":"invalid_grant","error_description":"reauth related error (rapt_required)"}`, SessionLimited, ErrConsent, "organisation's policy"},
		{400, `{"error":"invalid_grant","error_description":"Account has been deleted"}`, UserUnknown, ErrConsent, "does not know"},
		{400, `{"error":"admin_policy_enforced"}`, PolicyBlocks, ErrAdmin, "policy"},
		{403, `{"error":"org_internal"}`, WrongAccountType, nil, "type of account"},
		{401, `{"error":"deleted_client","error_description":"The OAuth client was deleted."}`, NotRegistered, nil, "the client ID is not known"},
		{401, `{"error":"disabled_client","error_description":"The OAuth client was disabled."}`, AppDisabled, nil, "disabled"},
		{400, `{"error":"invalid_request","error_description":"client_secret is missing."}`, SecretMissing, nil, "client secret"},
		{400, `{"error":"redirect_uri_mismatch"}`, RedirectUnknown, nil, "redirect"},

		{400, `{"error":"INVALID_REFRESH_TOKEN","error_description":"Failed to decode/encode refresh token"}`, ConsentRevoked, ErrConsent, "INVALID_REFRESH_TOKEN"},
		{401, `{"error":"TOKEN_EXPIRED","error_description":"The provided refresh token has expired"}`, ConsentExpired, ErrConsent, "expired"},
		{401, `{"error":"INVALID_GRANT","error_description":"An invalid or expired token was provided"}`, ConsentEnded, ErrConsent, "INVALID_GRANT"},
		{403, `{"error":"ACCOUNT_NOT_AUTHORIZED","error_description":"The user has not authorized requesting Client ID"}`, ConsentMissing, ErrConsent, "consent"},
		{401, `{"error":"INVALID_CALLBACK"}`, RedirectUnknown, nil, "redirect"},
		{400, `{"error":"Invalid-Grant"}`, ConsentEnded, ErrConsent, "Invalid-Grant"},
		{400, `{"error":"invalidGrant"}`, ConsentEnded, ErrConsent, "invalidGrant"},
		{401, `{"Error":"InvalidClientSecret"}`, WrongSecret, nil, "InvalidClientSecret"},

		{200, `{"error":"invalid_code"}`, ConsentRevoked, ErrConsent, "invalid_code"},
		{200, `{"error":"invalid_client_secret"}`, WrongSecret, nil, "client secret"},
		{401, `{"error":"token not found","error_code":6,"error_description":"token not found"}`, ConsentRevoked, ErrConsent, "token not found"},
		{400, `{"error":"invalid_grant","error_description":"Token is not active"}`, ConsentExpired, ErrConsent, "expired"},
		{400, `{"error":"invalid_grant","error_description":"User disabled"}`, UserDisabled, ErrAdmin, "disabled"},
		{400, `{"error":"invalid_grant"}`, ConsentEnded, ErrConsent, "no longer accepts the sign-in (invalid_grant)"},
		{403, `{"error":"access_denied"}`, ConsentEnded, ErrConsent, "access_denied"},
		{400, `{"error":"unsupported_grant_type"}`, FlowNotAllowed, nil, "does not allow this"},
		{400, microsoft("interaction_required", "AADSTS530003: Your device is required to be managed to access this resource."), PolicyBlocks, ErrAdmin, "AADSTS530003"},
		{400, microsoft("invalid_grant", "AADSTS9002313: Invalid request. Request is malformed or invalid."), ConsentEnded, ErrConsent, "AADSTS9002313"},
		{400, microsoft("invalid_grant", "AADSTS50105: Your administrator has configured the application to block users"), PolicyBlocks, ErrAdmin, "AADSTS50105"},
		{400, microsoft("invalid_resource", "AADSTS500011: The resource principal named https://outlook.office.com was not found in the tenant"), ScopeRefused, nil, "AADSTS500011"},
		{400, microsoft("invalid_request", "AADSTS900023: Specified tenant identifier 'x' is neither a valid DNS name, nor a valid external domain."), WrongTenant, nil, "AADSTS900023"},
		{400, microsoft("invalid_grant", "AADSTS500341: The user account has been deleted from the directory."), UserUnknown, ErrConsent, "AADSTS500341"},
		{400, microsoft("invalid_grant", "AADSTS500571: The guest user account is disabled."), UserDisabled, ErrAdmin, "AADSTS500571"},
		{400, microsoft("invalid_client", "AADSTS7000229: The client application is missing service principal in the tenant"), NotRegistered, nil, "AADSTS7000229"},
		{400, `{"error":"invalid_grant","error_codes":["50173"],"error_description":"?"}`, PasswordChanged, ErrConsent, "changed"},

		{400, `{"error":"invalid_grant","error_description":"Bad Request"}`, ConsentEnded, ErrConsent, "Bad Request"},
		{400, `{"error":{"code":400,"message":"invalid_grant","status":"INVALID_ARGUMENT"}}`, ConsentEnded, ErrConsent, "invalid_grant"},
		{403, `{"error":"restricted_client","error_description":"Unregistered scope(s) in the request: https://mail.google.com/"}`, ScopeRefused, nil, "https://mail.google.com/"},
		{400, `{"error":"invalid_grant","error_description":"Account Restricted"}`, PolicyBlocks, ErrAdmin, "policy"},
		{200, "error=bad_refresh_token&error_description=The+refresh+token+passed+is+incorrect+or+expired.&error_uri=https%3A%2F%2Fdocs.example%2F", ConsentRevoked, ErrConsent, "bad_refresh_token: The refresh token passed is incorrect or expired."},
		{400, `{"error":"invalid_grant","error_description":"The provided authorization grant (e.g., authorization code, resource owner credentials) or refresh token is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client."}`, ConsentEnded, ErrConsent, "or was issued to another client"},
		{400, `{"error":"invalid_request","error_description":"Refresh token is invalid or has already been claimed by another client."}`, ConsentRevoked, ErrConsent, "claimed by another client"},
		{400, `{"error":"invalid_request","error_description":"The refresh_token is invalid.","status":"error"}`, ConsentRevoked, ErrConsent, "invalid_request"},
		{400, `{"error":"invalid_request","error_description":"Refresh token expired."}`, ConsentExpired, ErrConsent, "expired"},
		{400, `{"error":"invalid_grant","error_description":"Stale token"}`, ConsentRevoked, ErrConsent, "Stale token"},
		{400, `{"error":"invalid_grant","error_description":"Account is not fully set up"}`, SignInNeeded, ErrConsent, "fully set up"},
		{401, `{"error":"unauthorized","error_description":"User is disabled"}`, UserDisabled, ErrAdmin, "disabled"},
		{401, `{"error":"invalid_client","error_description":"Client disabled"}`, AppDisabled, nil, "disabled"},
		{403, `{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}`, ConsentEnded, ErrConsent, "Unknown or invalid"},
		{403, `{"error":"unauthorized_client","error_description":"Grant type 'refresh_token' not allowed for the client."}`, FlowNotAllowed, nil, "refresh_token"},
		{400, `{"error":"invalid_grant","error_description":"unknown, invalid, or expired refresh token"}`, ConsentEnded, ErrConsent, "unknown, invalid"},
		{400, `{"error":"invalid_grant","error_description":"expired_token"}`, ConsentExpired, ErrConsent, "expired"},
		{400, `{"error_description":"Client not found","error":"invalid_client"}`, NotRegistered, nil, "Client not found"},
		{400, `{"error":"invalid_grant: Token was revoked"}`, ConsentEnded, ErrConsent, "Token was revoked"},
		{400, `{"errorCode":"invalid_grant","errorSummary":"The refresh token is invalid or expired."}`, ConsentEnded, ErrConsent, "invalid or expired"},
		{400, `{"code":"invalid_grant","message":"no"}`, ConsentEnded, ErrConsent, "invalid_grant: no"},
		{400, `{"error":400,"error_description":"invalid_grant"}`, ConsentEnded, ErrConsent, "invalid_grant"},
		{400, `{"error":"invalid_grant","error_code":503}`, ConsentEnded, ErrConsent, "invalid_grant"},
		{400, `{"error":true,"code":"invalid_grant"}`, ConsentEnded, ErrConsent, "invalid_grant"},
		{400, `{"error":["invalid_grant"],"message":"Invalid refresh token"}`, ConsentRevoked, ErrConsent, "Invalid refresh token"},
		{404, `{"message":"Not Found"}`, Refused, nil, "Not Found"},
		{400, "\ufeff" + `{"error":"invalid_grant"}`, ConsentEnded, ErrConsent, "invalid_grant"},
		{400, "{\"error\":\"invalid_grant\",\"error_description\":\"Sesi\xf3n inv\xe1lida\"}", ConsentEnded, ErrConsent, "Sesión inválida"},
		{400, `{"error":"x_new"}`, Refused, nil, "x_new"},
	} {
		inBubble(t, tt.answer, func(t *testing.T) {
			r := newRig(t)
			r.endpoint.says(answers(tt.status, tt.answer))
			_, err := r.Token(t.Context())
			if ReasonOf(err) != tt.reason || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("%s: %s %v; want %s, %q", tt.answer, ReasonOf(err), err, tt.reason, tt.words)
			}
			_, refused := err.(*RefusedError)
			if errors.Is(err, ErrConsent) != (tt.kind == ErrConsent) || errors.Is(err, ErrAdmin) != (tt.kind == ErrAdmin) || refused != (tt.kind == nil) {
				t.Errorf("%s is a %T", tt.answer, err)
			}
			for _, noise := range []string{"Trace ID", "Correlation", "Timestamp", "00000000-0000", "aka.ms", "\r", "\n"} {
				if strings.Contains(err.Error(), noise) {
					t.Errorf("%s: %q in %v", tt.answer, noise, err)
				}
			}
			s := r.Status()
			if got := ReasonOf(s.Err); got != tt.reason {
				t.Errorf("%s: Status has %q", tt.answer, got)
			}
			r.Token(t.Context())
			r.endpoint.wantRequests(t, 1) // the answer stands, for a while at least
			if b := r.breaker.Status(); b.Failures != 0 {
				t.Errorf("%s was counted by the breaker", tt.answer)
			}
		})
	}
}

// Faults that pass, although the status says that they do not.
func TestPassingReasons(t *testing.T) {
	for _, answer := range []string{
		`{"error":"temporarily_unavailable"}`,
		`{"error":"server_error"}`,
		`{"error":"invalid_grant","error_description":"AADSTS90033: A transient error has occurred. Please try again."}`,
		`{"error":"INTERNAL_ERROR"}`,
		`{"error":"internal_failure","error_description":"Backend Error"}`,
		`{"error":{"code":503,"message":"The service is currently unavailable.","status":"UNAVAILABLE"}}`,
		`{"error":503}`,
		`{"error":"too_many_attempts"}`,
		`{"error":"x","error_description":"API rate limit exceeded"}`,
		`error=temporarily_unavailable`,
		`{"error":"access_denied","error_description":"You have made too many requests continuously. Please try again after some time."}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.endpoint.says(answers(400, answer))
			_, err := r.Token(t.Context())
			if fault, ok := errors.AsType[*EndpointError](err); !ok || fault.Reason != Passing || fault.Code == "" {
				t.Errorf("%s: %#v", answer, err)
			}
		})
	}
}

func TestEveryReasonHasWords(t *testing.T) {
	for r, known := range reasons {
		if known.what == "" || known.class == "" || r.What() != known.what || strings.HasSuffix(known.what+known.cure, ".") {
			t.Errorf("%s: %+v", r, known)
		}
	}
	for n, r := range aadsts {
		if _, ok := reasons[r]; !ok {
			t.Errorf("AADSTS%d: %s has no words", n, r)
		}
	}
	for _, table := range []map[string]Reason{codes, general} {
		for code, r := range table {
			if _, ok := reasons[r]; !ok || fold(code) != code {
				t.Errorf("%s: %s", code, r)
			}
		}
	}
	for _, p := range phrases {
		if _, ok := reasons[p.reason]; !ok || strings.ToLower(p.words) != p.words {
			t.Errorf("%q: %s", p.words, p.reason)
		}
	}
}

// TestWordsAreCut has descriptions as they come, and what of them is shown.
func TestWordsAreCut(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"AADSTS70000: no.\r\nTrace ID: 00000000-0000-0000-0000-000000000001\r\nCorrelation ID: 00000000-0000-0000-0000-000000000002\r\nTimestamp: 2026-11-18 16:26:27Z", "AADSTS70000: no."},
		{"AADSTS70000: no. Trace ID: 00000000-0000-0000-0000-000000000001 Correlation ID: 00000000-0000-0000-0000-000000000002 Timestamp: 2026-11-18 16:26:27Z and more", "AADSTS70000: no. and more"},
		{"AADSTS70000: nein. Ablaufverfolgungs-ID: 00000000-0000-0000-0000-000000000001 Korrelations-ID: 00000000-0000-0000-0000-000000000002 Zeitstempel: 2026-11-18 16:26:27Z", "AADSTS70000: nein."},
		{"Application with identifier '00000000-0000-0000-0000-000000000001' was not found.", "Application with identifier '00000000-0000-0000-0000-000000000001' was not found."},
		{"The keys are expired. To learn more, visit https://aka.ms/x.y/z?a=b. Make new ones.", "The keys are expired. Make new ones."},
		{"No. For more information, see https://login.example/", "No."},
		{"The scope https://outlook.office.com/SMTP.Send is not valid.", "The scope https://outlook.office.com/SMTP.Send is not valid."},
		{"a\u0085b\u202ec", "a bc"},
		{strings.Repeat("word ", 200), strings.TrimSpace(strings.Repeat("word ", 120)) + "..."},
	} {
		if got := clean(tt.text); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

// The browser's return, the token endpoint and the device flow are read by the same table.
func TestReasonsOfASignIn(t *testing.T) {
	for _, tt := range []struct {
		code, description string
		reason            Reason
	}{
		{"access_denied", "", DeniedByUser},
		{"access_denied", "AADSTS65004: User declined to consent to access the app.", DeniedByUser},
		{"authorization_declined", "", DeniedByUser},
		{"access_denied", "AADSTS90095: Admin consent is required", AdminConsent},
		{"access_denied", "the app has not completed the Google verification process", TestUserMissing},
		{"invalid_request", "AADSTS50194: Application is not configured as a multi-tenant application. Use a tenant-specific endpoint", WrongTenant},
		{"invalid_request", "AADSTS50011: The redirect URI does not match", RedirectUnknown},
		{"unauthorized_client", "The client does not exist or is not enabled for consumers.", WrongAccountType},
		{"admin_policy_enforced", "", PolicyBlocks},
		{"INVALID_SCOPE", "", ScopeRefused},
		{"interaction_required", "AADSTS50076", MFANeeded},
		{"temporarily_unavailable", "authentication_expired", ApprovalExpired},
		{"access_denied", "User is not assigned to the client application.", PolicyBlocks},
		{"access_denied", "Policy evaluation failed for this request, please check the policy configurations.", PolicyBlocks},
		{"unauthorized", "user is blocked", UserDisabled},
		{"application_suspended", "Your application has been suspended.", AppDisabled},
		{"ACCESS_DENIED", "", DeniedByUser},
		{"accessDenied", "", DeniedByUser},
		{"access_denied", "AADSTS65004: User declined to consent to access the app.\r\nTrace ID: 1\r\nTimestamp: 2026-11-01 17:44:37Z", DeniedByUser},
		{"invalid_client", "AADSTS650052: The app needs access to a service that your organization has not subscribed to or enabled.", ScopeRefused},
		{"invalid_request", "AADSTS700009: Reply address must be provided.", RedirectUnknown},
		{"server_error", "AADSTS5000224: We are sorry, this resource is not available.", PolicyBlocks},
		{"temporarily_unavailable", "", Passing},
	} {
		quoted, _ := json.Marshal(tt.description)
		answer := answers(400, `{"error":"`+tt.code+`","error_description":`+string(quoted)+`}`)
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			err := r.callbackError(map[string][]string{"error": {tt.code}, "error_description": {tt.description}}, "")
			if ReasonOf(err) != tt.reason || strings.Contains(err.Error(), "reauthorize") {
				t.Errorf("callback, %s %s: %s, %v", tt.code, tt.description, ReasonOf(err), err)
			}
			for _, start := range []http.HandlerFunc{answer, answers(200, deviceStart)} {
				r := newRig(t)
				r.cfg.DeviceURL = "http://" + endpointHost + "/device"
				r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
					if req.PostForm.Get("grant_type") == "" {
						start(w, req)
						return
					}
					answer(w, req)
				})
				err := r.Device(t.Context(), noShow)
				if ReasonOf(err) != tt.reason || strings.Contains(err.Error(), "reauthorize") {
					t.Errorf("device, %s %s: %s, %v", tt.code, tt.description, ReasonOf(err), err)
				}
			}
		})
	}
}

// Whatever a provider says, it becomes one line that is not long, and soon.
func FuzzWords(f *testing.F) {
	f.Add("AADSTS50194: Use a tenant-specific endpoint.\r\nTrace ID: 1 Timestamp: 2026-11-18 16:26:27Z")
	f.Add("For more information, see https://a.example/ . . . https://b.example/")
	f.Add("a: 00000000-0000-0000-0000-000000000001 b: 2026-11-18T16:26:27Z")
	f.Fuzz(func(t *testing.T, text string) {
		start := time.Now()
		got := clean(text)
		said{code: "invalid_grant", description: text}.reason()
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%d bytes took %v", len(text), took)
		}
		if len(got) > maxWords+3 || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x1b\u0085\u202e") {
			t.Errorf("%q became %q", text, got)
		}
	})
}
