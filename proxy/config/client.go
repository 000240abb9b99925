package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// ReadClient reads the client ID and the client secret of a registration from a file or a
// pasted text. It may be
//
//   - the JSON that Google offers for download, client_secret_*.json, of the type "Desktop app";
//   - the JSON key of a service account, which is then the secret as a whole;
//   - what Azure's commands print, such as "az ad app create" and "az ad app credential reset";
//   - any other JSON object with client_id and client_secret; or
//   - the secret alone. The ID is then "".
//
// The secret is "" if the JSON has none. The errors say what else the text is and what to do,
// and contain nothing of it but client IDs.
func ReadClient(data []byte) (id, secret string, err error) {
	text, err := safeio.Text(data)
	kind := ""
	if other, ok := errors.AsType[*safeio.NotTextError](err); ok {
		kind = other.Looks
	} else if err != nil {
		return "", "", err
	}
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "{"):
		return readClientJSON(text)
	case strings.HasPrefix(text, "[") && json.Valid([]byte(text)):
		return readClientList(text)
	}
	if kind = cmp.Or(kind, otherText(text)); kind != "" {
		return "", "", trouble(api.Say("This is {{.Kind}}, and not a client secret or a JSON file with one.", "Kind", kind),
			api.Say("Use the file that the provider offers for download, or save the secret as plain text in UTF-8."))
	}
	if strings.ContainsFunc(text, isSpaceOrControl) {
		return "", "", trouble(api.Say("A client secret is a single word, but this text has spaces or several lines."),
			api.Say("Copy the secret alone, or use the provider’s JSON file."))
	}
	return "", text, nil
}

// readClientList reads what "az ad app list" prints: a list, which may have one registration.
func readClientList(text string) (id, secret string, err error) {
	var list []clientFields
	_ = json.Unmarshal([]byte(text), &list)
	switch {
	case len(list) == 1 && list[0].AppID != "":
		return strings.TrimSpace(list[0].AppID), strings.TrimSpace(list[0].Password), nil
	case len(list) > 0 && list[0].Email != "":
		return "", "", isImportFile()
	}
	return "", "", trouble(api.Say("This JSON is a list of several things."), api.Say("Use the part that is for this registration."))
}

func isImportFile() error {
	return trouble(api.Say("This JSON is a list of accounts to import, not a registration."), api.Say("Import it instead."))
}

// ReadClientFields is [ReadClient] for two fields, of a client ID and of a secret. People paste
// the whole JSON into either.
func ReadClientFields(idText, secretText string) (id, secret string, err error) {
	id, other, err := ReadClient([]byte(idText))
	if err != nil {
		return "", "", err
	}
	if id == "" {
		id, other = other, "" // not JSON, so it is the ID
	}
	jsonID, secret, err := ReadClient([]byte(secretText))
	switch {
	case err != nil:
		return "", "", err
	case id != "" && jsonID != "" && id != jsonID:
		return "", "", trouble(api.Say("The JSON belongs to the client ID {{.JSON}}, not to {{.Entered}}.", "JSON", jsonID, "Entered", id),
			api.Say("Use a client ID and a secret that belong together."))
	case other != "" && secret != "" && other != secret:
		return "", "", trouble(api.Say("The JSON has another client secret than the one that you entered."), api.Say("Leave one of them out."))
	case strings.HasSuffix(strings.ToLower(id), ".json"):
		return "", "", trouble(api.Say("{{.Name}} is the name of a file, not a client ID.", "Name", id), api.Say("Use the content of that file."))
	}
	return cmp.Or(id, jsonID), cmp.Or(secret, other), nil
}

