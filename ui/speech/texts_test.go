package speech

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// reply is the beginning of an SMTP reply, which only mail programs read.
var reply = regexp.MustCompile(`^[245][0-9]{2} `)

// texts are all that a person may read: each with whether it is about a number of
// things.
type texts map[string]bool

func (x texts) add(t *testing.T, key string, counts bool) {
	t.Helper()
	if key == "" || reply.MatchString(key) {
		return
	}
	if before, there := x[key]; there && before != counts {
		t.Errorf("%q is both counted and not", key)
	}
	x[key] = counts
}

// source is the Go files of a folder, without their tests.
type source struct {
	set    *token.FileSet
	files  []*ast.File
	consts map[string]ast.Expr // top-level constants and variables
}

func parse(t *testing.T, folder string) source {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %d files, %v", folder, len(names), err)
	}
	s := source{set: token.NewFileSet(), consts: map[string]ast.Expr{}}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(s.set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, f)
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && len(v.Names) == 1 && len(v.Values) == 1 {
					s.consts[v.Names[0].Name] = v.Values[0]
				}
			}
		}
	}
	return s
}

// value is the string that an expression is, where that is known without running
// the program: a literal, a constant, a sum of them.
func (s source) value(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		v, err := strconv.Unquote(e.Value)
		return v, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		if c, ok := s.consts[e.Name]; ok {
			return s.value(c)
		}
	case *ast.BinaryExpr:
		a, ok := s.value(e.X)
		b, also := s.value(e.Y)
		return a + b, ok && also && e.Op == token.ADD
	case *ast.ParenExpr:
		return s.value(e.X)
	}
	return "", false
}

func (s source) print(e ast.Expr) string {
	var b strings.Builder
	printer.Fprint(&b, s.set, e)
	return b.String()
}

// speaking are the functions that are given texts, by name, and which of their
// arguments are texts.
type speaking map[string][]int

// collect finds the texts that functions are given: constants, and variables of the
// function around the call. Anything else has to be among elsewhere: expressions
// whose texts are collected in another way.
func (s source) collect(t *testing.T, into texts, by speaking, counting, elsewhere []string) {
	for _, f := range s.files {
		var around *ast.FuncDecl
		ast.Inspect(f, func(n ast.Node) bool {
			if f, ok := n.(*ast.FuncDecl); ok {
				around = f
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := s.print(call.Fun)
			args, ok := by[name]
			if _, method, dotted := strings.Cut(name, "."); !ok && dotted {
				args = by["."+method]
			}
			for _, i := range args {
				if i >= len(call.Args) || slices.Contains(elsewhere, s.print(call.Args[i])) {
					continue
				}
				all, ok := s.values(around, call.Args[i])
				if !ok {
					t.Errorf("%s: %s is given %s, whose text is not known", s.set.Position(call.Pos()), name, s.print(call.Args[i]))
				}
				for _, text := range all {
					into.add(t, text, slices.Contains(counting, name))
				}
			}
			return true
		})
	}
}

// values are the strings that an expression may be. A parameter has none: they are
// where the function is called.
func (s source) values(around *ast.FuncDecl, e ast.Expr) (all []string, ok bool) {
	if text, ok := s.value(e); ok {
		return []string{text}, true
	}
	variable, ok := e.(*ast.Ident)
	if !ok || around == nil {
		return nil, false
	}
	known := false
	ast.Inspect(around, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if id, ok := left.(*ast.Ident); ok && id.Name == variable.Name && i < len(n.Rhs) {
					text, constant := s.value(n.Rhs[i])
					all, known = append(all, text), constant
				}
			}
		case *ast.FuncType:
			for _, p := range n.Params.List {
				known = known || slices.ContainsFunc(p.Names, func(id *ast.Ident) bool { return id.Name == variable.Name })
			}
		}
		return true
	})
	return all, known
}

// table finds the texts in a table of the source: in each entry those fields of the
// struct that are texts, or for a map of strings (no fields) its values.
func (s source) table(t *testing.T, into texts, name string, fields ...int) {
	t.Helper()
	list, ok := s.consts[name].(*ast.CompositeLit)
	if !ok || len(list.Elts) == 0 {
		t.Fatalf("there is no table %s", name)
	}
	for _, e := range list.Elts {
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			e = pair.Value
		}
		parts := []ast.Expr{e}
		if entry, ok := e.(*ast.CompositeLit); ok {
			parts = nil
			for _, i := range fields {
				parts = append(parts, entry.Elts[i])
			}
		}
		for _, p := range parts {
			text, ok := s.value(p)
			if !ok {
				t.Errorf("%s has %s, whose text is not known", name, s.print(p))
			}
			into.add(t, text, false)
		}
	}
}

