package oauth

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Reason says in one word why there is no token. Programs decide by it and word it in a person's
// language; the provider's own words are in the error beside it.
type Reason string

// The reasons that a provider's words are brought to.
const (
	ConsentEnded      Reason = "consent_ended"    // it does not say why
	ConsentExpired    Reason = "consent_expired"  // after its time
	ConsentUnused     Reason = "consent_unused"   // for too long
	ConsentRevoked    Reason = "consent_revoked"  // by the user or an administrator
	ConsentMissing    Reason = "consent_missing"  // nobody has consented, or not to this program
	PasswordChanged   Reason = "password_changed" // or all sessions were signed out
	PasswordExpired   Reason = "password_expired" // or must be changed
	MFANeeded         Reason = "mfa_needed"       // a second factor
	SignInNeeded      Reason = "sign_in_needed"   // the provider wants to see the user
	SessionLimited    Reason = "session_limited"  // a policy wants a sign-in from time to time
	DeniedByUser      Reason = "denied_by_user"   //
	ApprovalExpired   Reason = "approval_expired" // the code of a sign-in, before it was used
	ScopeMissing      Reason = "scope_missing"    // the user did not tick a box for mail
	AnsweredTwice     Reason = "answered_twice"   // two different answers came to one sign-in
	WrongIssuer       Reason = "wrong_issuer"     // another provider answered (RFC 9207)
	WrongUser         Reason = "wrong_user"       // somebody else signed in
	UserUnknown       Reason = "user_unknown"     // or not in this organisation
	UserDisabled      Reason = "user_disabled"    //
	UserLocked        Reason = "user_locked"      // after wrong passwords, or for risk
	PolicyBlocks      Reason = "policy_blocks"    //
	AdminConsent      Reason = "admin_consent_needed"
	DelegationMissing Reason = "delegation_missing" // the program's own right
	RoleMissing       Reason = "role_missing"       // an application permission of a program that acts for itself
	AssertionRefused  Reason = "assertion_refused"  // of a service account
	KeyMissing        Reason = "key_missing"        // of a service account
	NotRegistered     Reason = "not_registered"     // the client ID is unknown
	WrongSecret       Reason = "wrong_secret"
	SecretExpired     Reason = "secret_expired"
	SecretMissing     Reason = "secret_missing"
	SecretUnwanted    Reason = "secret_unwanted" // the registration is a public client
	RedirectUnknown   Reason = "redirect_not_registered"
	WrongTenant       Reason = "wrong_tenant"
	WrongAccountType  Reason = "wrong_account_type" // personal or of an organisation
	ScopeRefused      Reason = "scope_refused"
	AppDisabled       Reason = "app_disabled"
	TestUserMissing   Reason = "test_user_missing"
	FlowNotAllowed    Reason = "flow_not_allowed" // for this registration
	ClockWrong        Reason = "clock_wrong"      // this computer's
	Refused           Reason = "refused"          // for a reason that is not known here
	Passing           Reason = "passing"          // a fault that ends by itself
	Late              Reason = "late"             // no answer yet; it is awaited
	Lost              Reason = "lost"             // the answer; what became of the request is unknown
	Unreachable       Reason = "unreachable"      // the request was not sent
	OddAnswer         Reason = "odd_answer"       // one that is not of OAuth
	WebPage           Reason = "web_page"         // or a redirect, in the place of an answer
)

// Class says who can help.
type Class string

const (
	ByUser         Class = "user"          // by signing in
	ByAdmin        Class = "administrator" // of the user's organisation
	ByRegistration Class = "registration"  // whoever registered the program
	ByTime         Class = "time"          // nobody needs to
)