// clientFields are the fields of the JSON objects that ReadClient knows.
type clientFields struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`

	Type        string `json:"type"` // Google's credentials have one, unless they are of a registration
	ClientEmail string `json:"client_email"`
	PrivateKey  string `json:"private_key"`

	AppID       string `json:"appId"`    // of Azure's commands
	Password    string `json:"password"` // of Azure's commands
	SDKClientID string `json:"clientId"` // of Azure's commands with --sdk-auth, and of others
	SDKSecret   string `json:"clientSecret"`

	Installed *clientFields   `json:"installed"` // Google's type "Desktop app"
	Web       *clientFields   `json:"web"`       // Google's type "Web application"
	Project   json.RawMessage `json:"project_info"`
	Accounts  json.RawMessage `json:"accounts"`
	Email     string          `json:"email"` // of an account to import
}

func readClientJSON(text string) (id, secret string, err error) {
	var c clientFields
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return "", "", trouble(api.Say("This starts like JSON, but is damaged or cut off ({{.Reason}}).", "Reason", jsonFault([]byte(text), err)),
			api.Say("Use the whole file; on a terminal, paste it in one line."))
	}
	useDesktop := api.Say("Create a client of the type “Desktop app” and use its JSON.")
	switch {
	case c.Installed != nil && c.Installed.ClientID != "":
		return strings.TrimSpace(c.Installed.ClientID), strings.TrimSpace(c.Installed.ClientSecret), nil
	case c.AppID != "": // whose JSON has a field "web", too
		return strings.TrimSpace(c.AppID), strings.TrimSpace(c.Password), nil
	case c.Web != nil:
		return "", "", trouble(api.Say("This JSON belongs to a client of the type “Web application”. For those, Google accepts only redirect addresses with the port that was registered, but Waxseal uses any free port."), useDesktop)
	case isServiceKey(text):
		return c.ClientEmail, text, nil
	case c.Type == "authorized_user":
		return "", "", trouble(api.Say("This JSON contains a user’s own credentials, as gcloud stores them, and not a registration."), useDesktop)
	case c.Type != "" || c.Project != nil:
		return "", "", trouble(api.Say("This JSON is another of Google’s files, without a client that Waxseal can use."), useDesktop)
	case c.Accounts != nil:
		return "", "", isImportFile()
	}
	if id = cmp.Or(c.ClientID, c.SDKClientID); id != "" {
		return strings.TrimSpace(id), strings.TrimSpace(cmp.Or(c.ClientSecret, c.SDKSecret)), nil
	}
	return "", "", trouble(api.Say("This JSON has no client ID."), api.Say("Use the file that the provider offered when you created the client."))
}

// isServiceKey reports whether a text is the JSON key of a service account at Google.
func isServiceKey(text string) bool {
	var key clientFields
	return strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &key) == nil && key.ClientEmail != "" && key.PrivateKey != ""
}

// CheckSecret returns an error if a client secret is of a kind that the provider's grant cannot
// use: the key of a service account is only for grant = "jwt_bearer", and only that is.
func (p Provider) CheckSecret(secret string) error {
	switch isKey := isServiceKey(secret); {
	case p.Grant != oauth.JWTBearer && isKey:
		return trouble(api.Say("This is the key of a service account, but {{.Provider}} expects the client ID and the client secret of a registration.", "Provider", p.Name),
			api.Say("To send with a service account, add a provider for it, as docs/providers.md shows."))
	case p.Grant == oauth.JWTBearer && !isKey && secret != "":
		return trouble(api.Say("This is not the JSON key of a service account, which {{.Provider}} expects.", "Provider", p.Name),
			api.Say("Create a key of the type JSON for the service account and use that file."))
	}
	return nil
}

// otherText names the kind of a text that people mistake for another; "" means that it does not
// look like any of these.
func otherText(text string) string {
	start := strings.ToLower(text[:min(len(text), 4096)])
	if strings.HasPrefix(start, "<!--") { // browsers put a remark before a page that they save
		_, start, _ = strings.Cut(start, "-->")
		start = strings.TrimSpace(start)
	}
	for _, k := range otherKinds {
		if strings.HasPrefix(start, k.start) {
			return k.kind
		}
	}
	if strings.HasPrefix(start, "-----begin ") || strings.Contains(start, "\n-----begin ") {
		return "a certificate or a key in PEM format"
	}
	return ""
}

// otherKinds are the starts of such texts, in lower case. The first that fits counts.
var otherKinds = []struct{ start, kind string }{
	{"<!doctype html", "a web page (HTML)"},
	{"<html", "a web page (HTML)"},
	{"<head", "a web page (HTML)"},
	{"<body", "a web page (HTML)"},
	{"<script", "a web page (HTML)"},
	{"<meta", "a web page (HTML)"},
	{"<title", "a web page (HTML)"},
	{"<?xml", "an XML file"},
	{"<!doctype", "an XML file"},
	{"from: <saved by", "a saved web page (MHTML)"},
	{"[internetshortcut]", "a shortcut to a web page (.url)"},
	{"[desktop entry]", "a shortcut (.desktop)"},
	{"ssh-rsa ", "a public key of SSH"},
	{"ssh-ed25519 ", "a public key of SSH"},
	{"ecdsa-sha2-", "a public key of SSH"},
	{"putty-user-key-file-", "a private key of PuTTY"},
}
