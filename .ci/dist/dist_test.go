package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/waxseal/waxseal/proxy/updates"
)

// inSource makes the test run in the source's root, as the command does.
func inSource(t *testing.T) {
	t.Helper()
	t.Chdir("../..")
}

// TestVersionsSort: dpkg and rpm sort a version in front of and after the ones around it.
func TestVersionsSort(t *testing.T) {
	order := []string{"460678f", "v0.8.9", "v0.9.0-rc1", "v0.9.0-rc1-3-g460678f", "v0.9.0-rc2", "v0.9.0", "v0.9.0-3-g460678f", "v0.10.0"}
	for i, version := range order {
		order[i] = (&release{version: version}).packageVersion()
	}
	if order[2] != "0.9.0~rc1" || order[6] != "0.9.0+3.g460678f" {
		t.Errorf("versions are %q", order)
	}
	dpkg, err := exec.LookPath("dpkg")
	if err != nil {
		t.Skip("dpkg is not installed")
	}
	rpm, _ := exec.LookPath("rpm")
	for i := range len(order) - 1 {
		if err := exec.Command(dpkg, "--compare-versions", order[i], "lt", order[i+1]).Run(); err != nil {
			t.Errorf("dpkg does not sort %s before %s", order[i], order[i+1])
		}
		if rpm == "" {
			continue
		}
		out, err := exec.Command(rpm, "--eval", `%{lua:print(rpm.vercmp("`+order[i]+`","`+order[i+1]+`"))}`).Output()
		if err != nil || strings.TrimSpace(string(out)) != "-1" {
			t.Errorf("rpm sorts %s and %s as %s, %v", order[i], order[i+1], out, err)
		}
	}
}

// TestNoticesAreComplete: every module that is linked has its licence among the notices, and so have
// Go, the fonts and GLFW.
func TestNoticesAreComplete(t *testing.T) {
	inSource(t)
	for _, gui := range []bool{false, true} {
		text, err := notices(gui)
		if err != nil {
			t.Fatal(err)
		}
		tags, cgo := "-tags=nogui", "CGO_ENABLED=0"
		if gui {
			tags, cgo = "-tags=", "CGO_ENABLED=1"
		}
		for _, system := range []string{"linux", "windows", "darwin"} {
			cmd := exec.Command("go", "list", "-deps", tags, "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}", "./cmd/waxseal")
			cmd.Env = append(os.Environ(), cgo, "GOOS="+system, "GOARCH=arm64")
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range strings.Split(strings.TrimSpace(string(out)), "\n") {
				if m != "" && !bytes.Contains(text, []byte("\n"+m+": ")) {
					t.Errorf("gui %t, %s: the licence of %s is missing", gui, system, m)
				}
			}
		}
		want := []string{"The Go Authors", "\nGo go1."}
		if gui {
			want = append(want, "LICENSE_Inter", "LICENSE_EmojiOneColor", "LICENSE_DejaVu", "theme/font/LICENSE.txt", "Marcus Geelnard")
		}
		for _, w := range want {
			if !bytes.Contains(text, []byte(w)) {
				t.Errorf("gui %t: %q is missing", gui, w)
			}
		}
	}
}

// wantNotices: the third-party notices in a package without a window are complete. It holds for all of them
// with TestNoticesAreComplete.
func wantNotices(t *testing.T, where string, got []byte) {
	t.Helper()
	want, err := notices(false)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes of third-party notices, want %d", where, len(got), len(want))
	}
}

