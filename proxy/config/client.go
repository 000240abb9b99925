package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// ReadClient reads the client ID and the client secret of a registration from a file or a
// pasted text. It may be
//
//   - the JSON that Google offers for download, client_secret_*.json, of the type "Desktop app";
//   - the JSON key of a service account, which is then the secret as a whole;
//   - what the commands "az ad app create" and "az ad app credential reset" print;
//   - any other JSON object with client_id and client_secret; or
//   - the secret alone. The ID is then "".
//
// The secret is "" if the JSON has none. The errors say what else the text is and what to do,
// and contain nothing of it but client IDs.
func ReadClient(data []byte) (id, secret string, err error) {
	text, err := safeio.Text(data)
	if err != nil {
		return "", "", fmt.Errorf("a client secret or a JSON file is expected, but %w", err)
	}
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		return readClientJSON(text)
	}
	if kind := otherText(text); kind != "" {
		return "", "", fmt.Errorf("a client secret or a JSON file is expected, but this is %s", kind)
	}
	if strings.ContainsFunc(text, isSpaceOrControl) {
		return "", "", errors.New("a client secret is a single word, but this text has spaces or several lines; copy the secret alone, or use the provider's JSON file")
	}
	return "", text, nil
}

// ReadClientFields is [ReadClient] for two fields, of a client ID and of a secret. People paste
// the whole JSON into either.
func ReadClientFields(idText, secretText string) (id, secret string, err error) {
	id, other, err := ReadClient([]byte(idText))
	if err != nil {
		return "", "", fmt.Errorf("client ID: %w", err)
	}
	if id == "" {
		id, other = other, "" // not JSON, so it is the ID
	}
	jsonID, secret, err := ReadClient([]byte(secretText))
	switch {
	case err != nil:
		return "", "", fmt.Errorf("client secret: %w", err)
	case id != "" && jsonID != "" && id != jsonID:
		return "", "", fmt.Errorf("the JSON belongs to the client ID %s, not to %s; use one that belongs to the other", jsonID, id)
	case other != "" && secret != "" && other != secret:
		return "", "", fmt.Errorf("the JSON for %s has another client secret than the one that was entered; leave one of them out", id)
	case strings.HasSuffix(strings.ToLower(id), ".json"):
		return "", "", fmt.Errorf("%q is the name of a file, not a client ID; use the file's content", id)
	}
	if id == "" {
		id = jsonID
	}
	if secret == "" {
		secret = other
	}
	return id, secret, nil
}

// clientFields are the fields of the JSON objects that ReadClient knows.
type clientFields struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`

	Type        string `json:"type"` // Google's credentials have one, unless they are of a registration
	ClientEmail string `json:"client_email"`
	PrivateKey  string `json:"private_key"`

	AppID    string `json:"appId"`    // of Azure's commands
	Password string `json:"password"` // of Azure's commands

	Installed *clientFields   `json:"installed"` // Google's type "Desktop app"
	Web       *clientFields   `json:"web"`       // Google's type "Web application"
	Project   json.RawMessage `json:"project_info"`
	Accounts  json.RawMessage `json:"accounts"`
}

func readClientJSON(text string) (id, secret string, err error) {
	var c clientFields
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return "", "", fmt.Errorf("this starts like JSON but is not (%s); it may be cut off: use the whole file, or paste it in one line", jsonFault([]byte(text), err))
	}
	switch {
	case c.Installed != nil && c.Installed.ClientID != "":
		return strings.TrimSpace(c.Installed.ClientID), strings.TrimSpace(c.Installed.ClientSecret), nil
	case c.Web != nil:
		return "", "", errors.New(`this JSON belongs to a client of the type "Web application"; for those Google accepts only redirect addresses with the exact port that was registered, and Waxseal uses any free port. Create a client of the type "Desktop app" and use its JSON`)
	case isServiceKey(text):
		return c.ClientEmail, text, nil
	case c.Type == "authorized_user":
		return "", "", errors.New(`this JSON contains a user's own credentials, as gcloud stores them, and not a registration; create a client of the type "Desktop app" and use its JSON`)
	case c.Type != "" || c.Project != nil:
		return "", "", errors.New(`this JSON is another file of Google's, without a client that Waxseal can use; create a client of the type "Desktop app" and use its JSON`)
	case c.Accounts != nil:
		return "", "", errors.New("this JSON is a list of accounts, not a registration; `waxseal account import` reads it")
	case c.AppID != "":
		return strings.TrimSpace(c.AppID), strings.TrimSpace(c.Password), nil
	case c.ClientID != "":
		return strings.TrimSpace(c.ClientID), strings.TrimSpace(c.ClientSecret), nil
	}
	return "", "", errors.New("this JSON has no client_id; use the file that the provider offered when the client was created")
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
		return fmt.Errorf(`this is the key of a service account, but %s expects the client ID and the client secret of a registration; to send with a service account, add a [[provider]] with grant = "jwt_bearer" (docs/providers.md shows one) and use that`, p.Name)
	case p.Grant == oauth.JWTBearer && !isKey && secret != "":
		return fmt.Errorf("%s expects the JSON key of a service account, and this is not one; create a key of the type JSON for the service account and use that file", p.Name)
	}
	return nil
}

// otherText names the kind of a text that people mistake for another, "" if it looks like none.
func otherText(text string) string {
	start := strings.ToLower(text[:min(len(text), 512)])
	switch {
	case strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html"):
		return "a web page (HTML); use the download button instead of saving the page"
	case strings.HasPrefix(start, "<?xml") || strings.HasPrefix(start, "<!doctype"):
		return "an XML file"
	case strings.HasPrefix(start, "-----begin "):
		return "a certificate or a key in PEM format"
	}
	return ""
}
