//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

//go:embed testdata/dovecot.conf
var dovecotConf string

//go:embed testdata/oauth2.conf
var oauth2Conf string

// dovecot is a mail server. The addresses are host:port; imap and pop offer STARTTLS.
type dovecot struct {
	process  *process
	dir      string
	mail     string // the folder of all mailboxes
	starttls string // submission
	implicit string
	imap     string
	imaps    string
	pop      string
	pops     string
	ca       string // path of the certificate that signed its certificate
}

// logins says who may log in to a Dovecot.
type logins struct {
	protocols  string
	mechanisms string
	tlsFirst   string // "no": logins without TLS are accepted
	passdb     string // of dovecot.conf
}

// directPassword is every user's password at the server that takes passwords.
const directPassword = "direct-password"

// byPassword is for mail programs that go to the server themselves, to compare with.
var byPassword = logins{"imap pop3", "plain login", "no", "passdb {\n  driver = static\n  args = password=" + directPassword + "\n}"}

// scopes are what a token must be for, by protocol.
var scopes = map[string]string{"submission": "smtp.send", "imap": "mail.imap", "pop3": "mail.pop"}

// byToken is for programs with an access token, for which the provider is asked.
func byToken(dir, mechanisms string) logins {
	l := logins{protocols: "submission imap pop3", mechanisms: mechanisms, tlsFirst: "yes"}
	for protocol := range scopes {
		l.passdb += fmt.Sprintf("protocol %s {\n  passdb {\n    driver = oauth2\n    mechanisms = %s\n    args = %s\n  }\n}\n",
			protocol, mechanisms, filepath.Join(dir, "oauth2-"+protocol+".conf"))
	}
	return l
}

// startDovecot starts a Dovecot in dir, with the mailboxes in a folder of the same owner. It asks the
// provider about tokens and passes messages on to a port.
func startDovecot(dir, mail string, l logins, issuer string, sink int) (*dovecot, error) {
	who, err := dovecotUser()
	if err != nil {
		return nil, err
	}
	group, err := user.LookupGroupId(who.Gid)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(6)
	if err != nil {
		return nil, err
	}
	at := func(i int) string { return fmt.Sprint("localhost:", ports[i]) }
	d := &dovecot{dir: dir, mail: mail, ca: filepath.Join(dir, "server.pem"),
		starttls: at(0), implicit: at(1), imap: at(2), imaps: at(3), pop: at(4), pops: at(5)}
	words := []string{"{dir}", dir, "{mail}", mail, "{user}", who.Username, "{group}", group.Name, "{sink}", fmt.Sprint(sink),
		"{protocols}", l.protocols, "{mechanisms}", l.mechanisms, "{tls_first}", l.tlsFirst, "{passdb}", l.passdb,
		"{provider}", strings.TrimPrefix(issuer, "http://")}
	for i, name := range []string{"{starttls}", "{implicit}", "{imap}", "{imaps}", "{pop}", "{pops}"} {
		words = append(words, name, fmt.Sprint(ports[i]))
	}
	conf := filepath.Join(dir, "dovecot.conf")
	err = errors.Join(
		os.MkdirAll(filepath.Join(dir, "run"), 0o755), os.MkdirAll(filepath.Join(dir, "state"), 0o755), os.MkdirAll(mail, 0o700),
		os.WriteFile(conf, []byte(strings.NewReplacer(words...).Replace(dovecotConf)), 0o600),
		writeCertificate(dir))
	for protocol, scope := range scopes {
		text := strings.NewReplacer(append(words, "{scope}", scope)...).Replace(oauth2Conf)
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, "oauth2-"+protocol+".conf"), []byte(text), 0o600))
	}
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("dovecot", "-F", "-c", conf)
	if os.Getuid() == 0 {
		if cmd.SysProcAttr, err = handOver(dir, who); err != nil {
			return nil, err
		}
		if _, err = handOver(mail, who); err != nil {
			return nil, err
		}
	}
	if d.process, err = start(cmd); err != nil {
		return nil, err
	}
	if err := d.answers(); err != nil {
		return nil, errors.Join(fmt.Errorf("dovecot has not started: %w\n%s%s", err, d.process.said(), d.log()), d.stop())
	}
	return d, nil
}

// log is what it has logged.
func (d *dovecot) log() []byte {
	said, _ := os.ReadFile(filepath.Join(d.dir, "dovecot.log"))
	return said
}

func (d *dovecot) stop() error {
	_, err := d.process.end(syscall.SIGTERM)
	return err
}

// kick closes a user's connections.
func (d *dovecot) kick(t *testing.T, user string) {
	t.Helper()
	out, err := exec.Command("doveadm", "-c", filepath.Join(d.dir, "dovecot.conf"), "kick", user).CombinedOutput()
	if err != nil || !strings.Contains(string(out), user) {
		t.Fatalf("doveadm kick: %v\n%s", err, out)
	}
}

// answers waits until the server accepts connections.
func (d *dovecot) answers() error {
	try := time.NewTicker(20 * time.Millisecond)
	defer try.Stop()
	limit := time.After(patience)
	for {
		conn, err := net.Dial("tcp", d.imaps)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-try.C:
		case <-d.process.exited:
			return errors.New("it has ended")
		case <-limit:
			return err
		}
	}
}

// dovecotUser returns the user that Dovecot runs as. It refuses to handle logins as root.
func dovecotUser() (*user.User, error) {
	if os.Getuid() == 0 {
		return user.Lookup("nobody")
	}
	return user.Current()
}

// handOver gives a folder to a user and returns how to start a program as that user.
func handOver(dir string, who *user.User) (*syscall.SysProcAttr, error) {
	uid, err := strconv.Atoi(who.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(who.Gid)
	if err != nil {
		return nil, err
	}
	err = filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		return errors.Join(err, os.Chown(path, uid, gid))
	})
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, err
}

// freePorts returns ports that were free a moment ago.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // together, so that they differ
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// writeCertificate makes a key and a self-signed certificate for localhost.
func writeCertificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	write := func(name, kind string, data []byte) error {
		return os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600)
	}
	return errors.Join(write("server.pem", "CERTIFICATE", der), write("server.key", "PRIVATE KEY", private))
}
