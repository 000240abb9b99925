package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// secrets are the texts that must not be found anywhere, each with what it is.
type secrets struct {
	mu    sync.Mutex
	known map[string]string
}

func (s *secrets) add(what, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if secret != "" {
		s.known[secret] = what
	}
}

// find names the secrets in data, as they are or as they are encoded.
func (s *secrets) find(data []byte) (found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for secret, what := range s.known {
		for _, form := range []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)), fmt.Sprintf("%x", secret)} {
			if bytes.Contains(data, []byte(form)) {
				found = append(found, what)
				break
			}
		}
	}
	return found
}

// kinds counts the secrets of each kind.
func (s *secrets) kinds() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[string]int{}
	for _, what := range s.known {
		n[what]++
	}
	return n
}

// endpoint is the provider's token endpoint, and learns the secrets that go to it and come from it.
func (s *secrets) endpoint(t *testing.T, p *providertest.Provider) string {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		for _, name := range []string{"code", "code_verifier", "refresh_token", "client_secret"} {
			s.add(name, form.Get(name))
		}
		req, _ := http.NewRequest(r.Method, p.TokenURL(), bytes.NewReader(body))
		req.Header = r.Header.Clone()
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		answer, _ := io.ReadAll(res.Body)
		var tokens map[string]any
		json.Unmarshal(answer, &tokens)
		for _, name := range []string{"access_token", "refresh_token"} {
			token, _ := tokens[name].(string)
			s.add(name, token)
		}
		w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
		w.WriteHeader(res.StatusCode)
		w.Write(answer)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// product is the whole program at work, with everything it prints.
type product struct {
	t       *testing.T
	secrets *secrets
	dir     string
	env     []string
	said    map[string][]byte // by what printed it
	serve   *exec.Cmd
	stderr  *os.File
}

const (
	passphrase     = "SECRET-passphrase-of-the-file"
	clientSecret   = "SECRET-client-secret"
	importedSecret = "SECRET-local-password"
	secretBody     = "SECRET-content-of-a-message"
	wrongGuess     = "SECRET-almost-the-password"
)

// browserScript plays the browser, and keeps what the program gave it.
const browserScript = `#!/bin/sh
tr '\0' '\n' </proc/self/environ >"$HOME/seen/browser.environ"
tr '\0' '\n' </proc/$PPID/cmdline >"$HOME/seen/parent.cmdline"
curl --silent --show-error --location --output "$HOME/seen/page.html" "$1&auto=1"
`

func newProduct(t *testing.T) (*product, *providertest.Provider) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("NOT TESTED: that no secret is shown: curl is not installed")
	}
	p, err := providertest.Start(providertest.Options{ClientID: "waxseal", ClientSecret: clientSecret, Rotate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	dir := t.TempDir()
	s := &product{t: t, dir: dir, secrets: &secrets{known: map[string]string{
		passphrase: "passphrase", clientSecret: "client_secret", importedSecret: "local password", secretBody: "body", wrongGuess: "wrong password",
	}}, said: map[string][]byte{}}
	ca, err := p.WriteCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(scriptConfig, p.AuthURL(), s.secrets.endpoint(t, p), p.SMTPAddr, ca)
	config = strings.Replace(config, `metrics    = ""`, `metrics    = "127.0.0.1:0"`, 1)
	for name, text := range map[string]string{"config.toml": config, "bin/xdg-open": browserScript, "seen/.keep": ""} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.env = []string{"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + dir, "DISPLAY=:0", "TMPDIR=" + dir,
		"WAXSEAL_CONFIG=" + filepath.Join(dir, "config.toml"), "WAXSEAL_KEYSTORE=file", "WAXSEAL_KEYSTORE_PASSPHRASE=" + passphrase}
	return s, p
}

// run runs a command, keeps what it prints, and returns its standard output.
func (s *product) run(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("waxseal", args...)
	cmd.Env = s.env
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	cmd.Run()
	name := strings.Join(args, " ")
	s.said[name+", stdout"], s.said[name+", stderr"] = out.Bytes(), stderr.Bytes()
	return out.String()
}

// start starts the instance, and returns its addresses for mail and metrics.
func (s *product) start() (mail, metrics string) {
	s.t.Helper()
	var err error
	if s.stderr, err = os.Create(filepath.Join(s.dir, "stderr.txt")); err != nil {
		s.t.Fatal(err)
	}
	defer s.stderr.Close()
	s.serve = exec.Command("waxseal", "serve", "--log-level", "debug", "--log-file", filepath.Join(s.dir, "log", "waxseal.log"))
	s.serve.Env, s.serve.Stderr, s.serve.Stdout = s.env, s.stderr, s.stderr
	if err := s.serve.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.serve.Process.Kill(); s.serve.Wait() })
	var status struct {
		Listeners []struct{ Address string }
		Metrics   string
	}
	waitFor(s.t, "it serves", func() bool {
		return json.Unmarshal([]byte(s.run("status", "--json")), &status) == nil && len(status.Listeners) > 0
	})
	return status.Listeners[0].Address, status.Metrics
}