// reasons gives each reason its class and plain English: what is wrong, and what to do where that
// is more than to sign in again.
var reasons = map[Reason]struct {
	class      Class
	what, cure string
}{
	ConsentEnded:      {ByUser, "the provider no longer accepts the sign-in", ""},
	ConsentExpired:    {ByUser, "the consent has expired", ""},
	ConsentUnused:     {ByUser, "the consent was not used for too long and has expired", ""},
	ConsentRevoked:    {ByUser, "the consent was taken back, or was given for another program", ""},
	ConsentMissing:    {ByUser, "consent for this program is missing", ""},
	PasswordChanged:   {ByUser, "the password was changed, or all sessions were signed out", ""},
	PasswordExpired:   {ByUser, "the password has expired or must be changed", ""},
	MFANeeded:         {ByUser, "the provider asks for a second factor", ""},
	SignInNeeded:      {ByUser, "the provider asks for a new sign-in", ""},
	SessionLimited:    {ByUser, "the organisation's policy asks for a new sign-in from time to time", ""},
	DeniedByUser:      {ByUser, "the sign-in was declined", ""},
	ApprovalExpired:   {ByUser, "the approval came too late", ""},
	ScopeMissing:      {ByUser, "not all permissions for mail were granted", "sign in again and tick every box that is about mail"},
	AnsweredTwice:     {ByUser, "two different answers came to this sign-in, so neither was used", "sign in again; if it happens again, somebody else on this computer may be interfering"},
	WrongIssuer:       {ByUser, "the answer came from another provider", ""},
	WrongUser:         {ByUser, "somebody else signed in", "sign in as the account's own user; for a shared mailbox or an alias, name the user who signs in as its login"},
	UserUnknown:       {ByUser, "the provider does not know this user, or not in this organisation", "sign in as the user that the mailbox belongs to"},
	UserDisabled:      {ByAdmin, "the user's account is disabled", "ask an administrator to enable it"},
	UserLocked:        {ByAdmin, "the user's account is locked for now", "ask an administrator to unlock it, or try again later"},
	PolicyBlocks:      {ByAdmin, "the organisation's policy blocks this sign-in", "ask an administrator to allow it"},
	AdminConsent:      {ByAdmin, "an administrator of the organisation must consent to this program first", "ask an administrator to do so, then sign in again"},
	RoleMissing:       {ByAdmin, "the registration lacks an application permission", "add the permission to the registration, and have an administrator grant it"},
	DelegationMissing: {ByAdmin, "the program has no right to this mailbox", "for a service account, allow its client ID and these scopes under domain-wide delegation"},
	AssertionRefused:  {ByAdmin, "the service account was refused", "check that the user exists, that the key was not deleted, and this computer's clock"},
	KeyMissing:        {ByAdmin, "the service account's key is missing or unusable", "give its key file again"},
	NotRegistered:     {ByRegistration, "the client ID is not known to the provider, or not in this organisation", "check the client ID, and that the registration is for this organisation or for all"},
	WrongSecret:       {ByRegistration, "the client secret is wrong", "give the secret's value, not its ID"},
	SecretExpired:     {ByRegistration, "the client secret has expired", "create a new client secret at the provider and give it to Waxseal"},
	SecretMissing:     {ByRegistration, "the provider wants a client secret", "give the client secret, or allow public client flows in the registration"},
	SecretUnwanted:    {ByRegistration, "the registration is a public client, which has no secret", "remove the secret"},
	RedirectUnknown:   {ByRegistration, "the redirect address is not registered", "register it for mobile and desktop programs"},
	WrongTenant:       {ByRegistration, "the registration or the consent is for another tenant", "name the tenant in the configuration (tenant), or use a registration for all directories"},
	WrongAccountType:  {ByRegistration, "the registration does not allow this type of account (personal, or of an organisation)", "change the supported account types of the registration, or sign in with the other type of account"},
	ScopeRefused:      {ByRegistration, "the provider does not grant the permissions that Waxseal asks for", "check the provider's scopes, and that the registration has them"},
	AppDisabled:       {ByRegistration, "the program's registration is disabled", "ask whoever registered the program to enable it"},
	TestUserMissing:   {ByRegistration, "the registration is in testing and this user is not one of its test users", "add the user to the test users, or publish the registration"},
	FlowNotAllowed:    {ByRegistration, "the registration does not allow this way of signing in", "allow public client flows in the registration"},
	ClockWrong:        {ByRegistration, "this computer's clock is wrong", "set the clock"},
	Refused:           {ByRegistration, "the provider refuses the registration", "check the client ID, the client secret and the provider's settings"},
	Passing:           {ByTime, "the provider cannot answer at the moment", ""},
	Late:              {ByTime, "no answer yet; Waxseal waits for it", ""},
	Lost:              {ByTime, "no answer came", ""},
	Unreachable:       {ByTime, "the provider cannot be reached", ""},
	OddAnswer:         {ByTime, "the answer makes no sense", ""},
	WebPage:           {ByTime, "a web page or a redirect came instead of an answer", ""},
}

