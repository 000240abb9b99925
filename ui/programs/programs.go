// Package programs says how to set up programs that send and read mail: one template a program, in
// templates. The command line prints the lines and writes them into a program's file, and the window
// shows them to copy.
//
// A template begins with a head of "key: value" lines, which ends with a line "---":
//
//	title   the program's name; "" is the template's
//	file    where its settings are; several are tried in this order, and the first is made if none
//	        exists. "~" is the home folder. A program whose file may be extended has "write" too.
//	where   what to do with the lines, in a sentence
//	write   the character or word that begins a comment in the file; without it, the file is not written
//	once    a pattern, whose first group is what a line sets: of the lines that set something that is in the
//	        file already, the program complains. Those that were there become comments
//	then    what to do after the file was written, in a sentence
//	needs   protocols without which there is nothing to set up; of "imap|pop", one is enough
//	network the program runs on another computer, as a rule
//	taken   a pattern: where the rest of the file matches, Values.Taken holds
//	untried nobody of the project has tried these lines with the program itself
//
// The rest is a text/template that gets [Values]. A line "--- FILE" in it begins what goes into another
// file of the program.
package programs

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/template"

	"github.com/waxseal/waxseal/proxy/api"
)

//go:embed templates/*.tmpl
var files embed.FS

// Program is a program that can be set up.
type Program struct {
	Name    string         // for the command line
	Title   string         // for people
	Files   []File         // its settings; there is one at least
	Where   string         // what to do with the lines
	Then    string         // what to do after they were written; "" if nothing is
	Comment string         // begins a comment in its files; "" if they must not be written
	Needs   []string       // "smtp", "imap|pop"
	Network bool           // it runs on another computer
	Taken   *regexp.Regexp // nil: nothing in its file changes the lines
	Once    *regexp.Regexp // its first group is what a line sets, and another line may not; nil: lines may
	Untried bool
}

// File is one of the files of a program's settings.
type File struct {
	Paths []string // the first that exists is the one, else the first; "~/" is the home folder; none if the lines go nowhere
	lines *template.Template
}

// All are the programs, by name.
var All = sync.OnceValue(func() []Program {
	names, err := fs.Glob(files, "templates/*.tmpl")
	if err != nil {
		panic(err)
	}
	var all []Program
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err == nil {
			var p Program
			p, err = parse(strings.TrimSuffix(strings.TrimPrefix(name, "templates/"), ".tmpl"), string(text))
			all = append(all, p)
		}
		if err != nil {
			panic(err) // a test parses them all
		}
	}
	return all
})

// Find returns the program with a name.
func Find(name string) (Program, bool) {
	i := slices.IndexFunc(All(), func(p Program) bool { return p.Name == strings.ToLower(name) })
	if i < 0 {
		return Program{}, false
	}
	return All()[i], true
}

// parse reads a template.
func parse(name, text string) (p Program, err error) {
	head, body, ok := strings.Cut(text, "---\n")
	if !ok {
		return p, fmt.Errorf("template %s has no head", name)
	}
	p = Program{Name: name, Title: name}
	var paths []string
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "title":
			p.Title = value
		case "file":
			paths = strings.Split(value, ", ")
		case "where":
			p.Where = value
		case "then":
			p.Then = value
		case "write":
			p.Comment = value
		case "needs":
			p.Needs = strings.Fields(value)
		case "network":
			p.Network = true
		case "untried":
			p.Untried = true
		case "taken":
			p.Taken, err = regexp.Compile(value)
		case "once":
			p.Once, err = regexp.Compile(value)
		default:
			err = fmt.Errorf("template %s has an unknown key %q", name, key)
		}
		if err != nil {
			return p, err
		}
	}
	for {
		lines, rest, more := strings.Cut(body, "\n--- ")
		t, err := template.New(name).Funcs(quoting).Option("missingkey=error").Parse(lines)
		if err != nil {
			return p, err
		}
		p.Files = append(p.Files, File{paths, t})
		if !more {
			return p, nil
		}
		next, after, _ := strings.Cut(rest, "\n")
		paths, body = []string{next}, after
	}
}

// Missing is the protocol that the program needs and the account does not do; "" if there is none.
func (p Program) Missing(v Values) string {
	for _, need := range p.Needs {
		if !slices.ContainsFunc(strings.Split(need, "|"), func(one string) bool { return v.Server(api.Protocol(one)) != nil }) {
			return need
		}
	}
	return ""
}

// Each are the lines for each of the program's files, for an account. They end with a line end.
func (p Program) Each(v Values) (all []string, err error) {
	if need := p.Missing(v); need != "" {
		return nil, fmt.Errorf("%s needs %s, which the account does not do", p.Title, strings.ToUpper(strings.ReplaceAll(need, "|", " or ")))
	}
	v.User = clean(v.User)
	v.Secret = cmp.Or(v.Secret, "LOCAL_PASSWORD")
	v.Waxseal = cmp.Or(v.Waxseal, "waxseal")
	for _, f := range p.Files {
		var out strings.Builder
		err := f.lines.Execute(&out, v)
		if why, ok := errors.AsType[unfit](err); ok {
			return nil, why
		}
		if err != nil {
			return nil, fmt.Errorf("set up %s: %w", p.Title, err)
		}
		all = append(all, strings.Trim(out.String(), "\n")+"\n")
	}
	return all, nil
}

// Lines are what to enter for an account, in one text. Where they go into several files, a comment above
// the lines for each names it.
func (p Program) Lines(v Values) (string, error) {
	all, err := p.Each(v)
	if err != nil || len(all) == 1 {
		return strings.Join(all, ""), err
	}
	for i, f := range p.Files {
		all[i] = cmp.Or(p.Comment, "#") + " " + f.Paths[0] + "\n" + all[i]
	}
	return strings.Join(all, "\n"), nil
}
