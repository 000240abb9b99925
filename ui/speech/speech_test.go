package speech

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the English file anew, and take out of the others what nothing says")

// languages are those that Waxseal speaks.
var languages = []string{"en", "de"}

// translation reads a file: a text is a string, one about a number of things an
// object of plural forms.
func translation(t *testing.T, language string) map[string]any {
	t.Helper()
	data, err := translations.ReadFile("translation/" + language + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatalf("%s: %v", language, err)
	}
	return m
}

var place = regexp.MustCompile(`\{\{\.[A-Za-z]+\}\}`)

// places are the values that a text has places for.
func places(s string) []string {
	found := place.FindAllString(s, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

// Every text of window, tray and engine is in every language, no other one is, and
// none lost a place for a value on its way. Where a language has other words, they
// are other words.
func TestTranslationsAreComplete(t *testing.T) {
	used := spoken(t)
	if *update {
		write(t, used)
		t.Skip("the files were written; build the test again to check them")
	}
	for _, language := range languages {
		have := translation(t, language)
		for _, key := range slices.Sorted(maps.Keys(used)) {
			forms := []string{}
			switch v := have[key].(type) {
			case nil:
				t.Errorf("%s lacks %q", language, key)
				continue
			case string:
				forms = append(forms, v)
				if used[key] {
					t.Errorf("%s: %q needs plural forms", language, key)
				}
			case map[string]any:
				for _, form := range []string{"one", "other"} {
					s, _ := v[form].(string)
					forms = append(forms, s)
				}
				if !used[key] {
					t.Errorf("%s: %q is not counted, and has plural forms", language, key)
				}
			}
			for _, f := range forms {
				if f == "" || !slices.Equal(places(key), places(f)) {
					t.Errorf("%s: %q became %q", language, key, f)
				}
				if language != "en" && f == key && !same[key] && place.ReplaceAllString(key, "") != "" {
					t.Errorf("%s: %q is not translated; if it reads the same there, add it to the list", language, key)
				}
			}
		}
		for key := range have {
			if _, ok := used[key]; !ok {
				t.Errorf("%s has %q, which nothing says", language, key)
			}
		}
	}
}

// same are the texts that read the same in every language: names, units, what mail
// programs call it.
var same = map[string]bool{
	"Ports": true, "Port": true, "etcd": true, "Server": true, "Normal": true, "Website": true, "SSL/TLS": true, "STARTTLS": true, "SMTP": true, "IMAP": true, "POP": true,
	"{{.N}} GB": true, "{{.N}} KB": true, "{{.N}} MB": true, "{{.N}} ms": true, "{{.N}} s": true,
	"Version {{.Version}}": true, "Waxseal {{.Version}}, {{.System}}": true,
}

// The window has buttons: its sentences name no command and no flag.
func TestTranslationsNameNoCommand(t *testing.T) {
	command := regexp.MustCompile("`|--[a-z]|\\bwaxseal [a-z]")
	for _, language := range languages {
		for key, v := range translation(t, language) {
			s, _ := v.(string)
			s = strings.ReplaceAll(s, "--cache-store", "") // email-oauth2-proxy's
			if command.MatchString(s) {
				t.Errorf("%s: %q became %q", language, key, s)
			}
		}
	}
}

// write makes the English file: each text is its own translation, unless the window
// has words of its own. What nothing says is taken out of all files.
func write(t *testing.T, used texts) {
	for _, language := range languages {
		old, out := translation(t, language), map[string]any{}
		for key, counts := range used {
			switch v, ok := old[key]; {
			case ok:
				out[key] = v
			case language == "en" && counts:
				out[key] = map[string]any{"one": key, "other": key}
			case language == "en":
				out[key] = key
			}
		}
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(out); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("translation/"+language+".json", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
