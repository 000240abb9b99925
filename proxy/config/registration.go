package config

import (
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// noSecret ends the steps of a public client at Microsoft.
var noSecret = api.Say("Copy the “Application (client) ID”. No secret is needed.")

// desktopPlatform is the redirect of a public client at Microsoft.
var desktopPlatform = api.Say("Under “Authentication”, add the platform “Mobile and desktop applications” with the redirect http://localhost, and set “Allow public client flows” to “Yes”.")

// registrations are what is true of one provider and of no other. The menus are
// as the providers' documentation has them; they change now and then.
var registrations = map[string]api.Registration{
	"google": {Secret: "needed", Page: "https://console.cloud.google.com/auth/clients", Steps: []api.Text{
		api.Say("At console.cloud.google.com, create a project and enable the “Gmail API” in it."),
		api.Say("Under “Google Auth Platform”, set up the consent screen: “Internal” for a Workspace domain, otherwise “External” with yourself as a test user. Publish it later: while it is in testing, sign-ins expire after 7 days."),
		api.Say("Under “Clients”, create a client of the type “Desktop app”. No redirect is needed."),
		api.Say("Copy its client ID and client secret. Google requires both."),
	}},
	"microsoft": {Secret: "none", Page: "https://entra.microsoft.com/", Steps: []api.Text{
		api.Say("At entra.microsoft.com, under “App registrations”, create a registration: for your directory only, or for any directory and personal accounts."),
		desktopPlatform,
		api.Say("Under “API permissions”, add the delegated permissions SMTP.Send (of Office 365 Exchange Online) and offline_access."),
		noSecret,
	}},
	"microsoft-gcc-high": nationalCloud("portal.azure.us"),
	"microsoft-dod":      nationalCloud("portal.azure.us"),
	"microsoft-china":    nationalCloud("portal.azure.cn"),
	"outlook": {Secret: "none", Page: "https://entra.microsoft.com/", Steps: []api.Text{
		api.Say("At entra.microsoft.com, under “App registrations”, create a registration that allows personal Microsoft accounts."),
		desktopPlatform,
		api.Say("Under “API permissions”, add the delegated permissions SMTP.Send and offline_access."),
		noSecret,
	}},
	"fastmail": {Secret: "none", Page: "https://www.fastmail.com/for-developers/oauth/", Steps: []api.Text{
		api.Say("Fastmail registers programs by hand: write to its developers (www.fastmail.com/for-developers/oauth), with the redirect http://localhost/ and the scope https://www.fastmail.com/dev/protocol-smtp."),
		api.Say("If it is only for you, an app password in your mail program is quicker (“Settings”, “Privacy & Security”). You don’t need Waxseal then."),
	}},
	"yandex": {Secret: "needed", Page: "https://oauth.yandex.com/client/new", Steps: []api.Text{
		api.Say("At oauth.yandex.com/client/new, create an app of the platform “Web services” with the redirect URI http://127.0.0.1/."),
		api.Say("Under “Data access”, add mail:smtp."),
		copyBoth,
	}},
	"mailru": {Secret: "needed", Page: "https://o2.mail.ru/app/", Steps: []api.Text{
		api.Say("At o2.mail.ru/app, create an app with the redirect URI http://127.0.0.1/ and the access mail.imap, which includes sending."),
		copyBoth,
	}},
	"comcast": {Secret: "needed", Steps: []api.Text{
		api.Say("Ask Comcast to register a desktop program for Xfinity mail, with the redirect http://127.0.0.1/. There is no public page for it."),
	}},
	"seznam": {Secret: "maybe", Page: "https://vyvojari.seznam.cz/oauth/admin", Steps: []api.Text{
		api.Say("At vyvojari.seznam.cz/oauth/admin, add a service with the redirect http://localhost/ and access to e-mail."),
		api.Say("Copy its client ID, and its secret if there is one."),
	}},
	"yahoo": {Secret: "needed", Closed: closed("Yahoo")},
	"aol":   {Secret: "needed", Closed: closed("AOL")},
}

var copyBoth = api.Say("Copy its client ID and client secret.")

// closed says that a provider registers nobody.
func closed(provider string) api.Text {
	return api.Say("{{.Provider}} accepts no new registrations for mail. Use a client ID that you already have, or an app password in your mail program without Waxseal.", "Provider", provider)
}

// nationalCloud is how to register with one of Microsoft's national clouds, at its own portal.
func nationalCloud(portal string) api.Registration {
	return api.Registration{Secret: "none", Page: "https://" + portal + "/", Steps: []api.Text{
		api.Say("At {{.Portal}}, under “App registrations”, create a registration. Registrations of Microsoft’s worldwide cloud do not work here.", "Portal", portal),
		desktopPlatform,
		api.Say("Under “API permissions”, add the delegated permissions SMTP.Send and offline_access of Microsoft Graph."),
		noSecret,
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
	scopes := strings.Join(p.Scopes, " ")
	r := api.Registration{Secret: "needed"}
	var step api.Text
	switch p.Grant {
	case "client_credentials":
		step = api.Say("Register a program with {{.Provider}} that has a secret and the right to send for the mailbox, for the scope {{.Scopes}}.", "Provider", p.Name, "Scopes", scopes)
	case "jwt_bearer":
		step = api.Say("Create a service account at {{.Provider}} that has a key and the right to send for the mailbox, for the scope {{.Scopes}}.", "Provider", p.Name, "Scopes", scopes)
	default:
		r.Secret = "maybe"
		step = api.Say("Register a desktop (native) program with {{.Provider}}, with the redirect {{.Redirect}} on any port, for the scope {{.Scopes}}.",
			"Provider", p.Name, "Redirect", "http://"+p.RedirectHost+p.RedirectPath, "Scopes", scopes)
	}
	r.Steps = []api.Text{step}
	return r
}
