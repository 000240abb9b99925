package config

import (
	"fmt"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// registrations are what is true of one provider and of no other. The menus are
// as the providers' documentation has them; they change now and then.
var registrations = map[string]api.Registration{
	"google": {Secret: "needed", Page: "https://console.cloud.google.com/auth/clients", Steps: []string{
		`at console.cloud.google.com make a project and enable the "Gmail API" in it`,
		`under "Google Auth Platform" set up the consent screen: "Internal" for a Workspace domain, else "External" with yourself as a test user; publish it later, since consents end after 7 days while it is in testing`,
		`under "Clients" create a client of the type "Desktop app"; no redirect is asked for`,
		`take its client ID and its client secret; Google wants both`,
	}},
	"microsoft": {Secret: "none", Page: "https://entra.microsoft.com/", Steps: []string{
		`at entra.microsoft.com, "App registrations", make a new registration: for your directory only, or for any directory and personal accounts`,
		`under "Authentication" add the platform "Mobile and desktop applications" with the redirect http://localhost, and set "Allow public client flows" to yes`,
		`under "API permissions" add the delegated permissions SMTP.Send (of Office 365 Exchange Online) and offline_access`,
		`take the "Application (client) ID"; leave the secret out`,
	}},
	"microsoft-gcc-high": nationalCloud("portal.azure.us"),
	"microsoft-dod":      nationalCloud("portal.azure.us"),
	"microsoft-china":    nationalCloud("portal.azure.cn"),
	"outlook": {Secret: "none", Page: "https://entra.microsoft.com/", Steps: []string{
		`at entra.microsoft.com, "App registrations", make a new registration that allows personal Microsoft accounts`,
		`under "Authentication" add the platform "Mobile and desktop applications" with the redirect http://localhost, and set "Allow public client flows" to yes`,
		`under "API permissions" add the delegated permissions SMTP.Send and offline_access`,
		`take the "Application (client) ID"; leave the secret out`,
	}},
	"fastmail": {Secret: "none", Page: "https://www.fastmail.com/for-developers/oauth/", Steps: []string{
		`Fastmail registers programs by hand: write to its developers (www.fastmail.com/for-developers/oauth), with the redirect http://localhost/ and the scope https://www.fastmail.com/dev/protocol-smtp`,
		`for yourself alone an app password in your mail program is quicker (Settings, Privacy & Security); Waxseal is not needed then`,
	}},
	"yandex": {Secret: "needed", Page: "https://oauth.yandex.com/client/new", Steps: []string{
		`at oauth.yandex.com/client/new create an app of the platform "Web services" with the redirect URI http://127.0.0.1/`,
		`under "Data access" add mail:smtp`,
		`take its ClientID and its client secret`,
	}},
	"mailru": {Secret: "needed", Page: "https://o2.mail.ru/app/", Steps: []string{
		`at o2.mail.ru/app create an app with the redirect URI http://127.0.0.1/ and the access mail.imap, which covers sending`,
		`take its ID and its secret`,
	}},
	"comcast": {Secret: "needed", Steps: []string{
		`ask Comcast for a registration of a desktop program for Xfinity mail, with the redirect http://127.0.0.1/; there is no page for it that is open to all`,
	}},
	"seznam": {Secret: "maybe", Page: "https://vyvojari.seznam.cz/oauth/admin", Steps: []string{
		`at vyvojari.seznam.cz/oauth/admin add a service with the redirect http://localhost/ and the access to e-mail`,
		`take its client ID, and its secret if there is one`,
	}},
	"yahoo": {Secret: "needed", Closed: "Yahoo takes no new registrations for mail; use a client ID that you have from before, or an app password in your mail program without Waxseal"},
	"aol":   {Secret: "needed", Closed: "AOL takes no new registrations for mail; use a client ID that you have from before, or an app password in your mail program without Waxseal"},
}

// nationalCloud is how to register with one of Microsoft's national clouds, at its own portal.
func nationalCloud(portal string) api.Registration {
	return api.Registration{Secret: "none", Page: "https://" + portal + "/", Steps: []string{
		`at ` + portal + `, "App registrations", make a new registration; registrations of Microsoft's worldwide cloud do not work here`,
		`under "Authentication" add the platform "Mobile and desktop applications" with the redirect http://localhost, and set "Allow public client flows" to yes`,
		`under "API permissions" add the delegated permissions SMTP.Send and offline_access of Microsoft Graph`,
		`take the "Application (client) ID"; leave the secret out`,
	}}
}

// Registration is how to register this program at the provider. For one that the
// catalogue does not have it follows from the configuration.
func (p Provider) Registration() api.Registration {
	for _, b := range builtin() {
		if r, ok := registrations[b.ID]; ok && p.hasName(b.ID) && p.Grant == "" {
			return r
		}
	}
	what := "a desktop (native) program"
	where := fmt.Sprintf(", with the redirect http://%s%s on any port", p.RedirectHost, p.RedirectPath)
	secret := "maybe"
	switch p.Grant {
	case "client_credentials":
		what, where, secret = "a program with a secret and the right to send for the mailbox", "", "needed"
	case "jwt_bearer":
		what, where, secret = "a service account with a key and the right to send for the mailbox", "", "needed"
	}
	return api.Registration{Secret: secret, Steps: []string{
		fmt.Sprintf("register %s at %s%s, for the scope %s", what, p.Name, where, strings.Join(p.Scopes, " ")),
	}}
}