// Class says who can help.
func (r Reason) Class() Class { return reasons[r].class }

// What says in plain English what is wrong, as a phrase.
func (r Reason) What() string {
	if known, ok := reasons[r]; ok {
		return known.what
	}
	return string(r)
}

// Cure says in plain English what to do, as a phrase; "" where only time helps.
func (r Reason) Cure() string {
	switch known := reasons[r]; {
	case known.cure != "":
		return known.cure
	case known.class == ByUser:
		return "sign in again"
	}
	return ""
}

// Text is the reason, and for a wrong registration what to do about it.
func (r Reason) Text() string {
	if r.Class() == ByRegistration {
		return r.What() + "; " + r.Cure()
	}
	return r.What()
}

// Reasons are all of them, in no order.
func Reasons() []Reason { return slices.Collect(maps.Keys(reasons)) }

// aadsts are Microsoft's codes, which come in error_description and in error_codes. Source:
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes, and where it does not
// have a code, https://login.microsoftonline.com/error?code=N.
var aadsts = map[int]Reason{
	70000:  ConsentRevoked, // also what a personal account's token gets for being expired
	70008:  ConsentExpired,
	700082: ConsentUnused,
	700084: ConsentExpired, // a single-page app's, after a day
	50089:  ConsentExpired,
	50139:  ConsentEnded,
	70046:  SessionLimited,
	70043:  SessionLimited,
	50078:  SessionLimited,
	65001:  ConsentMissing,
	90008:  ConsentMissing,
	65004:  DeniedByUser,
	50173:  PasswordChanged,
	50132:  PasswordChanged,
	50133:  PasswordChanged,
	50055:  PasswordExpired,
	50144:  PasswordExpired,
	50135:  PasswordExpired,
	50056:  PasswordExpired,
	50072:  MFANeeded,
	50074:  MFANeeded,
	50076:  MFANeeded,
	50079:  MFANeeded,
	50158:  MFANeeded, // an external one, such as Duo
	53004:  MFANeeded,
	500121: MFANeeded,
	50161:  MFANeeded,
	50058:  SignInNeeded,
	40009:  SignInNeeded, // at the organisation's own provider
	40015:  SignInNeeded,
	50064:  SignInNeeded,
	50085:  SignInNeeded,
	50126:  SignInNeeded, // wrong password
	50125:  SignInNeeded, // a password must be registered first
	50143:  SignInNeeded,
	50180:  SignInNeeded,
	50197:  SignInNeeded,
	51006:  SignInNeeded,
	50140:  SignInNeeded,
	50199:  SignInNeeded,
	16001:  SignInNeeded,
	700020: SignInNeeded,
	54005:  ApprovalExpired, // a code used twice
	501481: ApprovalExpired, // its verifier does not fit
	90120:  ApprovalExpired,
	70018:  ApprovalExpired,
	70019:  ApprovalExpired,
	70020:  ApprovalExpired,

	16000:  UserUnknown,
	16003:  UserUnknown,
	50014:  UserUnknown,
	50020:  UserUnknown,
	50034:  UserUnknown,
	51004:  UserUnknown,
	90072:  UserUnknown,
	90125:  UserUnknown,
	500341: UserUnknown, // deleted
	50057:  UserDisabled,
	500571: UserDisabled, // a guest
	50053:  UserLocked,
	53011:  UserLocked,

	53000:   PolicyBlocks, // a device that does not comply
	53001:   PolicyBlocks, // one that is not joined
	53002:   PolicyBlocks,
	53003:   PolicyBlocks,
	53009:   PolicyBlocks,
	53010:   PolicyBlocks,
	530032:  PolicyBlocks,
	530003:  PolicyBlocks, // a device that is not managed
	530021:  PolicyBlocks,
	530031:  PolicyBlocks,
	530033:  PolicyBlocks,
	530084:  PolicyBlocks, // tokens must be bound to a device
	530034:  PolicyBlocks,
	530035:  PolicyBlocks,
	50002:   PolicyBlocks,
	50005:   PolicyBlocks,
	50097:   PolicyBlocks,
	50105:   PolicyBlocks, // the user is not assigned to the program
	501051:  PolicyBlocks,
	50127:   PolicyBlocks,
	50155:   PolicyBlocks,
	50177:   PolicyBlocks,
	50178:   PolicyBlocks,
	50187:   PolicyBlocks,
	80012:   PolicyBlocks, // outside of the allowed hours
	90123:   PolicyBlocks,
	135011:  PolicyBlocks,
	700003:  PolicyBlocks, // the device is gone
	1000104: PolicyBlocks,
	5000224: PolicyBlocks, // the organisation's directory is switched off
	50129:   PolicyBlocks,
	50131:   PolicyBlocks,
	50015:   PolicyBlocks, // age
	54000:   PolicyBlocks,
	500021:  PolicyBlocks,
	500022:  PolicyBlocks,
	500212:  PolicyBlocks,
	500213:  PolicyBlocks,
	1000031: PolicyBlocks,
	90094:   AdminConsent,
	90095:   AdminConsent,
	90099:   AdminConsent,
	90093:   AdminConsent,

	700016:  NotRegistered,
	700011:  NotRegistered,
	7000229: NotRegistered, // not in this organisation
	70001:   AppDisabled,
	7000112: AppDisabled,
	70002:   WrongSecret,
	7000215: WrongSecret,
	7000222: SecretExpired,
	7000218: SecretMissing,
	7000216: SecretMissing,
	700025:  SecretUnwanted,
	50011:   RedirectUnknown,
	500112:  RedirectUnknown,
	500113:  RedirectUnknown,
	900971:  RedirectUnknown,
	70004:   RedirectUnknown,
	90102:   RedirectUnknown,
	700009:  RedirectUnknown,
	9002325: RedirectUnknown, // registered as another kind of program
	9002326: RedirectUnknown,
	9002327: RedirectUnknown,

	50194:   WrongTenant,
	50128:   WrongTenant,
	50059:   WrongTenant,
	90002:   WrongTenant,
	90019:   WrongTenant,
	90038:   WrongTenant, // a national cloud's
	50049:   WrongTenant,
	90051:   WrongTenant,
	900382:  WrongTenant,
	900023:  WrongTenant,
	900432:  WrongTenant,
	700005:  WrongTenant,
	7000012: WrongTenant,
	500208:  WrongAccountType,
	500200:  WrongAccountType,
	9001023: WrongAccountType,
	9002331: WrongAccountType,
	9002332: WrongAccountType,
	9002346: WrongAccountType,
	90124:   WrongAccountType,
	90130:   WrongAccountType,
	700056:  WrongAccountType,

	28002:   ScopeRefused,
	28003:   ScopeRefused,
	50001:   ScopeRefused,
	500011:  ScopeRefused,
	500014:  ScopeRefused, // Exchange is switched off in the organisation
	65002:   ScopeRefused,
	65005:   ScopeRefused,
	650052:  ScopeRefused,
	650053:  ScopeRefused,
	650054:  ScopeRefused,
	650056:  ScopeRefused,
	650057:  ScopeRefused,
	70011:   ScopeRefused,
	700022:  ScopeRefused,
	700023:  ScopeRefused,
	90009:   ScopeRefused, // no scope at all is taken for one of its own
	1002012: ScopeRefused, // the program's own right needs /.default
	70003:   FlowNotAllowed,
	700030:  FlowNotAllowed,
	7000114: FlowNotAllowed,
	70005:   FlowNotAllowed,
	70007:   FlowNotAllowed,
	700054:  FlowNotAllowed,
	500133:  ClockWrong,
	700024:  ClockWrong,
	80013:   ClockWrong,

	40008: Passing,
	40010: Passing,
	50000: Passing,
	50033: Passing,
	50087: Passing,
	50088: Passing,
	50166: Passing,
	50196: Passing, // too many requests of one kind
	70012: Passing,
	80001: Passing,
	80002: Passing,
	80005: Passing,
	80007: Passing,
	80010: Passing,
	80014: Passing,
	90006: Passing,
	90012: Passing,
	90024: Passing,
	90033: Passing,
	90055: Passing,
	90090: Passing,
	90091: Passing,
}

