package tray

import (
	"encoding/json"
	"regexp"
	"strconv"
	"testing"
)

var textCall = regexp.MustCompile(`(?:lang\.L|plural)\(("(?:[^"\\]|\\.)*")`)

// textsIn finds the texts that code has translated.
func textsIn(code string) map[string]bool {
	texts := map[string]bool{}
	for _, m := range textCall.FindAllStringSubmatch(code, -1) {
		if text, err := strconv.Unquote(m[1]); err == nil {
			texts[text] = true
		}
	}
	return texts
}

func keys(t *testing.T, file string) map[string]bool {
	t.Helper()
	data, err := translation.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	texts := map[string]bool{}
	for k := range all {
		texts[k] = true
	}
	return texts
}
