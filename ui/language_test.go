package ui

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// texts are the keys that the code gives to tr (false) and to trn (true).
func texts(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			f, ok := call.Fun.(*ast.Ident)
			if !ok || f.Name != "tr" && f.Name != "trn" {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				if name != "language.go" {
					t.Errorf("%s: %s is given something else than a text", set.Position(call.Pos()), f.Name)
				}
				return true
			}
			key, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			if counts, there := found[key]; there && counts != (f.Name == "trn") {
				t.Errorf("%q is given both to tr and to trn", key)
			}
			found[key] = f.Name == "trn"
			return true
		})
	}
	return found
}

// translation reads a file: a text is a string, one about a number of things an
// object of plural forms.
func translation(t *testing.T, language string) map[string]any {
	t.Helper()
	data, err := os.ReadFile("translation/" + language + ".json")
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

// Every text in the code is in every language, no other one is, and none lost a
// place for a value on its way.
func TestTranslationsAreComplete(t *testing.T) {
	used := texts(t)
	if *update {
		writeEnglish(t, used)
	}
	for _, language := range []string{"en", "de"} {
		have := translation(t, language)
		for _, key := range slices.Sorted(maps.Keys(used)) {
			switch v := have[key].(type) {
			case nil:
				t.Errorf("%s lacks %q", language, key)
			case string:
				if used[key] {
					t.Errorf("%s: %q needs plural forms", language, key)
				}
				if !slices.Equal(places(key), places(v)) || v == "" {
					t.Errorf("%s: %q became %q", language, key, v)
				}
			case map[string]any:
				one, _ := v["one"].(string)
				other, _ := v["other"].(string)
				if !used[key] || one == "" || !slices.Equal(places(key), places(other)) {
					t.Errorf("%s: %q became %v", language, key, v)
				}
			}
		}
		for key := range have {
			if _, ok := used[key]; !ok {
				t.Errorf("%s has %q, which nothing uses", language, key)
			}
		}
	}
}

// writeEnglish writes the English file: each text is its own translation. The
// singulars of what is counted are kept.
func writeEnglish(t *testing.T, used map[string]bool) {
	old := translation(t, "en")
	out := map[string]any{}
	for key, counts := range used {
		out[key] = key
		if counts {
			out[key] = map[string]any{"one": key, "other": key}
			if v, ok := old[key].(map[string]any); ok {
				out[key] = v
			}
		}
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(out); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("translation/en.json", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