// codes are the values of "error", "error_subtype" and the like, in lower case and with underscores.
// Providers write them in their own case: Yahoo in capitals.
var codes = map[string]Reason{
	// Yahoo and AOL: https://developer.yahoo.com/oauth2/guide/errors/
	"invalid_refresh_token":      ConsentRevoked,
	"token_expired":              ConsentExpired,
	"account_not_authorized":     ConsentMissing,
	"underage_user":              PolicyBlocks,
	"invalid_client_secret":      WrongSecret,
	"invalid_consumer_key":       NotRegistered,
	"deleted_consumer_key":       NotRegistered,
	"disabled_consumer_key":      AppDisabled,
	"client_id_disabled":         AppDisabled,
	"invalid_callback":           RedirectUnknown,
	"invalid_callback_url":       RedirectUnknown,
	"invalid_redirect_uri":       RedirectUnknown,
	"unsupported_redirect_uri":   RedirectUnknown,
	"bad_redirect_uri":           RedirectUnknown,
	"internal_error":             Passing,
	"error_handling_request":     Passing,
	"invalid_authorization_code": ApprovalExpired,
	// Google: https://developers.google.com/identity/protocols/oauth2/native-app,
	// https://support.google.com/accounts/answer/16668185,
	// https://support.google.com/a/answer/9368756 (session length)
	"invalid_rapt":          SessionLimited,
	"rapt_required":         SessionLimited,
	"admin_policy_enforced": PolicyBlocks,
	"access_not_configured": PolicyBlocks,
	"org_internal":          WrongAccountType,
	"deleted_client":        NotRegistered,
	"disabled_client":       AppDisabled,
	"disallowed_useragent":  FlowNotAllowed,
	"redirect_uri_mismatch": RedirectUnknown,
	"rate_limit_exceeded":   Passing,
	"internal_failure":      Passing,
	"restricted_client":     ScopeRefused, // "Unregistered scope(s) in the request"
	// Google's APIs, "status" of an error object: https://cloud.google.com/apis/design/errors
	"unavailable":        Passing,
	"internal":           Passing,
	"deadline_exceeded":  Passing,
	"resource_exhausted": Passing,
	// Microsoft's "suberror": https://learn.microsoft.com/entra/msal/dotnet/advanced/exceptions/
	"bad_token":                    ConsentRevoked,
	"user_password_expired":        PasswordExpired,
	"basic_action":                 SignInNeeded,
	"additional_action":            SignInNeeded,
	"protection_policy_required":   PolicyBlocks,
	"device_authentication_failed": PolicyBlocks,
	"client_mismatch":              ConsentRevoked,
	"authorization_declined":       DeniedByUser, // its device flow's access_denied
	"bad_verification_code":        ApprovalExpired,
	"code_expired":                 ApprovalExpired,
	// Zoho: https://www.zoho.com/accounts/protocol/oauth.html; with status 200
	"invalid_code": ConsentRevoked,
	// GitHub, with status 200: https://docs.github.com/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors
	"bad_refresh_token":     ConsentRevoked,
	"incorrect_device_code": ApprovalExpired,
	"device_flow_disabled":  FlowNotAllowed,
	"application_suspended": AppDisabled,
	// Mail.ru, seen with {"error_code": N}: https://github.com/yar229/WebDavMailRuCloud/issues/233
	"token_not_found":              ConsentRevoked,
	"invalid_username_or_password": SignInNeeded,
	// Elsewhere
	"refresh_token_expired":        ConsentExpired,
	"refresh_token_revoked":        ConsentRevoked,
	"expired_refresh_token":        ConsentExpired,
	"revoked_refresh_token":        ConsentRevoked,
	"token_revoked":                ConsentRevoked,
	"invalid_credentials":          WrongSecret,
	"bad_client_credentials":       WrongSecret,
	"incorrect_client_credentials": WrongSecret,
	"authentication_expired":       ApprovalExpired, // Keycloak, beside temporarily_unavailable
	"invalid_client_credentials":   WrongSecret,
	"invalid_client_id":            NotRegistered,
	"unknown_client":               NotRegistered,
	"too_many_requests":            Passing,
	"too_many_attempts":            Passing, // Auth0
	"service_unavailable":          Passing,
	"internal_server_error":        Passing,
	"429":                          Passing, // a status of HTTP in the place of a code
	"500":                          Passing,
	"502":                          Passing,
	"503":                          Passing,
	"504":                          Passing,
}

