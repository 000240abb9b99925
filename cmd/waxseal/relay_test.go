//go:build linux

package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/providertest"
)

const office = "mail.office.example"

// TestOfficeRelay: a computer on the network sends through a relay that has a certificate and a name
// of its own. The other computer is a network namespace; its mail programs trust the certificate's
// issuer and nothing else. msmtp and curl verify the name too, and so does swaks from version 20240103
// on; 20201014, which Debian 12 has, only verifies the issuer.
func TestOfficeRelay(t *testing.T) {
	elsewhere, here := otherComputer(t)
	issuer, cert, key := officeCertificate(t)
	r := startRelay(t, here, cert, key)
	_, port, _ := net.SplitHostPort(r.plain)
	_, tlsPort, _ := net.SplitHostPort(r.tls)
	writeFile(t, filepath.Join(r.dir, "message"), header+text)
	msmtp := func(host, port string, more ...string) []string {
		return append([]string{"msmtp", "--file=/dev/null", "--host=" + host, "--port=" + port, "--user=" + sender, "--from=" + sender, "--auth=plain",
			"--passwordeval=echo " + localPassword, "--tls=on", "--tls-trust-file=" + issuer, "you@else.example"}, more...)
	}
	swaks := func(host, ca, port string, more ...string) []string {
		return append([]string{"swaks", "--server", host, "--port", port, "--from", sender, "--to", "you@else.example", "--auth", "PLAIN",
			"--auth-user", sender, "--auth-password", localPassword, "--tls-verify", "--tls-ca-path", ca, "--data", header + text}, more...)
	}
	curl := func(host string) []string {
		return []string{"curl", "-sS", "--user", sender + ":" + localPassword, "--mail-from", sender, "--mail-rcpt", "you@else.example", "--crlf",
			"--upload-file", filepath.Join(r.dir, "message"), "--cacert", issuer, "smtps://" + host + ":" + tlsPort}
	}
	const wrong = "mail.other.example" // the same address, but not the certificate's name
	swaksNames := exec.Command("swaks", "--server", office, "--to", sender, "--tls-verify-host", "--dump", "TLS").Run() == nil
	for name, tc := range map[string]struct {
		args []string
		want bool
	}{
		"swaks/another name": {swaks(wrong, issuer, tlsPort, "--tls-on-connect"), !swaksNames},
		"swaks/STARTTLS":     {swaks(office, issuer, port, "--tls"), true}, "swaks/TLS": {swaks(office, issuer, tlsPort, "--tls-on-connect"), true},
		"swaks/another issuer": {swaks(office, filepath.Join(r.dir, "localhost.crt"), tlsPort, "--tls-on-connect"), false},
		"msmtp/STARTTLS":       {msmtp(office, port, "--tls-starttls=on"), true}, "msmtp/TLS": {msmtp(office, tlsPort, "--tls-starttls=off"), true},
		"msmtp/another name": {msmtp(wrong, port, "--tls-starttls=on"), false},
		"curl/TLS":           {curl(office), true}, "curl/another name": {curl(wrong), false},
	} {
		t.Run(name, func(t *testing.T) {
			findTool(t, tc.args[0], tc.args[0])
			before := len(r.provider.Messages())
			cmd := exec.CommandContext(t.Context(), elsewhere[0], append(elsewhere[1:len(elsewhere):len(elsewhere)], tc.args...)...)
			cmd.Env = append(os.Environ(), "HOME="+r.dir)
			cmd.Stdin = strings.NewReader(header + text)
			out, err := cmd.CombinedOutput()
			if sent := len(r.provider.Messages()) > before; sent != tc.want || (err == nil) != tc.want {
				t.Errorf("sent: %v (%v), want %v\n%s", sent, err, tc.want, out)
			}
			if tc.args[0] == "swaks" && tc.want && !strings.Contains(string(out), "220 "+office+" ") {
				t.Errorf("the greeting does not name %s:\n%s", office, out)
			}
		})
	}
}

// otherComputer makes a network namespace that is connected to this computer, which has the address
// here on that network. What it returns first runs a program there, with the names of the office.
func otherComputer(t *testing.T) (run []string, here string) {
	t.Helper()
	ip := findTool(t, "iproute2", "ip", "/usr/sbin/ip")
	name := fmt.Sprintf("waxseal%d", os.Getpid())
	here, there := "203.0.113.1", "203.0.113.2" // for documentation (RFC 5737), so nobody's network
	for i, line := range []string{
		"netns add " + name,
		"link add wx0 type veth peer name wx1 netns " + name,
		"addr add " + here + "/30 dev wx0", "link set wx0 up",
		"-n " + name + " addr add " + there + "/30 dev wx1", "-n " + name + " link set wx1 up",
	} {
		if out, err := exec.Command(ip, strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Skipf("NOT TESTED: a relay's certificate from another computer: ip %s: %v\n%s", line, err, out)
		}
		if i == 0 { // its end of the network, and so the network, ends with it
			t.Cleanup(func() { exec.Command(ip, "netns", "del", name).Run() })
		}
	}
	hosts := filepath.Join(t.TempDir(), "hosts")
	writeFile(t, hosts, here+" "+office+" mail.other.example\n")
	os.Chmod(hosts, 0o644)
	run = []string{ip, "netns", "exec", name, "unshare", "--mount", "sh", "-ec", `mount --bind "$0" /etc/hosts; exec "$@"`, hosts}
	if out, err := exec.Command(run[0], append(run[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: a relay's certificate from another computer: %v\n%s", err, out)
	}
	return run, here
}

// startRelay starts the program on an address that other computers reach.
func startRelay(t *testing.T, here, cert, key string) *running {
	t.Helper()
	provider, err := providertest.Start(providertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { provider.Close() })
	r := &running{provider: provider, dir: t.TempDir()}
	ca, err := provider.WriteCA(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(r.dir, "config.toml")
	writeFile(t, config, fmt.Sprintf("allow_remote = true\nhostname = %q\nlisten_tls = [\"%s:0\"]\n", office, here)+
		strings.NewReplacer("127.0.0.1:0", here+":0", "listen_tls = []", "").Replace(configFor(provider, ca))+
		fmt.Sprintf("\n[tls]\ncertificate = %q\nkey = %q\n", cert, key))
	r.serve(t, exec.Command("waxseal", "serve", "--config", config, "--keystore", "memory"))
	accounts := filepath.Join(r.dir, "accounts.json")
	writeFile(t, accounts, importFor(t, provider, sender))
	command(t, nil, "waxseal", "account", "import", accounts, "--config", config)
	return r
}

// officeCertificate issues a certificate for the relay, as an authority that the office trusts does.
func officeCertificate(t *testing.T) (issuer, cert, key string) {
	t.Helper()
	dir := t.TempDir()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 60), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	ca.Subject.CommonName = "Office CA"
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, DNSNames: []string{office},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	write := func(name, kind string, der []byte, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		writeFile(t, file, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
		return file
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	issuer = write("ca.pem", "CERTIFICATE", caDER, err)
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, leafKey.Public(), caKey)
	cert = write("fullchain.pem", "CERTIFICATE", leafDER, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	return issuer, cert, write("privkey.pem", "PRIVATE KEY", keyDER, err)
}
