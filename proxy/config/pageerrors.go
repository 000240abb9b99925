package config

import (
	"net/url"
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// microsofts are the built-in providers that sign in at Microsoft, in any of its clouds.
var microsofts = []string{"microsoft", "outlook", "microsoft-gcc-high", "microsoft-dod", "microsoft-china"}

// PageErrors lists what the provider's own page may say instead of asking for consent. Such an error
// never reaches Waxseal. Sources: developers.google.com/identity/protocols/oauth2/native-app and
// learn.microsoft.com/entra/identity-platform/reference-error-codes.
//
// common says that nothing is known of this provider's page: the errors are those of RFC 6749 section
// 4.1.2.1 and of any provider.
func (p Provider) PageErrors() (list []api.PageError, common bool) {
	if p.hasName("google") {
		return googlePageErrors, false
	}
	if slices.ContainsFunc(microsofts, p.hasName) {
		return p.microsoftPageErrors(), false
	}
	return []api.PageError{
		{Code: "redirect_uri", Means: api.Say("The redirect address is not registered."),
			Cure: api.Say("Register this address for a desktop (native) program, with any port."), Copy: "http://" + p.RedirectHost + p.RedirectPath},
		{Code: "invalid_client", Means: api.Say("The provider does not know the client ID."),
			Cure: api.Say("Compare it with the client ID of your registration.")},
		{Code: "invalid_scope", Means: api.Say("The registration has no permission to send mail."),
			Cure: api.Say("Add this permission to it."), Copy: strings.Join(p.Scopes, " ")},
		{Code: "access_denied", Means: api.Say("The sign-in was declined, or the registration is not for this user."),
			Cure: api.Say("Sign in again and agree, or let the registration serve this user.")},
	}, true
}

const (
	googleClients  = "https://console.cloud.google.com/auth/clients"
	googleAudience = "https://console.cloud.google.com/auth/audience"
)

var googlePageErrors = []api.PageError{
	{Code: "redirect_uri_mismatch", Means: api.Say("The client is not of the type “Desktop app”."),
		Cure: api.Say("Create a client of that type, and enter its client ID and secret."), Link: googleClients},
	{Code: "access_denied", Means: api.Say("The app is in “Testing”, and this user is not one of its test users."),
		Cure: api.Say("Publish the app, or add the user to its test users."), Link: googleAudience},
	{Code: "invalid_client", Means: api.Say("Google does not know the client ID."),
		Cure: api.Say("Compare it with the one on this page."), Link: googleClients},
	{Code: "org_internal", Means: api.Say("The app is “Internal”: only users of its own organization can sign in."),
		Cure: api.Say("Sign in as one of them, or make the app “External”."), Link: googleAudience},
	{Code: "admin_policy_enforced", Means: api.Say("The organization’s policy does not allow this app."),
		Cure: api.Say("Ask a Workspace administrator to trust it under “API controls”."), Link: "https://admin.google.com/ac/owl"},
	{Means: api.Say("“Google hasn’t verified this app” is a warning. It appears because the registration is your own."),
		Cure: api.Say("Click “Advanced”, then “Go to Waxseal (unsafe)”.")},
}

func (p Provider) microsoftPageErrors() []api.PageError {
	list := []api.PageError{
		{Code: "AADSTS50011", Means: api.Say("The redirect address is not registered."),
			Cure: api.Say("Under “Authentication”, add the platform “Mobile and desktop applications” with this address."), Copy: "http://localhost"},
		{Code: "AADSTS50194", Means: api.Say("The registration is for one directory only."),
			Cure: api.Say("Add the account with that directory’s ID as its tenant. Or, under “Authentication”, let the registration serve any organizational directory.")},
		{Code: "AADSTS90094, AADSTS65001", Means: api.Say("An administrator of the organization has to agree first."),
			Cure: api.Say("Send them this link, and sign in again afterwards."), Copy: p.AdminConsent()},
		{Code: "AADSTS700016", Means: api.Say("Microsoft does not know the client ID, or not in this organization."),
			Cure: api.Say("Compare it with the “Application (client) ID”. The registration must serve accounts in any directory.")},
		{Code: "AADSTS7000218", Means: api.Say("Microsoft wants a client secret."),
			Cure: api.Say("Under “Authentication”, allow public client flows.")},
		{Code: "unauthorized_client, AADSTS500208", Means: api.Say("The registration is not for this type of account."),
			Cure: api.Say("Under “Authentication”, let it serve organizations and personal Microsoft accounts.")},
		{Means: api.Say("“Unverified” below the program’s name is not an error. It appears because the registration is your own."),
			Cure: api.Say("Click “Accept”.")},
	}
	if p.AdminConsent() == "" {
		list[2].Cure = api.Say("Ask them to do so, and sign in again afterwards.")
	}
	return list
}

// AdminConsent is Microsoft's page on which an administrator agrees for the whole organization; ""
// without a client ID. Source: learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent.
func (p Provider) AdminConsent() string {
	u, err := url.Parse(p.AuthURL)
	if err != nil || u.Host == "" || p.ClientID == "" || !slices.ContainsFunc(microsofts, p.hasName) {
		return ""
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if tenant == "common" || tenant == "consumers" {
		tenant = "organizations"
	}
	u.Path, u.RawQuery = "/"+tenant+"/adminconsent", url.Values{"client_id": {p.ClientID}}.Encode()
	return u.String()
}
