package main

import (
	"bytes"
	"encoding/xml"
	"strings"
)

// appID names the program to desktops: its desktop entry, its windows' class,
// its launch agent.
const appID = "io.github.waxseal.waxseal"

// autostartEntry is the content of the file in ~/.config/autostart that starts a program at
// login on Linux (Desktop Application Autostart Specification).
func autostartEntry(program string) string {
	return "[Desktop Entry]\n" +
		"Type=Application\n" +
		"Name=Waxseal\n" +
		"Comment=Lets programs that only support passwords send and read mail at providers that require OAuth\n" +
		"Exec=" + execValue(program, "--hidden") + "\n" +
		"Icon=" + appID + "\n" +
		"Terminal=false\n" +
		"X-GNOME-Autostart-enabled=true\n"
}

// execValue is a command line as a desktop entry contains it: each argument in double quotes,
// with % doubled, and the resulting backslashes escaped once more, because the value is itself a
// string (Desktop Entry Specification, "The Exec key").
func execValue(args ...string) string {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`, `%`, `%%`)
	value := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`)
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = `"` + quote.Replace(a) + `"`
	}
	return value.Replace(strings.Join(quoted, " "))
}

// entryEnabled reports whether an autostart entry has any effect: desktops turn one off by adding
// a line to it.
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

// runValue is the value for the Run key of Windows' registry. No path on Windows contains a
// quotation mark.
func runValue(program string) string { return `"` + program + `" --hidden` }

// launchAgent is the property list that starts a program at login on macOS
// (launchd.plist(5)).
func launchAgent(program string) string {
	var path bytes.Buffer
	xml.EscapeText(&path, []byte(program)) // writing to a bytes.Buffer cannot fail
	return xml.Header +
		`<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n" +
		"<plist version=\"1.0\">\n<dict>\n" +
		"\t<key>Label</key>\n\t<string>" + appID + "</string>\n" +
		"\t<key>ProgramArguments</key>\n\t<array>\n\t\t<string>" + path.String() + "</string>\n\t\t<string>--hidden</string>\n\t</array>\n" +
		"\t<key>RunAtLoad</key>\n\t<true/>\n" +
		"\t<key>ProcessType</key>\n\t<string>Interactive</string>\n" +
		"</dict>\n</plist>\n"
}