// spoken are the texts of window, tray and engine.
func spoken(t *testing.T) texts {
	t.Helper()
	all := texts{}
	faces := speaking{"tr": {0}, "trn": {0}, "plural": {0}, "lang.L": {0}, "lang.N": {0}}
	for _, folder := range []string{"ui", "ui/tray"} {
		parse(t, folder).collect(t, all, faces, []string{"trn", "plural", "lang.N"}, nil)
	}
	engine := speaking{"Say": {0}, "api.Say": {0}, "s.say": {0}, "found": {0}, "problem": {0, 1}, ".warn": {0}, "note": {1}, ".passing": {2, 3}, ".lasting": {2, 3}}
	for _, folder := range []string{"proxy/api", "proxy/config", "proxy/machine", "proxy/mailbox", "proxy/smtpd", "proxy"} {
		parse(t, folder).collect(t, all, engine, nil, []string{
			"m.what", "m.cure", "keystoreWords[reason]", "keystore.Cure(err)", "mailbox.ProxyCure", // tables, or collected there
			"sentence(reason.What())", "sentence(reason.Cure())", "sentence(e.Reason.Cure())", "a.label", "a.headline", "p.NoOAuth", // asked below
		})
	}
	server := parse(t, "proxy/mailbox")
	server.table(t, all, "meanings", 3, 4)
	server.table(t, all, "keystoreWords")
	server.table(t, all, "readMeanings", 3, 4)
	parse(t, "keystore").table(t, all, "failures", 2, 3)
	for _, s := range api.States {
		all.add(t, s.Label().Key, false)
		all.add(t, s.Headline("X").Key, false)
	}
	for _, p := range (config.Config{}).Catalogue() {
		if p.NoOAuth != "" {
			all.add(t, p.NoOAuth, false)
		}
	}
	for _, a := range api.Actions {
		all.add(t, a.Label().Key, false)
	}
	for _, name := range api.CheckNames {
		all.add(t, api.Check{Name: name}.Title().Key, false)
	}
	for _, r := range oauth.Reasons() {
		if r.Class() != oauth.ByTime { // those are said with the provider's name
			all.add(t, sentence(r.What()), false)
			all.add(t, sentence(r.Cure()), false)
		}
	}
	return all
}

// sentence makes a phrase a sentence, as the engine does.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}

func TestScanFindsWhatIsSaid(t *testing.T) {
	all := spoken(t)
	for _, key := range []string{
		"Overview", "{{.N}} accounts", "Mail settings…", // window and tray
		"sign-in needed", "{{.Provider}} is refusing connections", "Change registration", "Access token", // api
		"{{.Provider}} refuses connections from this computer.", "Ask an administrator to switch on SMTP AUTH for this mailbox.",
		"The keychain is locked.", "Try again in a minute.", "The consent has expired.", "Sign in again.",
		"{{.Provider}}’s mail server isn’t responding.", // a variable
		"Under “Data access”, add this permission.", "The setting {{.Setting}} is not known and was left out.", "The client ID of {{.Account}} is now {{.New}}; it was {{.Old}}.",
	} {
		if _, ok := all[key]; !ok {
			t.Errorf("%q is not found", key)
		}
	}
}

// technical finds what only the command line and the configuration file know: a flag, a key, a
// value, a command.
var technical = regexp.MustCompile("--[a-z]|\\b[a-z]+_[a-z_]+\\b|`waxseal| = (true|false|\")")

// foreignKeys are the beginnings of texts with the keys of other programs' files and pages.
var foreignKeys = []string{
	"It authenticates with a certificate", "It has tokens but no registration", "Its client_id", "Its client_secret", "Section [{{.Section}}]", // imports
	"Under “API permissions”", // Microsoft's name of a permission
}

// TestWindowNamesNoFlagAndNoKey: who uses the window has neither a command line nor the
// configuration file open.
func TestWindowNamesNoFlagAndNoKey(t *testing.T) {
	for _, language := range []string{"en", "de"} {
		data, err := translations.ReadFile("translation/" + language + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var all map[string]any
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatal(err)
		}
		for key, text := range all {
			theirs := slices.ContainsFunc(foreignKeys, func(f string) bool { return strings.HasPrefix(key, f) })
			if found := technical.FindString(fmt.Sprint(text)); found != "" && !theirs {
				t.Errorf("%s: %q in %q", language, found, text)
			}
		}
	}
}
