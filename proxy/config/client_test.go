package config

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"
)

const (
	googleClient = `{"installed":{"client_id":"1-x.apps.googleusercontent.com","project_id":"mail-1","auth_uri":"https://accounts.google.com/o/oauth2/auth","token_uri":"https://oauth2.googleapis.com/token","client_secret":"GOCSPX-geheim","redirect_uris":["http://localhost"]}}`
	serviceKey   = `{"type":"service_account","project_id":"mail-1","private_key":"-----BEGIN PRIVATE KEY-----\ngeheim\n-----END PRIVATE KEY-----\n","client_email":"x@mail-1.iam.gserviceaccount.com","client_id":"123"}`
)

func TestReadClient(t *testing.T) {
	for name, c := range map[string]struct{ text, id, secret, err string }{
		"a secret":                   {text: "GOCSPX-geheim", secret: "GOCSPX-geheim"},
		"Entra's secret":             {text: "abc8Q~geheim_.-x", secret: "abc8Q~geheim_.-x"},
		"nothing":                    {text: " "},
		"Google's file":              {text: googleClient, id: "1-x.apps.googleusercontent.com", secret: "GOCSPX-geheim"},
		"Google's file, later":       {text: `{"installed":{"client_id":"1-x"}}`, id: "1-x"},
		"a service account":          {text: serviceKey, id: "x@mail-1.iam.gserviceaccount.com", secret: serviceKey},
		"az ad app create":           {text: `{"appId": "11-22", "displayName": "Waxseal", "signInAudience": "AzureADMyOrg"}`, id: "11-22"},
		"az ad app credential reset": {text: `{"appId": "11-22", "password": "geheim", "tenant": "33"}`, id: "11-22", secret: "geheim"},
		"any JSON":                   {text: `{"client_id": "id", "client_secret": "geheim"}`, id: "id", secret: "geheim"},
		"Google's web client":        {text: strings.Replace(googleClient, "installed", "web", 1), err: `type “Web application”`},
		"a user's credentials":       {text: `{"type":"authorized_user","client_id":"x","client_secret":"geheim","refresh_token":"geheim"}`, err: "gcloud"},
		"a workload identity":        {text: `{"type":"external_account"}`, err: "another of Google’s files"},
		"Firebase":                   {text: `{"project_info":{},"client":[]}`, err: "another of Google’s files"},
		"an import file":             {text: `{"accounts":[]}`, err: "list of accounts to import"},
		"other JSON":                 {text: `{"geheim":1}`, err: "no client ID"},
		"JSON that is cut off":       {text: googleClient[:60], err: "damaged or cut off"},
		"a web page":                 {text: "<!DOCTYPE html>\n<html>geheim", err: "a web page (HTML)"},
		"XML":                        {text: `<?xml version="1.0"?><geheim/>`, err: "an XML file"},
		"a page, as saved":           {text: "<!-- saved from url=(0014)about:internet -->\n<html>geheim", err: "a web page (HTML)"},
		"a page without a type":      {text: "<head><title>geheim", err: "a web page (HTML)"},
		"a page in one file":         {text: "From: <Saved by Blink>\nSnapshot-Content-Location: geheim", err: "MHTML"},
		"a shortcut of Windows":      {text: "[InternetShortcut]\nURL=https://geheim.example/", err: "a shortcut to a web page (.url)"},
		"a shortcut of Linux":        {text: "[Desktop Entry]\nName=geheim", err: "(.desktop)"},
		"what openssl prints":        {text: "Bag Attributes\n    friendlyName: geheim\n-----BEGIN CERTIFICATE-----\ngeheim", err: "PEM format"},
		"a public key":               {text: "ssh-ed25519 geheim me@corp", err: "of SSH"},
		"all of az ad app create":    {text: `{"appId": "11-22", "id": "3", "publicClient": {"redirectUris": []}, "web": {"homePageUrl": null, "redirectUris": []}}`, id: "11-22"},
		"az ad app list":             {text: `[{"appId": "11-22", "web": {}}]`, id: "11-22"},
		"az ad app list, more":       {text: `[{"appId": "geheim"}, {"appId": "33-44"}]`, err: "a list of several things"},
		"an import file, bare":       {text: `[{"email": "me@corp.example", "client_id": "1", "refresh_token": "geheim"}]`, err: "list of accounts to import"},
		"an empty list":              {text: `[]`, err: "a list of several things"},
		"az ad sp create-for-rbac":   {text: `{"appId": "11-22", "displayName": "x", "password": "geheim", "tenant": "3"}`, id: "11-22", secret: "geheim"},
		"the same with --sdk-auth":   {text: `{"clientId": "11-22", "clientSecret": "geheim", "subscriptionId": "3", "tenantId": "4"}`, id: "11-22", secret: "geheim"},
		"a key":                      {text: "-----BEGIN PRIVATE KEY-----\ngeheim", err: "PEM format"},
		"several lines":              {text: "client_id: x\nclient_secret: geheim", err: "several lines"},
	} {
		for encoding, data := range encodings(c.text + "\r\n") {
			id, secret, err := ReadClient([]byte(data))
			if id != c.id || secret != c.secret || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s in %s: %q, %q, %v", name, encoding, id, secret, err)
			}
			if err != nil && strings.Contains(err.Error(), "geheim") {
				t.Errorf("%s: the error contains a secret: %v", name, err)
			}
		}
	}
	for data, want := range map[string]string{
		"PK\x03\x04 xl/workbook.": "an Excel workbook", "%PDF-1.7": "a PDF document", "\x00\x01\x02": "binary data",
		string([]byte{0, '{', 0, '"'}): "damaged or cut off",
	} {
		if _, _, err := ReadClient([]byte(data)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", data, err, want)
		}
	}
}

