//go:build linux

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSystemCertificates: if the system trusts Waxseal's certificate, as Debian does after
// update-ca-certificates, programs need no option for it. The system is the test's own: in a mount
// namespace, for the program alone, the folder that update-ca-certificates wrote takes the place of
// /etc/ssl/certs.
func TestSystemCertificates(t *testing.T) {
	update := findTool(t, "ca-certificates", "/usr/sbin/update-ca-certificates")
	findTool(t, "openssl", "openssl")
	r := startProgram(t)
	certs, local, hooks := t.TempDir(), t.TempDir(), t.TempDir()
	namespace := []string{"--mount", "--map-root-user", "sh", "-ec", onlySystem, certs}
	if out, err := exec.Command("unshare", append(namespace, "true")...).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: no mount namespace can be made here: %v\n%s", err, out)
	}
	command(t, nil, "waxseal", "certificate", "--config", filepath.Join(r.dir, "config.toml"), "--export", filepath.Join(local, "waxseal.crt"))

	for _, trusted := range []bool{false, true} {
		if trusted {
			command(t, os.Environ(), update, "--certsconf", "/dev/null", "--localcertsdir", local, "--etccertsdir", certs, "--hooksdir", hooks)
		}
		for _, c := range mailClients {
			for _, security := range []string{starttls, implicit} {
				t.Run(fmt.Sprintf("trusted=%v/%s/%s", trusted, c, security), func(t *testing.T) {
					c.mustBeThere(t)
					before := len(r.provider.Messages())
					given := c
					given.program, given.args = "unshare", within(namespace, c.program, withoutCertificate(c.args))
					out, err := given.run(t, r.endpoint(security, "PLAIN"))
					if sent, want := len(r.provider.Messages()) > before, trusted || c.unchecked; sent != want || (err == nil) != want {
						t.Errorf("sent: %v (%v), want %v\n%s", sent, err, want, out)
					}
				})
			}
		}
	}
}

// onlySystem runs a program that only learns of certificates from the system. Node.js, which has its
// own, is told where the system has them.
const onlySystem = `mount --bind "$0" /etc/ssl/certs
unset SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE GIT_SSL_CAINFO
export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
exec "$@"`

// within returns the arguments with which unshare runs a program.
func within(namespace []string, program string, args func(endpoint) []string) func(endpoint) []string {
	return func(e endpoint) []string {
		return append(append(namespace[:len(namespace):len(namespace)], program), args(e)...)
	}
}

// withoutCertificate leaves out the option that names the certificate: the argument that contains it,
// and the one before if that is the option.
func withoutCertificate(args func(endpoint) []string) func(endpoint) []string {
	return func(e endpoint) []string {
		const mark = "CERTIFICATE"
		e.certificate = mark
		var kept []string
		for _, arg := range args(e) {
			switch {
			case !strings.Contains(arg, mark):
				kept = append(kept, arg)
			case arg == mark && !strings.HasPrefix(kept[len(kept)-1], "-"):
				kept = append(kept, "") // a script's argument, whose position counts
			case !strings.HasPrefix(arg, "-"):
				kept = kept[:len(kept)-1]
			}
		}
		return kept
	}
}
