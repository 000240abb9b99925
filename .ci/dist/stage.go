package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// file is a file of a package or an archive. Its path is relative to the package's root.
type file struct {
	path       string
	data       []byte
	executable bool
}

// tree collects the files of a package, until one of them cannot be made.
type tree struct {
	files []file
	err   error
}

func (t *tree) add(path string, data []byte, err error) {
	if err != nil && t.err == nil {
		t.err = fmt.Errorf("%s: %w", path, err)
	}
	t.files = append(t.files, file{path: path, data: data})
}

// copy adds a file of the source tree.
func (t *tree) copy(path, from string) {
	data, err := os.ReadFile(from)
	t.add(path, data, err)
}

// compress adds a file as `gzip -9n` would make it.
func (t *tree) compress(path string, data []byte, err error) {
	t.add(path+".gz", gzipped(data), err)
}

// gzipped is data as gzip, with neither a name nor a time.
func gzipped(data []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a good one
	z.Write(data)                                         // to memory, which cannot fail
	z.Close()
	return b.Bytes()
}

// sorted are the files in the order of their paths.
func (t *tree) sorted() ([]file, error) {
	slices.SortFunc(t.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return t.files, t.err
}

// stage puts together what the package name consists of on Linux. format is deb, rpm or tar.
func (r *release) stage(name, program, format string) ([]file, error) {
	var t tree
	data, err := os.ReadFile(program)
	t.files = append(t.files, file{"usr/bin/waxseal", data, true})
	t.err = err
	t.copy("usr/lib/systemd/user/waxseal.service", "assets/waxseal.service")
	r.shell(&t, format)
	r.documents(&t, name, format)
	if name == "waxseal-headless" {
		system := "usr/lib/systemd/system/"
		if format == "deb" { // Debian 12 does not look in /usr there in every case
			system = "lib/systemd/system/"
		}
		t.copy(system+"waxseal.service", "assets/waxseal-system.service")
		t.copy(system+"waxseal@.service", "assets/waxseal@.service")
		t.copy("usr/lib/sysusers.d/waxseal.conf", "assets/waxseal.sysusers")
		return t.sorted()
	}
	const id = "io.github.waxseal.waxseal"
	t.copy("usr/share/applications/"+id+".desktop", "assets/waxseal.desktop")
	about, err := r.metainfo()
	t.add("usr/share/metainfo/"+id+".metainfo.xml", about, err)
	icons := "usr/share/icons/hicolor/"
	t.copy(icons+"scalable/apps/"+id+".svg", "assets/icon/waxseal.svg")
	for _, size := range []string{"48", "256"} {
		t.copy(icons+size+"x"+size+"/apps/"+id+".png", "assets/icon/waxseal-"+size+".png")
	}
	return t.sorted()
}

// shell adds what the command line brings along: completions and the manual page.
func (r *release) shell(t *tree, format string) {
	const base = "usr/share/"
	zsh := "zsh/site-functions/_waxseal"
	if format == "deb" {
		zsh = "zsh/vendor-completions/_waxseal"
	}
	for path, shell := range map[string]string{
		"bash-completion/completions/waxseal":    "bash",
		zsh:                                      "zsh",
		"fish/vendor_completions.d/waxseal.fish": "fish",
	} {
		script, err := r.command("completion", shell)
		t.add(base+path, script, err)
	}
	page, err := r.command("man")
	t.compress(base+"man/man1/waxseal.1", page, err)
}

// command is what a command of the program prints. It runs a program for this machine.
func (r *release) command(args ...string) ([]byte, error) {
	program := filepath.Join(r.scratch, "here", "waxseal")
	if _, err := os.Stat(program); err != nil {
		build := exec.Command("go", "build", "-tags", "nogui", "-ldflags", "-X main.version="+r.version, "-o", program, "./cmd/waxseal")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return nil, err
		}
	}
	out, err := output(program, args...)
	return []byte(out + "\n"), err
}

// documents adds what goes to the folder for documentation: the pages that messages name, what
// changed, and the licences, all in the form that the packages' format asks for.
func (r *release) documents(t *tree, name, format string) {
	doc := "usr/share/doc/" + name + "/"
	pages, err := filepath.Glob("docs/*.md")
	if len(pages) == 0 && err == nil {
		err = os.ErrNotExist
	}
	for _, page := range pages {
		t.copy(doc+page, page)
	}
	for _, example := range []string{"docs/haproxy.cfg", "docs/kubernetes.yaml"} {
		t.copy(doc+example, example)
	}
	pictures, _ := filepath.Glob("docs/img/*")
	for _, picture := range pictures {
		t.copy(doc+picture, picture)
	}
	t.copy(doc+"README.md", "README.md")
	texts, failed := notices(name == "waxseal")
	if err == nil {
		err = failed
	}
	t.compress(doc+"third-party-notices.txt", texts, err)
	changes, err := os.ReadFile("CHANGELOG.md")
	t.compress(doc+"changelog", changes, err)
	if format == "deb" {
		t.compress(doc+"changelog.Debian", r.debianChangelog(name), nil)
		text, err := debianCopyright()
		t.add(doc+"copyright", text, err)
		t.add("usr/share/lintian/overrides/"+name, fmt.Appendf(nil, overrides, name), nil)
	} else {
		t.copy(doc+"LICENSE", "LICENSE")
	}
}

// overrides tell lintian what is meant.
const overrides = `# It is not uploaded to Debian, so there is no bug that it closes.
%[1]s: initial-upload-closes-no-bugs
# A Go program without cgo needs the C library's loader, but none of its functions.
%[1]s: shared-library-lacks-prerequisites
`

// metainfo is the AppStream data with this release in it.
func (r *release) metainfo() ([]byte, error) {
	data, err := os.ReadFile("assets/waxseal.metainfo.xml")
	return []byte(strings.NewReplacer("@VERSION@", r.packageVersion(), "@DATE@", r.date.Format("2006-01-02")).Replace(string(data))), err
}
