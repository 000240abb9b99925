package config

import (
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// azureCommand registers Waxseal with Microsoft. The numbers are Microsoft Graph and its delegated
// permissions SMTP.Send, offline_access, IMAP.AccessAsUser.All and POP.AccessAsUser.All
// (learn.microsoft.com/graph/permissions-reference). The last two are only asked for by accounts that read.
// Personal accounts need version 2 of access tokens; see the Graph's apiApplication resource.
const azureCommand = `az ad app create --display-name Waxseal --sign-in-audience AzureADandPersonalMicrosoftAccount --requested-access-token-version 2` +
	` --is-fallback-public-client true --public-client-redirect-uris http://localhost` +
	` --required-resource-accesses '[{"resourceAppId":"00000003-0000-0000-c000-000000000000","resourceAccess":` +
	`[{"id":"258f6531-6087-4cc4-bb90-092c5fb3ed3f","type":"Scope"},{"id":"7427e0e9-2fba-42fe-b0c0-848c9e6a8182","type":"Scope"},` +
	`{"id":"652390e4-393a-48de-9484-05f9b1212954","type":"Scope"},{"id":"d7b7f2d9-0f45-4ea1-9d42-e50810c06991","type":"Scope"}]}]'` +
	` --query appId --output tsv`

// registrations contains what is true of only one provider. The menus are those of the providers'
// documentation, and change now and then.
var registrations = map[string]api.Registration{
	"google": {Secret: "needed", Steps: []api.Step{
		{Link: "https://console.cloud.google.com/projectcreate",
			Text: api.Say("Create a project. Any name will do.")},
		{Link: "https://console.cloud.google.com/apis/library/gmail.googleapis.com",
			Text: api.Say("Enable the Gmail API in it.")},
		{Link: "https://console.cloud.google.com/auth/overview", Copy: "Waxseal",
			Text: api.Say("Set up the consent screen with this name. Choose “Internal” for addresses of your own Workspace domain, otherwise “External”.")},
		{Link: "https://console.cloud.google.com/auth/audience",
			Text: api.Say("If it is “External”, publish the app: while it is in “Testing”, a sign-in ends after 7 days. A project with fewer than 100 users needs no verification by Google; they only click through a warning when they sign in.")},
		{Link: "https://console.cloud.google.com/auth/clients",
			Text: api.Say("Create a client of the type “Desktop app”, and download its JSON file or copy the client ID and the client secret. Google needs both.")},
	}},
	"microsoft": {Secret: "none", Tenant: true, Steps: append([]api.Step{shellStep}, microsoftSteps("https://entra.microsoft.com/")...)},
	"outlook": {Secret: "none", Steps: append([]api.Step{
		{Link: "https://azure.microsoft.com/free/",
			Text: api.Say("Microsoft only registers programs in a directory, and a personal account alone no longer has one. Use an account of an organization, or sign up for Azure with your personal account, which creates a directory.")},
		shellStep}, microsoftSteps("https://entra.microsoft.com/")...)},
	"microsoft-gcc-high": {Secret: "none", Tenant: true, Steps: microsoftSteps("https://portal.azure.us/")},
	"microsoft-dod":      {Secret: "none", Tenant: true, Steps: microsoftSteps("https://portal.azure.us/")},
	"microsoft-china":    {Secret: "none", Tenant: true, Steps: microsoftSteps("https://portal.azure.cn/")},
	"fastmail": {Secret: "none", Steps: []api.Step{
		{Link: "https://www.fastmail.com/for-developers/oauth/", Copy: "http://localhost/",
			Text: api.Say("Fastmail registers programs by hand. Write to its developers, with this redirect address.")},
		{Copy: "https://www.fastmail.com/dev/protocol-smtp",
			Text: api.Say("Ask for this scope.")},
		{Copy: "https://www.fastmail.com/dev/protocol-imap https://www.fastmail.com/dev/protocol-pop",
			Text: api.Say("If mail programs are to read mail, ask for these scopes too.")},
		{Text: api.Say("If it is only for you, an app password is quicker: create one under “Settings”, “Privacy & Security” and enter it in your mail program. You do not need Waxseal then.")},
	}},
	"yandex": {Secret: "needed", Steps: []api.Step{
		{Link: "https://oauth.yandex.com/client/new", Copy: "http://127.0.0.1/",
			Text: api.Say("Create an app of the platform “Web services” with this redirect address.")},
		{Copy: "mail:smtp",
			Text: api.Say("Under “Data access”, add this permission.")},
		{Copy: "mail:imap_full",
			Text: api.Say("If mail programs are to read mail, add this permission too.")},
		{Text: api.Say("Copy the client ID and the client secret.")},
	}},
	"mailru": {Secret: "needed", Steps: []api.Step{
		{Link: "https://o2.mail.ru/app/", Copy: "http://127.0.0.1/",
			Text: api.Say("Create an app with this redirect address.")},
		{Copy: "mail.imap",
			Text: api.Say("Give it this access, which includes sending and reading.")},
		{Text: api.Say("Copy the client ID and the client secret.")},
	}},
	"comcast": {Secret: "needed", Steps: []api.Step{
		{Copy: "http://127.0.0.1/",
			Text: api.Say("There is no public page for this. Ask Comcast to register a desktop program for Xfinity mail with this redirect address.")},
	}},
	"seznam": {Secret: "maybe", Steps: []api.Step{
		{Link: "https://vyvojari.seznam.cz/oauth/admin", Copy: "http://localhost/",
			Text: api.Say("Add a service with this redirect address and with access to e-mail.")},
		{Text: api.Say("Copy the client ID, and the client secret if there is one.")},
	}},
	"yahoo": {Secret: "needed", Closed: closed("Yahoo")},
	"aol":   {Secret: "needed", Closed: closed("AOL")},
}

// shellStep does in one command what microsoftSteps does with clicks.
var shellStep = api.Step{Link: "https://portal.azure.com/#cloudshell/", Copy: azureCommand,
	Text: api.Say("The quickest way: open the Cloud Shell, run this command, and copy the client ID that it prints. You can skip the other steps then.")}

// microsoftSteps are the clicks in one of Microsoft's portals. A registration belongs to the cloud
// of its portal.
func microsoftSteps(portal string) []api.Step {
	return []api.Step{
		{Link: portal + "#view/Microsoft_AAD_RegisteredApps/ApplicationsListBlade",
			Text: api.Say("Under “App registrations”, make a new registration for accounts in any organizational directory and, if there is that choice, personal Microsoft accounts.")},
		{Copy: "http://localhost",
			Text: api.Say("Under “Authentication”, add the platform “Mobile and desktop applications” with this redirect address, and allow public client flows.")},
		{Copy: "SMTP.Send",
			Text: api.Say("Under “API permissions”, “Microsoft Graph”, “Delegated permissions”, add this permission.")},
		{Copy: "offline_access",
			Text: api.Say("Add this permission in the same way.")},
		{Copy: "IMAP.AccessAsUser.All",
			Text: api.Say("If mail programs are to read mail with IMAP, add this permission too. In an organization, an administrator may have to grant it.")},
		{Copy: "POP.AccessAsUser.All",
			Text: api.Say("If mail programs are to read mail with POP, add this permission too. In an organization, an administrator may have to grant it.")},
		{Text: api.Say("Copy the “Application (client) ID”. There is no client secret.")},
	}
}

func closed(provider string) api.Text {
	return api.Say("{{.Provider}} accepts no new registrations for mail. Use a client ID from earlier, or create an app password there and enter it in your mail program, without Waxseal.", "Provider", provider)
}

// Registration says how to register Waxseal with the provider. For a provider that is not built in,
// it is derived from the configuration.
func (p Provider) Registration() api.Registration {
	for _, b := range builtin() {
		if r, ok := registrations[b.ID]; ok && p.hasName(b.ID) && p.Grant == "" {
			return r
		}
	}
	scope := api.Step{Copy: strings.Join(p.ScopesFor(api.Protocols), " "), Text: api.Say("Give it this scope.")}
	switch p.Grant {
	case oauth.ClientCredentials:
		return api.Registration{Secret: "needed", Steps: []api.Step{
			{Text: api.Say("Register a program with a client secret at {{.Provider}}, and allow it to send for the mailbox.", "Provider", p.Name)}, scope}}
	case oauth.JWTBearer:
		return api.Registration{Secret: "needed", Steps: []api.Step{
			{Text: api.Say("Create a service account with a key at {{.Provider}}, and allow it to send for the mailbox.", "Provider", p.Name)}, scope}}
	}
	return api.Registration{Secret: "maybe", Steps: []api.Step{
		{Copy: "http://" + p.RedirectHost + p.RedirectPath,
			Text: api.Say("Register a desktop (native) program at {{.Provider}} with this redirect address, on any port.", "Provider", p.Name)}, scope}}
}
