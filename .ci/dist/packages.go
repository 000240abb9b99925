package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const nfpm = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0"

// maintainer is the name in Debian's changelog; nfpm's files have it too.
const maintainer = "The Waxseal authors <waxseal@users.noreply.github.com>"

// packages makes the .deb, the .rpm and the tar.xz of one package. The archive has the program as it
// is given; a headless one is compiled again for the two others, as "pie".
func (r *release) packages(name, archive, program, arch string) error {
	files, err := r.stage(name, program, "tar")
	if err != nil {
		return err
	}
	if err := r.tarXZ(archive, files); err != nil {
		return err
	}
	if name == "waxseal-headless" {
		if program, err = r.build("linux", arch, "pie", "GUI=no"); err != nil {
			return err
		}
	}
	if err := r.sbom(name, program, arch); err != nil {
		return err
	}
	for _, format := range []string{"deb", "rpm"} {
		if files, err = r.stage(name, program, format); err != nil {
			return err
		}
		if err := r.nfpm(name, format, arch, files); err != nil {
			return err
		}
	}
	return nil
}

// nfpm makes one package. It names files, not folders, so that no package owns /usr/share/man.
func (r *release) nfpm(name, format, arch string, files []file) error {
	root := filepath.Join(r.scratch, name+"-"+format+"-"+arch)
	config, err := os.ReadFile(filepath.Join(".ci/linux", name+".yaml"))
	if err != nil {
		return err
	}
	if format == "rpm" { // for Debian, the file copyright says it
		config = append(config, "license: MIT\n"...)
	}
	var y strings.Builder
	fmt.Fprintf(&y, "%s\narch: %s\nversion: %q\nversion_schema: none\nrelease: \"1\"\nmtime: %s\ndisable_globbing: true\ncontents:\n",
		config, arch, r.packageVersion(), r.date.Format(time.RFC3339))
	for _, f := range files {
		path := filepath.Join(root, f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, os.FileMode(f.mode())); err != nil {
			return err
		}
		if err := os.Chtimes(path, r.date, r.date); err != nil {
			return err
		}
		fmt.Fprintf(&y, "  - {src: %q, dst: %q, file_info: {mode: 0%o}}\n", path, "/"+f.path, f.mode())
	}
	list := root + ".yaml"
	if err := os.WriteFile(list, []byte(y.String()), 0o644); err != nil {
		return err
	}
	target := fmt.Sprintf("%s_%s-1_%s.deb", name, r.packageVersion(), arch)
	if format == "rpm" {
		target = fmt.Sprintf("%s-%s-1.%s.rpm", name, r.packageVersion(), map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[arch])
	}
	// GitHub replaces ~ in the names of a release's files.
	target = strings.ReplaceAll(target, "~", ".")
	cmd := exec.Command("go", "run", nfpm, "package", "--packager", format, "--config", list, "--target", filepath.Join(r.dir, target))
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

var (
	numbered = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)(?:-([0-9A-Za-z.]+))?$`)
	after    = regexp.MustCompile(`^(.*)-(\d+)-(g[0-9a-f]+)$`)
)

// packageVersion is the version as dpkg and rpm sort it: 0.9.0~rc1 is before 0.9.0, and three
// commits after v0.9.0 are 0.9.0+3.gabcdef0.
func (r *release) packageVersion() string {
	version, dirty := strings.CutSuffix(r.version, "-dirty")
	plus := ""
	if m := after.FindStringSubmatch(version); m != nil {
		version, plus = m[1], "+"+m[2]+"."+m[3]
	}
	if dirty {
		plus += "+dirty"
	}
	m := numbered.FindStringSubmatch(version)
	if m == nil {
		return "0.0.0~" + strings.ReplaceAll(version, "-", ".") + plus
	}
	if m[2] != "" {
		return m[1] + "~" + m[2] + plus
	}
	return m[1] + plus
}

// debianChangelog is what Debian calls a package's changelog: of the packaging, not of the program.
func (r *release) debianChangelog(name string) []byte {
	return fmt.Appendf(nil, "%s (%s-1) unstable; urgency=medium\n\n  * Waxseal %s. What changed for its users is in changelog.gz.\n\n -- %s  %s\n",
		name, r.packageVersion(), r.version, maintainer, r.date.Format(time.RFC1123Z))
}

// debianCopyright is the licence in the form of DEP 5.
func debianCopyright() ([]byte, error) {
	licence, err := os.ReadFile("LICENSE")
	if err != nil {
		return nil, err
	}
	_, terms, _ := strings.Cut(string(licence), "\n\n")
	owner, terms, ok := strings.Cut(terms, "\n\n")
	if !ok {
		return nil, fmt.Errorf("LICENSE does not have the MIT licence's form")
	}
	indented := strings.ReplaceAll(strings.TrimSpace(terms), "\n\n", "\n.\n")
	return fmt.Appendf(nil, `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Waxseal
Source: https://github.com/waxseal/waxseal
Comment: The licences of everything that is linked into the program are in
 third-party-notices.txt.gz beside this file.

Files: *
Copyright: %s
License: Expat

License: Expat
 %s
`, strings.TrimPrefix(owner, "Copyright (c) "), strings.ReplaceAll(indented, "\n", "\n ")), nil
}
