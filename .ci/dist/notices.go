package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// module is what a program is linked with: a Go module, or Go itself.
type module struct {
	Path, Version, Dir string
}

// linked are the modules in a program, for any of the systems: without a window, or with it.
func linked(gui bool) ([]module, error) {
	found := map[string]module{}
	for _, system := range []string{"linux", "windows", "darwin"} {
		args, cgo := []string{"list", "-deps", "-json=Module,Standard", "-tags", "nogui", "./cmd/waxseal"}, "0"
		if gui {
			args[4], cgo = "", "1"
		}
		cmd := exec.Command("go", args...)
		cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED="+cgo)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("list what is linked: %w", err)
		}
		for d := json.NewDecoder(bytes.NewReader(out)); ; {
			var p struct {
				Module *struct {
					module
					Main    bool
					Replace *module
				}
			}
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, err
			}
			if m := p.Module; m != nil && !m.Main {
				found[m.Path] = m.module
			}
		}
	}
	root, err := output("go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	version, err := output("go", "env", "GOVERSION")
	found["Go"] = module{"Go", version, root}
	return slices.SortedFunc(maps.Values(found), func(a, b module) int { return strings.Compare(a.Path, b.Path) }), err
}

// legal is the name of a file with a licence or a notice that has to go with the program.
var legal = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|copyright|notice|patents|ofl)`)

// texts are a module's licences and notices, by their paths in it: its own, and those of what it
// brings along, such as Fyne's fonts and GLFW's C source.
func (m module) texts() (map[string]string, error) {
	found := map[string]string{}
	err := filepath.WalkDir(m.Dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != m.Dir && (m.Path == "Go" || d.Name() == "testdata" || d.Name() == "vendor" || strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.IsDir() || !legal.MatchString(d.Name()) || strings.HasSuffix(d.Name(), ".go"):
			return nil
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(m.Dir, path) // both are absolute
		found[filepath.ToSlash(name)] = strings.TrimSpace(strings.ReplaceAll(string(data), "\r\n", "\n"))
		return err
	})
	if err == nil && len(found) == 0 {
		err = errors.New("it has no licence")
	}
	if err != nil {
		return nil, fmt.Errorf("licence of %s %s: %w", m.Path, m.Version, err)
	}
	return found, nil
}

// notices are the licences and notices of all that is in a program.
func notices(gui bool) ([]byte, error) {
	if gui {
		return desktopNotices()
	}
	return headlessNotices()
}

// Every package has one of the two, and collecting them takes seconds.
var (
	headlessNotices = sync.OnceValues(func() ([]byte, error) { return collect(false) })
	desktopNotices  = sync.OnceValues(func() ([]byte, error) { return collect(true) })
)

func collect(gui bool) ([]byte, error) {
	modules, err := linked(gui)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("Waxseal contains the following software. These are its licences and notices.\n")
	for _, m := range modules {
		texts, err := m.texts()
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(texts)) {
			fmt.Fprintf(&b, "\n%s\n%s %s: %s\n%[1]s\n\n%[5]s\n", strings.Repeat("=", 78), m.Path, m.Version, name, texts[name])
		}
	}
	return b.Bytes(), nil
}