// TestArchivesHaveNotices: the archives for macOS and Windows have the licences of what is linked.
func TestArchivesHaveNotices(t *testing.T) {
	inSource(t)
	r := &release{version: "v1.2.3", date: time.Unix(1790000000, 0).UTC(), dir: t.TempDir()}
	program := filepath.Join(t.TempDir(), "waxseal")
	if err := os.WriteFile(program, []byte("the program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, system := range []string{"darwin", "windows"} {
		if err := r.plainArchive(system, program, system); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(filepath.Join(r.dir, "darwin.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	wantNotices(t, "darwin.tar.gz", untar(t, plain)["darwin/third-party-notices.txt"].data)
	z, err := zip.OpenReader(filepath.Join(r.dir, "windows.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	data, err := fs.ReadFile(z, "windows/third-party-notices.txt")
	if err != nil {
		t.Error(err)
	}
	wantNotices(t, "windows.zip", data)
}

// TestModuleWithoutALicenceFails so that nobody ships one.
func TestModuleWithoutALicenceFails(t *testing.T) {
	if _, err := (module{"example.test/x", "v1.0.0", t.TempDir()}).texts(); err == nil {
		t.Error("no error")
	}
}

// TestHeadlessPackage makes the Linux packages without a window and looks into them.
func TestHeadlessPackage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("packages are made on Linux")
	}
	inSource(t)
	r := &release{version: "v0.9.0-rc1", date: time.Unix(1790000000, 0).UTC(), dir: t.TempDir(), scratch: t.TempDir()}
	t.Setenv("SOURCE_DATE_EPOCH", "1790000000")
	program, err := r.build("linux", runtime.GOARCH, "pie", "GUI=no")
	if err != nil {
		t.Fatal(err)
	}
	hardened(t, program)
	for _, format := range []string{"deb", "rpm", "tar"} {
		files, err := r.stage("waxseal-headless", program, format)
		if err != nil {
			t.Fatal(err)
		}
		contents(t, format, files)
		if format != "deb" {
			continue
		}
		if err := r.nfpm("waxseal-headless", format, runtime.GOARCH, files); err != nil {
			t.Fatal(err)
		}
		deb, _ := filepath.Glob(r.dir + "/*.deb")
		if len(deb) != 1 {
			t.Fatalf("packages: %q", deb)
		}
		if lintian, err := exec.LookPath("lintian"); err != nil {
			t.Log("lintian is not installed")
		} else if out, err := exec.Command(lintian, "--allow-root", "--fail-on", "error,warning", deb[0]).CombinedOutput(); err != nil {
			t.Errorf("lintian: %v\n%s", err, out)
		}
	}
}

// hardened checks that a program is position-independent and read-only after relocation.
func hardened(t *testing.T, program string) {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	relro := false
	for _, p := range f.Progs {
		relro = relro || p.Type == elf.PT_GNU_RELRO
	}
	now, err := f.DynValue(elf.DT_FLAGS)
	if f.Type != elf.ET_DYN || !relro || err != nil || len(now) == 0 || elf.DynFlag(now[0])&elf.DF_BIND_NOW == 0 {
		t.Errorf("type %v, RELRO %t, flags %v %v", f.Type, relro, now, err)
	}
}

// contents checks that a package has all that belongs into it, and no folder twice.
func contents(t *testing.T, format string, files []file) {
	t.Helper()
	byPath := map[string]file{}
	for _, f := range files {
		byPath[f.path] = f
	}
	const doc = "usr/share/doc/waxseal-headless/"
	want := []string{"usr/bin/waxseal", "usr/share/man/man1/waxseal.1.gz", "usr/share/bash-completion/completions/waxseal",
		"usr/share/fish/vendor_completions.d/waxseal.fish", "usr/lib/systemd/user/waxseal.service", "usr/lib/sysusers.d/waxseal.conf",
		doc + "docs/providers.md", doc + "docs/configuration.md", doc + "third-party-notices.txt.gz", doc + "changelog.gz"}
	want = append(want, doc+"docs/scaling.md", doc+"docs/kubernetes.yaml", doc+"docs/haproxy.cfg")
	if format == "deb" {
		want = append(want, doc+"copyright", doc+"changelog.Debian.gz", "lib/systemd/system/waxseal.service", "lib/systemd/system/waxseal@.service", "usr/share/zsh/vendor-completions/_waxseal")
	} else {
		want = append(want, doc+"LICENSE", "usr/lib/systemd/system/waxseal.service", "usr/lib/systemd/system/waxseal@.service", "usr/share/zsh/site-functions/_waxseal")
	}
	for _, path := range want {
		if len(byPath[path].data) == 0 {
			t.Errorf("%s: %s is missing", format, path)
		}
	}
	wantNotices(t, format, gunzip(t, byPath[doc+"third-party-notices.txt.gz"].data))
	if page := gunzip(t, byPath["usr/share/man/man1/waxseal.1.gz"].data); !bytes.Contains(page, []byte(`"Waxseal v0.9.0\-rc1"`)) {
		t.Errorf("manual page %.80q", page)
	}
}

func gunzip(t *testing.T, data []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	data, err = io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestSystemUnitsAreHardened: systemd finds no mistake in the units, and rates their exposure below 4 (of 10).
func TestSystemUnitsAreHardened(t *testing.T) {
	inSource(t)
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	for asset, unit := range map[string]string{"waxseal-system.service": "waxseal.service", "waxseal@.service": "waxseal@mail-1.service"} {
		out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=40", "--no-pager", "assets/"+asset).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		text, err := os.ReadFile("assets/" + asset)
		if err != nil {
			t.Fatal(err)
		}
		// Neither the program nor its manual need be installed here.
		text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("=/usr/bin/waxseal"), []byte("=/bin/true")), []byte("man:waxseal(1) "), nil)
		file := filepath.Join(t.TempDir(), unit)
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// TestUnitsOfAMachineAndOfAFleet: the two system units differ in what they say of etcd and of names only.
func TestUnitsOfAMachineAndOfAFleet(t *testing.T) {
	inSource(t)
	settings := func(file string) map[string]bool {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				lines[line] = true
			}
		}
		return lines
	}
	alone, fleet := settings("assets/waxseal-system.service"), settings("assets/waxseal@.service")
	about := func(line string) bool {
		for _, word := range []string{"Description=", "After=", "StateDirectory=", "=WAXSEAL_CONFIG=", "=WAXSEAL_KEYSTORE=", "=WAXSEAL_INSTANCE=", "LoadCredential=etcd"} {
			if strings.Contains(line, word) {
				return true
			}
		}
		return false
	}
	for line := range alone {
		if !fleet[line] && !about(line) {
			t.Errorf("waxseal@.service lacks %s", line)
		}
	}
	for line := range fleet {
		if !alone[line] && !about(line) {
			t.Errorf("waxseal.service lacks %s", line)
		}
	}
}

// TestDesktopFiles: the tools that read them accept the desktop entry and the AppStream data.
func TestDesktopFiles(t *testing.T) {
	inSource(t)
	r := &release{version: "v0.9.0-rc1", date: time.Unix(1790000000, 0).UTC()}
	about, err := r.metainfo()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "io.github.waxseal.waxseal.metainfo.xml")
	if err := os.WriteFile(file, about, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"appstreamcli", "validate", "--no-net", file}, {"desktop-file-validate", "assets/waxseal.desktop"}} {
		if _, err := exec.LookPath(args[0]); err != nil {
			t.Logf("%s is not installed", args[0])
		} else if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil || bytes.Contains(out, []byte("W: ")) {
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
	}
}

// TestSums: all files are listed, and minisign's signature of the list is good.
func TestSums(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.zip", "a.deb"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	public, _ := withKey(t)
	for range 2 { // the second time, the list itself is there
		if err := sums(dir); err != nil {
			t.Fatal(err)
		}
	}
	list, _ := os.ReadFile(dir + "/SHA256SUMS")
	signature, _ := os.ReadFile(dir + "/SHA256SUMS.minisig")
	if n := strings.Count(string(list), "\n"); n != 2 || !strings.Contains(string(list), "  a.deb\n") {
		t.Errorf("the list is %q", list)
	}
	if !minisign.Verify(public, list, signature) {
		t.Error("the signature is wrong")
	}
}

// TestListOfModulesHasLicences: a list without a licence is refused. Most licences were missing once,
// because the module cache only had what a build needs.
func TestListOfModulesHasLicences(t *testing.T) {
	for text, good := range map[string]bool{
		`{"components": [{"name": "a", "licenses": [{}]}, {"name": "b", "evidence": {"licenses": [{}]}}]}`: true,
		`{"components": [{"name": "a", "licenses": [{}]}, {"name": "b", "evidence": {}}]}`:                 false,
		`{"components": []}`: false,
	} {
		file := filepath.Join(t.TempDir(), "x.cdx.json")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := licensed(file); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// withKey gives the test a key to sign with.
func withKey(t *testing.T) (minisign.PublicKey, minisign.PrivateKey) {
	t.Helper()
	public, secret, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := secret.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("MINISIGN_KEY", string(key))
	return public, secret
}

// TestKeyWithPassword: a key is used in the form that minisign writes it, encrypted.
func TestKeyWithPassword(t *testing.T) {
	public, secret := withKey(t)
	key, err := minisign.EncryptKey("secret", secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("MINISIGN_KEY", string(key))
	t.Setenv("MINISIGN_PASSWORD", "secret")
	data := []byte("data")
	if signed, err := signature(data, "comment"); err != nil || !minisign.Verify(public, data, signed) {
		t.Errorf("signed %q, %v", signed, err)
	}
}

// TestFeed: programs accept the feed that announces a release, and pre-releases are not announced.
func TestFeed(t *testing.T) {
	public, _ := withKey(t)
	t.Setenv("UPDATE_KEY", public.String())
	file := filepath.Join(t.TempDir(), "latest")
	if err := feed("v1.2.0-rc1", file); err == nil {
		t.Error("a pre-release is announced")
	}
	if err := feed("v1.2.0", file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := updates.Parse(data, public.String()); err != nil || f.Version != "1.2.0" || !strings.HasSuffix(f.Page, "/releases/tag/v1.2.0") {
		t.Errorf("%+v, %v", f, err)
	}
	withKey(t) // another one than programs have
	if err := feed("v1.2.0", file); err == nil {
		t.Error("a feed is made that no program accepts")
	}
}