func TestReadClientFields(t *testing.T) {
	for name, c := range map[string]struct{ idText, secretText, id, secret, err string }{
		"both":                   {" id ", " geheim\n", "id", "geheim", ""},
		"neither":                {"", "", "", "", ""},
		"only an ID":             {"id", "", "id", "", ""},
		"only a secret":          {"", "geheim", "", "geheim", ""},
		"JSON as the ID":         {googleClient, "", "1-x.apps.googleusercontent.com", "GOCSPX-geheim", ""},
		"JSON as the secret":     {"", googleClient, "1-x.apps.googleusercontent.com", "GOCSPX-geheim", ""},
		"JSON and its ID":        {"1-x.apps.googleusercontent.com", googleClient, "1-x.apps.googleusercontent.com", "GOCSPX-geheim", ""},
		"JSON and another ID":    {"2-y", googleClient, "", "", "belongs to the client ID 1-x.apps.googleusercontent.com, not to 2-y"},
		"JSON and its secret":    {googleClient, "GOCSPX-geheim", "1-x.apps.googleusercontent.com", "GOCSPX-geheim", ""},
		"JSON and another one":   {googleClient, "GOCSPX-other", "", "", "has another client secret"},
		"JSON without a secret":  {`{"appId": "11-22"}`, "geheim", "11-22", "geheim", ""},
		"a file's name":          {"/home/me/client_secret_1.apps.googleusercontent.com.json", "", "", "", "is the name of a file"},
		"a web page as the ID":   {"<html>", "", "", "", "a web page (HTML)"},
		"web JSON as the secret": {"id", strings.Replace(googleClient, "installed", "web", 1), "", "", "Web application"},
	} {
		id, secret, err := ReadClientFields(c.idText, c.secretText)
		if id != c.id || secret != c.secret || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %q, %v", name, id, secret, err)
		}
		if err != nil && strings.Contains(err.Error(), "GOCSPX") {
			t.Errorf("%s: the error contains a secret: %v", name, err)
		}
	}
}