// general are the codes of the RFCs, which many causes share: RFC 6749 sections 4.1.2.1 and 5.2, RFC
// 8628 section 3.5, OpenID Connect Core section 3.1.2.6. What is more particular goes before.
var general = map[string]Reason{
	"invalid_grant":              ConsentEnded,
	"invalid_token":              ConsentEnded,
	"interaction_required":       SignInNeeded, // Microsoft answers these to a refresh, too
	"login_required":             SignInNeeded,
	"account_selection_required": SignInNeeded,
	"consent_required":           ConsentMissing,
	"access_denied":              DeniedByUser,
	"expired_token":              ApprovalExpired,
	"invalid_client":             Refused,
	"unauthorized_client":        FlowNotAllowed, // Yandex: also an app that is blocked or not yet moderated
	"unsupported_grant_type":     FlowNotAllowed,
	"unsupported_response_type":  FlowNotAllowed,
	"invalid_scope":              ScopeRefused,
	"invalid_target":             ScopeRefused,
	"invalid_resource":           ScopeRefused,
	"temporarily_unavailable":    Passing,
	"server_error":               Passing,
}

// phrases are words of a description that make a general code a particular one. They are in lower
// case. Sources: as above; Keycloak's and Okta's messages, from their source and documentation;
// those of Google's endpoint from issues of its client libraries.
var phrases = []struct {
	words  string
	reason Reason
}{
	{"invalid, expired, revoked", ConsentEnded},    // RFC 6749's own sentence: authentik, GitLab, Hydra
	{"unknown, invalid, or expired", ConsentEnded}, // Ping
	{"invalid_rapt", SessionLimited},
	{"rapt_required", SessionLimited},
	{"reauth related error", SessionLimited},
	{"account has been deleted", UserUnknown},
	{"account has been disabled", UserDisabled},
	{"account is disabled", UserDisabled},
	{"user disabled", UserDisabled},
	{"user account is locked", UserLocked},
	{"user is disabled", UserDisabled},
	{"account disabled", UserDisabled},
	{"user is blocked", UserDisabled},             // Auth0
	{"account restricted", PolicyBlocks},          // Google
	{"account is not fully set up", SignInNeeded}, // Keycloak
	{"not assigned to the client", PolicyBlocks},  // Okta
	{"policy evaluation failed", PolicyBlocks},    // Okta
	{`invalid impersonation`, UserUnknown},
	{"invalid email or user id", UserUnknown},
	{"user not found", UserUnknown},
	{"password was changed", PasswordChanged},
	{"password has changed", PasswordChanged},
	{"not authorized for any of the scopes", DelegationMissing},
	{"unauthorized to retrieve access tokens using this method", DelegationMissing},
	{"reasonable timeframe", ClockWrong},
	{"check your iat and exp", ClockWrong},
	{"test user", TestUserMissing},
	{"verification process", TestUserMissing},
	{"developer-approved testers", TestUserMissing},
	{"oauth client was not found", NotRegistered},
	{"oauth client was deleted", NotRegistered},
	{"client not found", NotRegistered},
	{"invalid value for 'client_id'", NotRegistered}, // Okta
	{"client is disabled", AppDisabled},
	{"client disabled", AppDisabled}, // Keycloak
	{"not enabled for consumers", WrongAccountType},
	{"restricted to users within its organization", WrongAccountType},
	{"client_secret is missing", SecretMissing},
	{"missing client_secret", SecretMissing},
	{"client secret is required", SecretMissing},
	{"client secret is invalid", WrongSecret},
	{"client secret provided is invalid", WrongSecret},
	{"client secret supplied for a confidential client is invalid", WrongSecret}, // Okta
	{"wrong client secret", WrongSecret},
	{"invalid client secret", WrongSecret},
	{"client secret has expired", SecretExpired},
	{"redirect_uri", RedirectUnknown},
	{"too many requests", Passing}, // Zoho says access_denied to it
	{"rate limit", Passing},
	{"temporarily unavailable", Passing},
	{"backend error", Passing}, // Google
	{"maximum allowed refresh token reuse", ConsentRevoked},
	{"user has not consented", ConsentMissing},
	{"expired or revoked", ConsentEnded},
	{"invalid or expired", ConsentEnded},
	{"revoked", ConsentRevoked},
	{"expired", ConsentExpired},
	{"token is not active", ConsentExpired},
	{"session not active", ConsentExpired},
	{"session doesn't have required client", ConsentRevoked},
	{"stale token", ConsentRevoked}, // Keycloak
}

