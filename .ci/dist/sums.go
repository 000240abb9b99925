package main

import (
	"crypto/sha256"
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
	key := os.Getenv("MINISIGN_KEY")
	if key == "" {
		fmt.Fprintln(os.Stderr, "dist: MINISIGN_KEY is not set, so SHA256SUMS is not signed")
		return nil
	}
	return sign(file, key, os.Getenv("MINISIGN_PASSWORD"))
}

// sbom writes what a program is made of, with licences, as the program itself says.
func (r *release) sbom(name, program, arch string) error {
	file := filepath.Join(r.dir, fmt.Sprintf("%s-%s-linux-%s.cdx.json", name, r.version, arch))
	cmd := exec.Command("go", "run", cyclonedx, "bin", "-json", "-licenses", "-std", "-noserial", "-version", r.version, "-output", file, program)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("list what %s is made of: %w", name, err)
	}
	return r.settle(file)
}

// made is the moment at which cyclonedx-gomod ran, and its own hashes, which depend on how that was
// compiled.
var (
	made   = regexp.MustCompile(`"timestamp": "[^"]*"`)
	hashes = regexp.MustCompile(`(?s)("tools": \[.*?"version": "[^"]*"),\s*"hashes": \[.*?\]`)
)

// settle makes the list the same each time.
func (r *release) settle(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	data = made.ReplaceAll(data, fmt.Appendf(nil, `"timestamp": "%s"`, r.date.Format(time.RFC3339)))
	return os.WriteFile(file, hashes.ReplaceAll(data, []byte("$1")), 0o644)
}

// sign writes FILE.minisig.
func sign(file, key, password string) error {
	var secret minisign.PrivateKey
	var err error
	if minisign.IsEncrypted([]byte(key)) {
		secret, err = minisign.DecryptKey(password, []byte(key))
	} else {
		err = secret.UnmarshalText([]byte(key))
	}
	if err != nil {
		return fmt.Errorf("MINISIGN_KEY, MINISIGN_PASSWORD: %w", err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file+".minisig", minisign.SignWithComments(secret, data, "Waxseal: "+filepath.Base(file), "signature from minisign secret key"), 0o644)
}
