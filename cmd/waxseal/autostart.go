package main

import (
	"bytes"
	"encoding/xml"
	"strings"
)

// appID names the program to desktops: its desktop entry, its windows' class,
// its launch agent.
const appID = "io.github.waxseal.waxseal"

// autostartEntry is the file in ~/.config/autostart that starts a program at
// login on Linux (Desktop Application Autostart Specification).
func autostartEntry(program string) string {
	return "[Desktop Entry]\n" +
		"Type=Application\n" +
		"Name=Waxseal\n" +
		"Comment=Lets mail programs that only know passwords send through providers that want OAuth\n" +
		"Exec=" + execValue(program, "--hidden") + "\n" +
		"Icon=" + appID + "\n" +
		"Terminal=false\n" +
		"X-GNOME-Autostart-enabled=true\n"
}

// execValue is a command line as a desktop entry holds it: each argument in
// double quotes, a % doubled, and the backslashes that come of it once more,
// because the value is a string of its own (Desktop Entry Specification, "The
// Exec key").
func execValue(args ...string) string {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`, `%`, `%%`)
	value := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`)
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = `"` + quote.Replace(a) + `"`
	}
	return value.Replace(strings.Join(quoted, " "))
}

// entryEnabled tells whether an autostart entry does anything: desktops switch
// one off by a line in it.
func entryEnabled(entry string) bool {
	for line := range strings.Lines(entry) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch strings.TrimSpace(key) {
		case "Hidden":
			if strings.TrimSpace(value) == "true" {
				return false
			}
		case "X-GNOME-Autostart-enabled":
			if strings.TrimSpace(value) == "false" {
				return false
			}
		}
	}
	return true
}

// runValue is what the Run key of Windows' registry holds. No path on Windows
// has a quotation mark in it.
func runValue(program string) string { return `"` + program + `" --hidden` }

// launchAgent is the property list that starts a program at login on macOS
// (launchd.plist(5)).
func launchAgent(program string) string {
	var path bytes.Buffer
	xml.EscapeText(&path, []byte(program)) // a bytes.Buffer takes everything
	return xml.Header +
		`<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n" +
		"<plist version=\"1.0\">\n<dict>\n" +
		"\t<key>Label</key>\n\t<string>" + appID + "</string>\n" +
		"\t<key>ProgramArguments</key>\n\t<array>\n\t\t<string>" + path.String() + "</string>\n\t\t<string>--hidden</string>\n\t</array>\n" +
		"\t<key>RunAtLoad</key>\n\t<true/>\n" +
		"\t<key>ProcessType</key>\n\t<string>Interactive</string>\n" +
		"</dict>\n</plist>\n"
}