// deadTokens are words about the refresh token itself, for codes that are not about consents: Dex
// answers invalid_request (dexidp/dex#2613), and so did others before they were corrected.
var deadTokens = []struct {
	words  *regexp.Regexp
	reason Reason
}{
	{regexp.MustCompile(`refresh[_ ]token (?:is |has been |was )*(?:invalid or expired|expired or revoked)`), ConsentEnded},
	{regexp.MustCompile(`(?:expired|revoked) refresh[_ ]token|refresh[_ ]token (?:is |has |has been |was )*(?:expired|too old)`), ConsentExpired},
	{regexp.MustCompile(`(?:invalid|unknown|bad|malformed) refresh[_ ]token|refresh[_ ]token (?:is |has been |was |does )*(?:invalid|not valid|not found|unknown|malformed|revoked|not exist|already)|unable to parse refresh[_ ]token|token was already used`), ConsentRevoked},
}

// ofClass are the general codes that a phrase of each class may refine: "expired" says nothing of a
// consent beside invalid_client.
var ofClass = map[string][]Class{
	"invalid_grant":       {ByUser, ByAdmin, ByRegistration, ByTime},
	"invalid_token":       {ByUser, ByAdmin},
	"access_denied":       {ByAdmin, ByRegistration, ByTime},
	"invalid_client":      {ByRegistration},
	"unauthorized_client": {ByAdmin, ByRegistration},
	"invalid_request":     {ByRegistration, ByAdmin, ByTime},
}

