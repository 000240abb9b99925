package main

import (
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestExecValue(t *testing.T) {
	for program, want := range map[string]string{
		"/usr/bin/waxseal":      `"/usr/bin/waxseal" "--hidden"`,
		"/opt/my apps/wax seal": `"/opt/my apps/wax seal" "--hidden"`,
		`/a"b`:                  `"/a\\"b" "--hidden"`,
		`/a\b`:                  `"/a\\\\b" "--hidden"`,
		"/a$b`c":                "\"/a\\\\$b\\\\`c\" \"--hidden\"",
		"/100%":                 `"/100%%" "--hidden"`,
	} {
		if got := execValue(program, "--hidden"); got != want {
			t.Errorf("%s: %s, want %s", program, got, want)
		}
	}
}

func TestEntryEnabled(t *testing.T) {
	for entry, want := range map[string]bool{
		autostartEntry("/x"):                   true,
		autostartEntry("/x") + "Hidden=true\n": false,
		strings.Replace(autostartEntry("/x"), "enabled=true", "enabled=false", 1): false,
		"Hidden = false": true,
	} {
		if got := entryEnabled(entry); got != want {
			t.Errorf("%t for\n%s", got, entry)
		}
	}
}

func TestLaunchAgentIsXML(t *testing.T) {
	const program = `/Applications/Wax & "Seal" <1>.app/Contents/MacOS/waxseal`
	var texts []string
	for d := xml.NewDecoder(strings.NewReader(launchAgent(program))); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			texts = append(texts, string(text))
		}
	}
	if !slices.Contains(texts, program) || !slices.Contains(texts, "--hidden") {
		t.Errorf("got %q", texts)
	}
}

func TestRunValue(t *testing.T) {
	if got, want := runValue(`C:\Program Files\Waxseal\waxseal.exe`), `"C:\Program Files\Waxseal\waxseal.exe" --hidden`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