// mail sends a message, and returns the error if that fails.
func (s *product) mail(address, user, password, to string) error {
	c, err := smtp.Dial(address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if err := c.Auth(sasl.NewPlainClient("", user, password)); err != nil {
		return err
	}
	return c.SendMail(user, []string{to}, strings.NewReader("Subject: "+secretBody+"\r\n\r\n"+secretBody+"\r\n"))
}

// TestNoSecretIsTold goes through a day of the program at its most verbose log level, and then
// looks for every secret in everything that the program printed and wrote.
func TestNoSecretIsTold(t *testing.T) {
	s, provider := newProduct(t)
	address, metrics := s.start()
	imported := filepath.Join(s.dir, "accounts.json")
	granted := provider.Grant("you@corp.example")
	s.secrets.add("refresh_token", granted)
	if err := os.WriteFile(imported, fmt.Appendf(nil, `[{"email": "you@corp.example", "provider": "corp", "client_id": "waxseal",
		"client_secret": %q, "refresh_token": %q, "smtp_password": %q}]`, clientSecret, granted, importedSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run("account", "import", imported)
	os.Remove(imported) // the user's own copy

	// An account is added with the browser. Its password is shown here, and only here.
	const add = "account add me@corp.example, stdout"
	s.run("account", "add", "me@corp.example")
	password := regexp.MustCompile(`(?m)^password +(\S+)$`).FindSubmatch(s.said[add])
	if password == nil {
		t.Fatalf("the account was not added: %s %s", s.said[add], s.said["account add me@corp.example, stderr"])
	}
	s.said[add] = bytes.ReplaceAll(s.said[add], password[1], nil)
	s.secrets.add("local password", string(password[1]))

	s.misuse(provider, address, string(password[1]))
	s.said["cmdline of serve"], _ = os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.serve.Process.Pid))
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.serve.Process.Pid))
	if err != nil || !regexp.MustCompile(`(?m)^Max core file size +1 +1 |^Max core file size +0 +0 `).Match(limits) {
		t.Errorf("core files may be written: %s, %v", limits, err)
	}
	res, err := http.Get("http://" + metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	s.said["metrics"], _ = io.ReadAll(res.Body)
	res.Body.Close()
	for _, args := range [][]string{{"status", "--json"}, {"status"}, {"doctor", "--json"}, {"doctor"}, {"account", "list", "--json"}, {"logs", "-n", "1000"}} {
		s.run(args...)
	}
	s.serve.Process.Signal(syscall.SIGQUIT) // Go ends as in a crash, and writes its report
	s.serve.Wait()
	s.search()
}

// misuse sends messages, guesses passwords, and has tokens and consents refused.
func (s *product) misuse(provider *providertest.Provider, address, password string) {
	s.t.Helper()
	var drop atomic.Bool // the next connection that is reused
	provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) providertest.Action {
		if e.Step == providertest.StepMail && drop.CompareAndSwap(true, false) {
			return providertest.Action{Drop: true}
		}
		if e.Step == providertest.StepRcpt && strings.Contains(e.Line, "nobody@") {
			return providertest.Action{Code: 550, Text: "5.1.1 No such user"}
		}
		if e.Step == providertest.StepFinal && e.Account == "you@corp.example" && e.Message > 1 {
			return providertest.Action{Code: 554, Text: "5.7.1 Looks like spam"}
		}
		return providertest.Action{}
	}})
	me, you := "me@corp.example", "you@corp.example"
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	must(s.mail(address, me, password, "friend@else.example"))
	must(s.mail(address, you, importedSecret, "friend@else.example"))
	fails := func(what string, err error) {
		s.t.Helper()
		if err == nil {
			s.t.Errorf("%s was accepted", what)
		} else {
			s.said["answer to "+what] = []byte(err.Error())
		}
	}
	fails("a wrong password", s.mail(address, me, wrongGuess, "friend@else.example"))
	fails("a password as the user", s.mail(address, wrongGuess, password, "friend@else.example"))
	fails("an unknown recipient", s.mail(address, me, password, "nobody@else.example"))
	fails("a message like spam", s.mail(address, you, importedSecret, "friend@else.example"))
	provider.ExpireAccess(me) // the token is refused, and refreshed
	drop.Store(true)
	s.run("send-test", me, "--to", "friend@else.example")
	provider.Revoke(you) // the consent is gone
	provider.ExpireAccess(you)
	drop.Store(true)
	s.run("send-test", you, "--to", "friend@else.example")
	fails("an account without consent", s.mail(address, you, importedSecret, "friend@else.example"))
}

// search looks for the secrets in everything that was printed and in every file.
func (s *product) search() {
	t := s.t
	t.Helper()
	for _, what := range []string{"code", "code_verifier", "refresh_token", "access_token", "client_secret", "local password", "passphrase", "body"} {
		if s.secrets.kinds()[what] == 0 {
			t.Errorf("no %s was seen: the search proves nothing", what)
		}
	}
	files := map[string]bool{}
	filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		name, _ := filepath.Rel(s.dir, path)
		s.said["file "+name], err = os.ReadFile(path)
		files[name] = err == nil
		return nil
	})
	for _, name := range []string{"log/waxseal.log", "log/crash.txt", "stderr.txt", "secrets.age", "config.toml", "seen/browser.environ", "seen/parent.cmdline"} {
		if !files[name] || len(s.said["file "+name]) == 0 {
			t.Errorf("there is no %s to search: %v", name, files)
		}
	}
	for _, event := range []string{"local password", "5.1.1 No such user", "invalid_grant"} {
		if !bytes.Contains(s.said["file log/waxseal.log"], []byte(event)) {
			t.Errorf("the log has no %q: nothing went wrong on that day", event)
		}
	}
	for who, text := range s.said {
		for _, what := range s.secrets.find(text) {
			t.Errorf("%s: a secret (%s) in it", who, what)
		}
	}
	if t.Failed() {
		t.Logf("log:\n%s", s.said["file log/waxseal.log"])
	}
}

// waitFor waits for something that another process does.
func waitFor(t *testing.T, what string, there func() bool) {
	t.Helper()
	for limit := time.After(scriptPatience); !there(); {
		select {
		case <-limit:
			t.Fatalf("it never happened that %s", what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
