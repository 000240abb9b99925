package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"aead.dev/minisign"
)

const cyclonedx = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0"

// sums writes SHA256SUMS of all files in dir and, if MINISIGN_KEY holds a secret key as minisign
// writes it, SHA256SUMS.minisig. MINISIGN_PASSWORD is the key's password.
func sums(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, e := range entries { // sorted by name
		if slices.Contains([]string{"SHA256SUMS", "SHA256SUMS.minisig"}, e.Name()) || e.IsDir() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(data), e.Name())
	}
	file := filepath.Join(dir, "SHA256SUMS")
	if err := os.WriteFile(file, []byte(list.String()), 0o644); err != nil {
		return err
	}
	if os.Getenv("MINISIGN_KEY") == "" {
		fmt.Fprintln(os.Stderr, "dist: MINISIGN_KEY is not set, so SHA256SUMS is not signed")
		return nil
	}
	signature, err := signature([]byte(list.String()), "Waxseal: SHA256SUMS")
	if err != nil {
		return err
	}
	return os.WriteFile(file+".minisig", signature, 0o644)
}

// signature is minisign's, made with MINISIGN_KEY, whose password is MINISIGN_PASSWORD.
func signature(data []byte, comment string) ([]byte, error) {
	key := []byte(os.Getenv("MINISIGN_KEY"))
	var secret minisign.PrivateKey
	var err error
	if minisign.IsEncrypted(key) {
		secret, err = minisign.DecryptKey(os.Getenv("MINISIGN_PASSWORD"), key)
	} else {
		err = secret.UnmarshalText(key)
	}
	if err != nil {
		return nil, fmt.Errorf("MINISIGN_KEY, MINISIGN_PASSWORD: %w", err)
	}
	return minisign.SignWithComments(secret, data, comment, "signature from minisign secret key"), nil
}

// sbom writes what a program is made of, with licences, as the program itself says. The tool finds the
// licences in the module cache, where it asks for each module by name and version.
func (r *release) sbom(name, program, arch string) error {
	modules, err := linked(name == "waxseal")
	if err != nil {
		return err
	}
	args := []string{"mod", "download"}
	for _, m := range modules {
		if m.Path != "Go" {
			args = append(args, m.Path+"@"+m.Version)
		}
	}
	if _, err := output("go", args...); err != nil {
		return err
	}
	file := filepath.Join(r.dir, fmt.Sprintf("%s-%s-linux-%s.cdx.json", name, r.version, arch))
	tools := filepath.Join(r.scratch, "tools")
	install := exec.Command("go", "install", cyclonedx)
	install.Env = append(os.Environ(), "GOBIN="+tools)
	install.Stderr = os.Stderr
	if err := install.Run(); err != nil {
		return fmt.Errorf("install cyclonedx-gomod: %w", err)
	}
	cmd := exec.Command(filepath.Join(tools, "cyclonedx-gomod"), "bin", "-json", "-licenses", "-std", "-noserial", "-version", r.version, "-output", file, program)
	// All modules are here, and go.sum has vouched for them; it would also ask for Waxseal itself.
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOSUMDB=off")
	var log bytes.Buffer // it warns about the two licences that settle adds
	cmd.Stderr = &log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("list what %s is made of: %w\n%s", name, err, log.Bytes())
	}
	if err := r.settle(file); err != nil {
		return err
	}
	return licensed(file)
}

// licensed checks that everything in a list has a licence.
func licensed(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	type licences []json.RawMessage
	var list struct {
		Components []struct {
			Name     string
			Licenses licences
			Evidence struct{ Licenses licences }
		}
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if len(list.Components) == 0 {
		return fmt.Errorf("%s is empty", file)
	}
	for _, c := range list.Components {
		if len(c.Licenses)+len(c.Evidence.Licenses) == 0 {
			return fmt.Errorf("%s has no licence for %s", file, c.Name)
		}
	}
	return nil
}

// made is the moment at which cyclonedx-gomod ran, and its own hashes, which depend on how that was
// compiled.
var (
	made   = regexp.MustCompile(`"timestamp": "[^"]*"`)
	hashes = regexp.MustCompile(`(?s)("tools": \[.*?"version": "[^"]*"),\s*"hashes": \[.*?\]`)
)

// settle makes the list the same each time, and adds the licences of Waxseal and of Go's library,
// which no module cache has.
func (r *release) settle(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for purl, id := range map[string]string{"pkg:golang/std@": "BSD-3-Clause", "pkg:golang/github.com/waxseal/waxseal@": "MIT"} {
		purl = `"purl": "` + purl
		data = bytes.Replace(data, []byte(purl), fmt.Appendf(nil, `"licenses": [{"license": {"id": "%s"}}], %s`, id, purl), 1)
	}
	data = made.ReplaceAll(data, fmt.Appendf(nil, `"timestamp": "%s"`, r.date.Format(time.RFC3339)))
	return os.WriteFile(file, hashes.ReplaceAll(data, []byte("$1")), 0o644)
}
