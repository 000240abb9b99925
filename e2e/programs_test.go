//go:build e2e

package e2e

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// clear is a connection without TLS.
const clear = "clear"

// access is where a mail program reads, and as whom.
type access struct {
	protocol string // "imap" or "pop"
	address  string // host:port
	security string // clear, starttls or implicit
	user     string
	password string
	ca       string // path of the certificate to trust
	dir      string // the program's home
}

func (a access) host() string { host, _, _ := net.SplitHostPort(a.address); return host }
func (a access) port() string { _, port, _ := net.SplitHostPort(a.address); return port }
func (a access) out() string  { return a.file("out") }

// file is the path of a file in the program's home.
func (a access) file(name string) string { return filepath.Join(a.dir, name) }

// pick chooses by security.
func (a access) pick(forClear, forStartTLS, forTLS string) string {
	return map[string]string{clear: forClear, starttls: forStartTLS, implicit: forTLS}[a.security]
}

// fill puts the access into a text: {host}, {port}, {user}, {login} (the user in a URL), {password},
// {ca}, {dir}, {out}, {protocol} and {PROTOCOL}.
func (a access) fill(text string) string {
	return strings.NewReplacer("{host}", a.host(), "{port}", a.port(), "{user}", a.user, "{login}", strings.ReplaceAll(a.user, "@", "%40"),
		"{password}", a.password, "{ca}", a.ca, "{dir}", a.dir, "{out}", a.out(),
		"{protocol}", a.protocol, "{PROTOCOL}", strings.ToUpper(a.protocol)).Replace(text)
}

// program is a mail program that reads, or a library with a script.
type program struct {
	name      string
	command   string // which must be there
	packages  string // of Debian; "" is the command's name
	parts     string // a shell command that fails if a part of it is missing
	protocols string
	only      string                // the kinds of security that it has; "" is all
	setup     func(a access) string // writes its files, and returns the shell command that runs it
}

// run has the program fetch everything from an access and returns what it saved.
func (p program) run(t *testing.T, a access) (saved string) {
	t.Helper()
	out, err := p.try(t, a)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if saved = tree(t, a.out()); saved == "" {
		t.Fatalf("it fetched nothing\n%s", out)
	}
	return saved
}

// try runs the program, which only finds the test's files.
func (p program) try(t *testing.T, a access) (said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "timeout", "120", "sh", "-c", p.setup(a))
	cmd.Dir = a.dir
	cmd.Env = p.environment(a)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// environment has the test's files in place of the user's.
func (p program) environment(a access) []string {
	return append(os.Environ(), "HOME="+a.dir, "PROGRAM="+p.command, "TERM=xterm", "LC_ALL=C.UTF-8", "SSL_CERT_FILE="+a.ca,
		"NODE_EXTRA_CA_CERTS="+a.ca, "MODULES="+os.Getenv("WAXSEAL_E2E_PROVIDER"))
}

// mustBeThere skips the test if the program, or a part of it, is not installed.
func (p program) mustBeThere(t *testing.T) {
	t.Helper()
	check := "command -v " + p.command + " >/dev/null && " + cmp.Or(p.parts, "true")
	cmd := exec.Command("sh", "-c", check)
	cmd.Env = append(os.Environ(), "MODULES="+os.Getenv("WAXSEAL_E2E_PROVIDER"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: install %s: %v\n%s", cmp.Or(p.packages, p.command), err, out)
	}
}

// tree lists what is in a folder: where each file is, and the hash of its content. Programs make up
// the names of files in a maildir, so only the flags of those count.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if folder := filepath.Dir(name); filepath.Base(folder) == "cur" || filepath.Base(folder) == "new" {
			_, flags, _ := strings.Cut(name, ":2,")
			name = folder + "/" + flags
		}
		lines = append(lines, fmt.Sprintf("%s %d %x", name, len(data), sha256.Sum256(data)))
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// writeIn writes a file into the program's home.
func (a access) writeIn(name, text string) {
	if err := os.WriteFile(a.file(name), []byte(a.fill(text)), 0o600); err != nil {
		panic(err)
	}
}

// makeDirs makes folders in the program's home.
func (a access) makeDirs(names ...string) {
	for _, name := range names {
		if err := os.MkdirAll(a.file(name), 0o700); err != nil {
			panic(err)
		}
	}
}

// makeMaildir makes the folders of a maildir.
func (a access) makeMaildir(name string) {
	a.makeDirs(name+"/cur", name+"/new", name+"/tmp")
}
