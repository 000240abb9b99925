package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	docLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	docImage   = regexp.MustCompile(`<img src="([^"]+)"`)
	docHeading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	docAnchor  = regexp.MustCompile(`<a id="([^"]+)"`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// TestDocsLinks: every link between the documents leads to a file and a heading that exist. Texts of the
// program name some of them, too.
func TestDocsLinks(t *testing.T) {
	const root = "../.."
	read := func(name string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	anchors := func(page string) map[string]bool {
		found := map[string]bool{}
		for _, h := range docHeading.FindAllStringSubmatch(page, -1) { // as GitHub makes them
			found[strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
		}
		for _, a := range docAnchor.FindAllStringSubmatch(page, -1) {
			found[a[1]] = true
		}
		return found
	}
	for _, name := range plainDocs {
		page, dir := read(name), filepath.Dir(name)
		for _, link := range append(docLink.FindAllStringSubmatch(strings.ReplaceAll(page, "\n", " "), -1), docImage.FindAllStringSubmatch(page, -1)...) {
			file, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(file, ":") {
				continue // of the web
			}
			target := name
			if file != "" {
				target = filepath.Join(dir, file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, link[1])
			} else if anchor != "" && !anchors(read(target))[anchor] {
				t.Errorf("%s links to %s, and %s has no such heading", name, link[1], target)
			}
		}
	}
}

// The two commands of the README stay there, and are commands of the Makefile.
func TestReadmeHasTheTwoCommands(t *testing.T) {
	for name, words := range map[string][]string{
		"README.md": {"\n    make demo ", "\n    make test "},
		"Makefile":  {"\ndemo:", "\ntest:"},
	} {
		data, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range words {
			if !strings.Contains(string(data), w) {
				t.Errorf("%s does not have %q", name, w)
			}
		}
	}
}
