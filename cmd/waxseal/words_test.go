package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// banned are turns of phrase that are not plain English, each with what to write instead. They are
// looked for in everything that people read. A pattern that has false alarms is worse than none:
// people stop believing it.
var banned = []struct{ pattern, instead string }{
	{`(?:[^e]|[^r]e|[^e]re|[^h]ere) (?:is|are|was|were) no (?:[a-kn-z]|mail|mess)`, `"is not an address"`}, // not "no longer", "no more", "there is no"
	{`\bthat are none\b|\bthat is none\b`, `"unrecognized", "that is not one"`},
	{`\bbehind (?:a|the) (?:message|start|stop|end|second|minute|first|last)\b|\b(?:ms|seconds?|minutes?) behind\b|\bone behind the other\b`, `"after" for time`},
	{`\b[Uu]nder way\b`, `"in progress", "running"`},
	{`\b[Ss]ome (?:minutes|seconds|hours|days|messages a)\b`, `"a few minutes"`},
	{`(?:^|[.;:] )Who (?:has|wants|is|asks|sends|uses|runs|reads|waits|comes|adds)\b`, `"whoever", "anyone who"`},
	{`\b(?:for|to|by|of|from|with) who (?:has|wants|is|asks|sends|uses|runs|reads|waits)\b`, `"for anyone who"`},
	{`\bLocked out are\b`, `"only … are locked out"`},
	{`\bbears?\b`, `"tolerates"`},
	{`\b[Ww]hat is said\b|\b[Ww]hat they say\b|\bcomes? to be (?:trusted|known)\b|\bcame to be\b`, `name the thing`},
	{`\b[Ll]ines to providers\b`, `"provider connections"`},
	{`\b[Mm]essages a minute\b`, `"messages per minute"`},
	{`\b[Ii]t holds from now on\b`, `"it takes effect now"`},
	{`\bwhat is behind (?:it|that|them)\b`, `"what follows"`},
	{`\bnobody anything\b`, `say what is not sent`},
	{`\btells whether\b`, `"reports whether"`},
	{`\bknow only passwords\b`, `"only support passwords"`},
	{`\b[Aa]s how (?:many|much) as\b`, `"as many as"`},
	{`\btheirs alone\b`, `"applies to those alone"`},
	{`\bwho comes? (?:first|last|later)\b`, `"the first"`},
}

// plainFolders are those whose Go files are in plain English already.
var plainFolders = []string{
	".ci/dist", ".ci/load", ".ci/suspend", ".ci/tests", "assets", "cmd/waxseal", "proxy/api",
	"proxy/breaker", "proxy/chaos", "proxy/config", "proxy/control", "proxy/dial", "proxy/dialogue",
	"proxy/emailproxy", "proxy/envelope", "proxy/foreign", "proxy/localtls", "proxy/localuser", "proxy/machine", "proxy/oauth",
	"proxy/providertest", "proxy/tcp", "proxy/updates", "proxy/upstream", "proxy", "keystore", "keystore/etcd", "keystore/safeio", "keystore/seal", "keystore/shared", "proxy/balancer", "proxy/lending", "proxy/pace", "e2e", "ui", "ui/programs", "ui/speech",
	"ui/tray", "ui/tray/traytest",
}

// plainDocs are the documents that are.
var plainDocs = []string{
	"CHANGELOG.md", "CONTRIBUTING.md", "README.md", "docs/architecture.md", "docs/clients.md",
	"docs/configuration.md", "docs/decisions.md", "docs/desktop.md", "docs/install.md", "docs/packages.md", "docs/performance.md",
	"docs/providers.md", "docs/reliability.md", "docs/scaling.md", "docs/security.md", "docs/server.md", "docs/troubleshooting.md", "docs/windows.md",
}

// TestPlainEnglish: everything that people read is in plain English: texts of the window and their
// translations' keys, string literals and comments of the source, documents.
func TestPlainEnglish(t *testing.T) {
	const root = "../.."
	var patterns []*regexp.Regexp
	for _, b := range banned {
		patterns = append(patterns, regexp.MustCompile(b.pattern))
	}
	look := func(where, text string) {
		t.Helper()
		text = strings.Join(strings.Fields(text), " ")
		for i, p := range patterns {
			if found := p.FindString(text); found != "" {
				t.Errorf("%s: %q; write %s", where, found, banned[i].instead)
			}
		}
	}
	data, err := os.ReadFile(filepath.Join(root, "ui/speech/translation/en.json"))
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]any
	if err := json.Unmarshal(data, &texts); err != nil {
		t.Fatal(err)
	}
	for key, english := range texts {
		look("en.json", key)
		if s, ok := english.(string); ok && s != key {
			look("en.json", s)
		}
	}
	for _, name := range plainDocs {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for paragraph := range strings.SplitSeq(string(data), "\n\n") {
			look(name, paragraph)
		}
	}
	for _, folder := range plainFolders {
		names, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %d files, %v", folder, len(names), err)
		}
		names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
		for _, name := range names {
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range f.Comments {
				look(set.Position(c.Pos()).String(), c.Text())
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if text, err := strconv.Unquote(lit.Value); err == nil {
						look(set.Position(lit.Pos()).String(), text)
					}
				}
				return true
			})
		}
	}
}

// TestBannedWordsAreFound: each of the old phrases that started the list is caught, and what stands
// in its place is not.
func TestBannedWordsAreFound(t *testing.T) {
	found := func(text string) bool {
		return slices.ContainsFunc(banned, func(b struct{ pattern, instead string }) bool {
			return regexp.MustCompile(b.pattern).MatchString(text)
		})
	}
	for _, text := range []string{
		"Lines to providers", "Messages a minute", "Messages under way", "Saved. It holds from now on.",
		"This is done once, and takes some minutes.", "Locked out are hosts elsewhere only", "How it comes to be trusted",
		"Too many commands that are none; closing", "what is behind it is no parameter known here", "“x” is no address.",
		"a program that bears it", "systray announces it 150 ms behind a panel's first look", "It tells nobody anything about you.",
	} {
		if !found(text) {
			t.Errorf("%q is not caught", text)
		}
	}
	for _, text := range []string{
		"There is no address.", "There is no account {{.Account}}.", "it is behind a firewall", "the server behind the proxy",
		"Messages per minute", "a bearer token", "some messages", "is no longer accepted", "somebody who has the key",
	} {
		if found(text) {
			t.Errorf("%q is caught", text)
		}
	}
}
