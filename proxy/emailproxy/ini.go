package emailproxy

import (
	"maps"
	"strings"
)

// section is a section of an ini file, with its keys in lower case.
type section struct {
	name   string
	values map[string]string
	keys   []string // in the order of the file
	twice  []string // keys that occur again, where configparser gives up
}

// parseINI reads what Python's configparser reads and writes with its default
// settings: "key = value" or "key: value", comments on their own lines after # or ;,
// and values that continue on lines indented deeper than their key. The dialects of
// ini libraries differ: with those, a client secret may end at a # or lose its quotes.
// Lines that mean nothing are ignored, where configparser gives up.
func parseINI(content string) []section {
	var sections []section
	var name string    // the key whose value may continue
	var lines []string // the lines of its value so far
	indent := 0        // the indentation of the key
	finish := func() {
		if name != "" {
			s := &sections[len(sections)-1]
			if _, there := s.values[name]; !there {
				s.values[name] = strings.TrimSpace(strings.Join(lines, "\n"))
				s.keys = append(s.keys, name)
			} else {
				s.twice = append(s.twice, name)
			}
		}
		name, lines = "", nil
	}
	for raw := range strings.Lines(content) {
		line := strings.TrimRight(raw, " \t\r\n\v\f")
		text := strings.TrimLeft(line, " \t\v\f")
		deep := len(line) - len(text)
		switch {
		case text == "":
			if name != "" {
				lines = append(lines, "") // a value may contain empty lines
			}
			continue
		case text[0] == '#' || text[0] == ';':
			continue
		case name != "" && deep > indent:
			lines = append(lines, text)
			continue
		}
		finish()
		if end := strings.LastIndexByte(text, ']'); text[0] == '[' && end > 1 {
			sections = append(sections, section{name: text[1:end], values: map[string]string{}})
			continue
		}
		at := strings.IndexAny(text, "=:")
		if at < 1 || len(sections) == 0 {
			continue
		}
		name, indent = strings.ToLower(strings.TrimSpace(text[:at])), deep
		lines = []string{strings.TrimSpace(text[at+1:])}
	}
	finish()
	return sections
}

// withDefaults is the section with the values of configparser's DEFAULT section where it
// has none.
func (s section) withDefaults(sections []section) section {
	for _, d := range sections {
		if d.name == "DEFAULT" {
			values := maps.Clone(d.values)
			maps.Copy(values, s.values)
			s.values = values
			break
		}
	}
	return s
}

// lookup finds values as that program does: first in the account's section, then in
// configparser's DEFAULT section. In between, if the file allows it, come the sections
// of the account's domain and of all domains.
func lookup(sections []section) func(name, key string) string {
	byName := make(map[string]map[string]string, len(sections))
	for _, s := range sections {
		if _, twice := byName[s.name]; !twice {
			byName[s.name] = s.values
		}
	}
	catchAll := truth(byName["emailproxy"]["allow_catch_all_accounts"])
	return func(name, key string) string {
		places := []string{name, "DEFAULT"}
		// An account must not get another account's tokens from there.
		if catchAll && key != "refresh_token" {
			places = []string{name, name[strings.LastIndexByte(name, '@'):], "@", "DEFAULT"}
		}
		for _, place := range places {
			if value, ok := byName[place][key]; ok {
				return value
			}
		}
		return ""
	}
}