// ofOthers are the classes for codes that are in none of the tables.
var ofOthers = []Class{ByRegistration, ByAdmin, ByTime}

var aadstsCode = regexp.MustCompile(`AADSTS(\d{4,8})`)

// said is what an endpoint or the browser's return says of an error, before it is cleaned.
type said struct {
	code, description string
	more              []string // error_subtype, suberror and what else names the cause
	numbers           []int    // error_codes
}

// reason brings a provider's words to one of the reasons. It is exact if they name the cause
// themselves, and not a code that many causes share.
func (s said) reason() (r Reason, exact bool) {
	for _, m := range aadstsCode.FindAllStringSubmatch(s.description, maxNumbers) {
		n, _ := strconv.Atoi(m[1]) // at most eight digits
		s.numbers = append(s.numbers, n)
	}
	for _, n := range s.numbers {
		if r, ok := aadsts[n]; ok {
			return r, true
		}
	}
	code := fold(s.code)
	names := append(slices.Clone(s.more), s.code, s.description) // some have their name in the description
	for _, name := range names {
		if r, ok := codes[fold(name)]; ok {
			return r, true
		}
	}
	words := strings.ToLower(s.code + ": " + s.description)
	classes, ok := ofClass[code]
	if _, known := general[code]; !ok && !known {
		classes = ofOthers
	}
	for _, p := range phrases {
		if slices.Contains(classes, p.reason.Class()) && strings.Contains(words, p.words) {
			return p.reason, true
		}
	}
	if !slices.Contains(classes, ByUser) {
		for _, p := range deadTokens {
			if p.words.MatchString(words) {
				return p.reason, true
			}
		}
	}
	for _, name := range append([]string{s.code}, names...) {
		first, _, _ := strings.Cut(name, ":") // "invalid_grant: Bad Request"
		if r, ok := general[fold(first)]; ok {
			return r, false
		}
	}
	return Refused, false
}

// ReasonFor is the reason in an error that somebody read on a page, such as "AADSTS50011" or
// "redirect_uri_mismatch"; "" if it is not known.
func ReasonFor(text string) Reason {
	for _, word := range append(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,;:()'\"", r) }), "") {
		if r, exact := (said{code: word, description: text}).reason(); exact {
			return r
		}
		if r, ok := general[fold(word)]; ok {
			return r
		}
	}
	return ""
}

// fold writes a code as the RFCs do: INVALID_GRANT, Invalid-Grant and invalidGrant are invalid_grant.
func fold(code string) string {
	code = camelCase.ReplaceAllString(strings.TrimSpace(code), "${1}_${2}")
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(code))
}

var camelCase = regexp.MustCompile(`([a-z])([A-Z])`)