func TestCheckSecret(t *testing.T) {
	user, app, service := Provider{Name: "Google"}, Provider{Name: "App", Grant: "client_credentials"}, Provider{Name: "Service", Grant: "jwt_bearer"}
	for _, c := range []struct {
		provider Provider
		secret   string
		want     string
	}{
		{user, "", ""}, {user, "geheim", ""}, {app, "geheim", ""}, {service, serviceKey, ""}, {service, "", ""},
		{user, serviceKey, "but Google expects the client ID and the client secret"},
		{app, serviceKey, "the key of a service account"},
		{service, "geheim", "this is not the JSON key of a service account, which Service expects"},
		{service, googleClient, "this is not the JSON key of a service account, which Service expects"},
	} {
		err := c.provider.CheckSecret(c.secret)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "geheim")) {
			t.Errorf("%s, %.20s: %v; want %q", c.provider.Name, c.secret, err, c.want)
		}
	}
}

// TestImportOfOtherFiles: whatever else people choose as an import file is called by its name.
func TestImportOfOtherFiles(t *testing.T) {
	for text, want := range map[string]string{
		googleClient: "--client-secret-file", serviceKey: "--client-secret-file", "<html>": "it is a web page (HTML)", "PK\x03\x04 word/document.": "this is a Word document",
	} {
		if _, err := ParseImport([]byte(text), Default()); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%.20q: %v; want %q", text, err, want)
		}
	}
	entry := func(extra string) string {
		return `[{"email": "me@gmail.com", "refresh_token": "rt", ` + extra + "}]"
	}
	quoted, _ := json.Marshal(googleClient)
	for _, extra := range []string{`"client_secret": ` + googleClient, `"client_id": ` + googleClient, `"client_secret": ` + string(quoted)} {
		for encoding, data := range encodings(entry(extra)) {
			found, err := ParseImport([]byte(data), Default())
			if err != nil || len(found.Entries) != 1 || found.Entries[0].Account.ClientID != "1-x.apps.googleusercontent.com" || found.Entries[0].ClientSecret != "GOCSPX-geheim" {
				t.Errorf("%.30s in %s: %+v, %v", extra, encoding, found, err)
			}
		}
	}
	found, err := ParseImport([]byte(entry(`"client_secret": `+serviceKey)), Default())
	if err != nil || len(found.Problems) != 1 || !strings.Contains(found.Problems[0].Problem.Error(), "this is the key of a service account") {
		t.Errorf("a service account: %+v, %v", found, err)
	}
}

func TestWeak(t *testing.T) {
	for password, want := range map[string]bool{
		"dragon": true, "short-one-1": true, "password1234": true, "Passwort-2024!": true, "aaaaaaaaaaaa": true, "abababababab": true, "123456789012": true,
		"boss12345678": true, "correct horse": false, "mail password": true, "KJ7-fpQ2-xw9": false, "ünïcödé-wörter": false,
	} {
		if weak(password, "boss@corp.example") != want {
			t.Errorf("weak(%q) = %t", password, !want)
		}
	}
	found, err := ParseImport([]byte(`[{"email": "me@gmail.com", "client_id": "id", "refresh_token": "rt", "smtp_password": "dragon"}]`), Default())
	if err != nil || len(found.Warnings) != 1 || !strings.HasPrefix(found.Warnings[0].Error(), "the local password of me@gmail.com is easy to guess; ") || strings.Contains(found.Warnings[0].Error(), "dragon") {
		t.Errorf("%+v, %v", found, err)
	}
}

func FuzzReadClient(f *testing.F) {
	for _, s := range []string{googleClient, serviceKey, "secret", "<html>", "{", string(utf16.Decode([]uint16{0xfeff, '{'}))} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if id, secret, err := ReadClient(data); err != nil && id+secret != "" {
			t.Errorf("%q, %q and the error %v", id, secret, err)
		}
	})
}
