package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const localPassword = "bench-bench-bench-bench"

// readConnections is how many IMAP connections the provider is said to allow an account, as at Gmail.
const readConnections = 15

// waxseal is the real program, serving the accounts of an upstream.
type waxseal struct {
	*peer
	addr   string
	imap   string // "" if nobody reads
	config string
	bin    string
}

// startWaxseal runs `waxseal serve` in its own folder and imports the accounts
// through its control socket. tokenURL replaces the upstream's unless it is "".
func startWaxseal(bin, dir string, u upstream, tokenURL string) (*waxseal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, []byte(u.CA), 0o600); err != nil {
		return nil, err
	}
	if tokenURL == "" {
		tokenURL = u.TokenURL
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	_, smtpPort, err := net.SplitHostPort(u.SMTP)
	if err != nil {
		return nil, err
	}
	w := &waxseal{bin: bin, config: filepath.Join(dir, "config.toml"), addr: port}
	text := fmt.Sprintf(`listen = [%q]
listen_tls = []
metrics = ""

[[provider]]
id = "bench"
domains = ["bench.test"]
auth_url = %q
token_url = %q
scopes = ["mail"]
client_id = "bench"
smtp = "localhost:%s"
smtp_tls = "starttls"
ca_file = %q
max_connections = 100
`, port, tokenURL, tokenURL, smtpPort, ca)
	if u.IMAP != "" {
		if text, err = w.reads(text, u); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if os.Getenv("WAXSEAL_KEYSTORE") == "" {
		os.Setenv("WAXSEAL_KEYSTORE", "memory")
		defer os.Unsetenv("WAXSEAL_KEYSTORE")
	}
	if w.peer, err = start(nil, bin, "serve", "--config", w.config, "--log-level", "error"); err != nil {
		return nil, err
	}
	if err = w.await(); err == nil && len(u.Accounts) > 0 {
		err = w.importAccounts(dir, u.Accounts)
	}
	if err != nil {
		w.end()
	}
	return w, err
}

// reads adds to a configuration what reading needs. An import keeps the protocols of accounts that are
// there.
func (w *waxseal) reads(text string, u upstream) (string, error) {
	var err error
	if w.imap, err = freePort(); err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(u.IMAP)
	if err != nil {
		return "", err
	}
	text = fmt.Sprintf("listen_imap = [%q]\nlisten_imap_tls = []\n%simap = \"localhost:%s\"\nimap_tls = \"implicit\"\nread_connections = %d\n",
		w.imap, text, port, readConnections)
	for _, a := range u.Accounts {
		text += fmt.Sprintf("\n[[account]]\naddress = %q\nprovider = \"bench\"\nclient_id = \"bench\"\nprotocols = [\"smtp\", \"imap\"]\n", a.Address)
	}
	return text, nil
}

// await waits until it accepts connections.
func (w *waxseal) await() error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if conn, err := net.Dial("tcp", w.addr); err == nil {
			return conn.Close()
		}
	}
	return errors.New("waxseal did not start to accept connections")
}

func (w *waxseal) importAccounts(dir string, accounts []account) error {
	var list []map[string]string
	for _, a := range accounts {
		list = append(list, map[string]string{"email": a.Address, "provider": "bench", "client_id": "bench",
			"refresh_token": a.Refresh, "smtp_password": localPassword})
	}
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "import.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err
	}
	return w.run(nil, "account", "import", file)
}

// run sends a command to the running instance. If out is not nil, it adds --json and
// decodes the output into out.
func (w *waxseal) run(out any, args ...string) error {
	cmd := exec.Command(w.bin, append(args, "--config", w.config)...)
	if out == nil {
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", args, err, text)
		}
		return nil
	}
	cmd.Args = append(cmd.Args, "--json")
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%v: %w", args, err)
	}
	return json.Unmarshal(text, out)
}

// freePort returns an address that nothing is listening on.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// refresh gets the access token with which the account sends directly.
func (a *account) refresh(tokenURL string) error {
	resp, err := http.PostForm(tokenURL, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.Refresh}, "client_id": {"bench"}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		return err
	}
	a.Access = got.Token
	return nil
}
