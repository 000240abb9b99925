package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gofrs/flock"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/api"
)

// helloPatience is how long an instance may take to say who it is.
const helloPatience = 5 * time.Second

// Client talks to an instance. Its methods may be called at the same time. The
// errors that an instance answers are *[Error].
type Client struct {
	http  http.Client
	token string
	who   hello
}

// Dial finds the instance that is running for a configuration file. It fails with
// [ErrNotRunning] if there is none.
func Dial(ctx context.Context, configPath string) (*Client, error) {
	all, err := places(configPath)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		c, h, err := p.dial(ctx)
		if err == nil {
			c.who = h
			return c, nil
		}
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
	}
	return nil, ErrNotRunning
}

// Version is the instance's version, "" for a server in this process.
func (c *Client) Version() string { return c.who.Version }

// PID is the instance's process, 0 for a server in this process.
func (c *Client) PID() int { return c.who.PID }

// Desktop reports whether the instance has an icon and windows.
func (c *Client) Desktop() bool { return c.who.Desktop }

// Close closes the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// dial connects, and knows by the answer to /hello that an instance is there.
func (p place) dial(ctx context.Context) (*Client, hello, error) {
	if p.private {
		if err := checkPrivate(p.dir); err != nil {
			return nil, hello{}, err
		}
	}
	var d net.Dialer
	c := &Client{}
	connect := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "unix", p.path(".sock"))
	}
	if f, err := p.readPort(); err == nil {
		c.token = f.Token
		connect = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", f.Address)
		}
	}
	c.http.Transport = &http.Transport{DialContext: connect}
	ctx, cancel := context.WithTimeout(ctx, helloPatience)
	defer cancel()
	var h hello
	if err := c.call(ctx, http.MethodGet, "/hello", nil, &h); err != nil {
		c.Close()
		return nil, hello{}, err
	}
	return c, h, nil
}

// readPort reads the file that leads to the loopback port, where one takes the
// place of the socket. It trusts the file only while somebody holds the lock:
// after a crash the port may belong to another program, which must not get
// anything from us.
func (p place) readPort() (portFile, error) {
	var f portFile
	data, err := safeio.ReadFile(p.path(".port"))
	if err != nil {
		return f, err
	}
	lock := flock.New(p.path(".lock"))
	if free, err := lock.TryLock(); err != nil || free {
		lock.Unlock()
		return f, fmt.Errorf("%s is stale", p.path(".port"))
	}
	return f, json.Unmarshal(data, &f)
}

// Status returns what the instance does now.
func (c *Client) Status(ctx context.Context) (s api.Snapshot, err error) {
	err = c.call(ctx, http.MethodGet, "/status", nil, &s)
	return s, err
}

// Accounts returns the accounts and their state.
func (c *Client) Accounts(ctx context.Context) (a []api.AccountStatus, err error) {
	err = c.call(ctx, http.MethodGet, "/accounts", nil, &a)
	return a, err
}

// Reload makes the instance read its configuration file again. The notes name
// what changes only at the next start.
func (c *Client) Reload(ctx context.Context) (notes []string, err error) {
	err = c.call(ctx, http.MethodPost, "/reload", struct{}{}, &notes)
	return notes, err
}

// Preflight answers what adding an account requires; see [proxy.Server.Preflight].
func (c *Client) Preflight(ctx context.Context, a api.Account) (p api.Preflight, err error) {
	err = c.call(ctx, http.MethodPost, "/preflight", a, &p)
	return p, err
}

// Add adds an account and returns its local password. clientSecret may be "".
func (c *Client) Add(ctx context.Context, a api.Account, clientSecret string) (string, error) {
	var out passwordAnswer
	err := c.call(ctx, http.MethodPost, "/add", addRequest{a, clientSecret}, &out)
	return out.Password, err
}

// ReadClient finds a client ID and secret in a text; see [proxy.Server.ReadClient].
func (c *Client) ReadClient(ctx context.Context, text string) (found api.Client, err error) {
	err = c.call(ctx, http.MethodPost, "/read-client", readClientRequest{text}, &found)
	return found, err
}

// SetClient gives an account's registration another client ID or secret; see
// [proxy.Server.SetClient].
func (c *Client) SetClient(ctx context.Context, address string, to api.Client) error {
	return c.call(ctx, http.MethodPost, "/client", clientRequest{address, to}, nil)
}

// AddProvider adds a provider that is not built in; see [proxy.Server.AddProvider].
func (c *Client) AddProvider(ctx context.Context, n api.NewProvider) error {
	return c.call(ctx, http.MethodPost, "/provider", n, nil)
}

// SetLogin changes the name that an account logs in with; see [proxy.Server.SetLogin].
func (c *Client) SetLogin(ctx context.Context, address, login string) error {
	return c.call(ctx, http.MethodPost, "/login", loginRequest{address, login}, nil)
}

// Authorize asks an account's user for consent; see [proxy.Server.Authorize]. If ctx ends, the
// sign-in goes on.
func (c *Client) Authorize(ctx context.Context, to api.ConsentRequest, show func(api.Prompt)) (consented bool, err error) {
	last, err := c.follow(ctx, "/authorize", to, func(e event) {
		if e.Prompt != nil {
			show(*e.Prompt)
		}
	})
	return last.Consented, err
}

// CancelSignIn ends an account's sign-in, and returns when it has ended.
func (c *Client) CancelSignIn(ctx context.Context, address string) error {
	return c.call(ctx, http.MethodPost, "/cancel-sign-in", addressRequest{Address: address}, nil)
}

// Doctor checks everything that must work and returns how many checks failed.
func (c *Client) Doctor(ctx context.Context, report func(api.Check)) (failed int, err error) {
	last, err := c.follow(ctx, "/doctor", struct{}{}, checks(report))
	return last.Failed, err
}

// SendTest sends a test message from an account.
func (c *Client) SendTest(ctx context.Context, address, to string, report func(api.Check)) error {
	_, err := c.follow(ctx, "/send-test", sendRequest{address, to}, checks(report))
	return err
}

// ReadTest logs in to the provider's server for reading from an account.
func (c *Client) ReadTest(ctx context.Context, address string, protocol api.Protocol, report func(api.Check)) error {
	_, err := c.follow(ctx, "/read-test", readRequest{address, protocol}, checks(report))
	return err
}

func checks(report func(api.Check)) func(event) {
	return func(e event) {
		if e.Check != nil {
			report(*e.Check)
		}
	}
}

// follow reads an answer that grows, up to its last line.
func (c *Client) follow(ctx context.Context, path string, in any, each func(event)) (last event, err error) {
	body, err := c.open(ctx, http.MethodPost, path, in)
	if err != nil {
		return event{}, err
	}
	defer body.Close()
	for lines := json.NewDecoder(body); ; {
		var e event
		switch err := lines.Decode(&e); {
		case ctx.Err() != nil:
			return event{}, ctx.Err()
		case err != nil:
			return event{}, fmt.Errorf("read the answer from the running Waxseal: %w", err)
		case e.Done && e.Error != nil:
			return e, e.Error
		case e.Done:
			return e, nil
		}
		each(e)
	}
}

// Import adds the accounts of an import file.
func (c *Client) Import(ctx context.Context, data []byte) (r api.ImportReport, err error) {
	err = c.call(ctx, http.MethodPost, "/import", data, &r)
	return r, err
}

// ImportEmailProxy adds the accounts of email-oauth2-proxy's configuration file;
// see [proxy.Server.ImportEmailProxy].
func (c *Client) ImportEmailProxy(ctx context.Context, data []byte, passwords map[string]string) (r api.ImportReport, err error) {
	err = c.call(ctx, http.MethodPost, "/import-email-proxy", emailProxyRequest{data, passwords}, &r)
	return r, err
}

// Remove removes an account and its secrets. The note says so if the provider
// could not be told.
func (c *Client) Remove(ctx context.Context, address string) (note string, err error) {
	var out removeAnswer
	err = c.call(ctx, http.MethodPost, "/remove", addressRequest{Address: address}, &out)
	return out.Note, err
}

// MoveSecrets moves all secrets into another kind of keystore; see
// [proxy.Server.MoveSecrets].
func (c *Client) MoveSecrets(ctx context.Context, kind string) (moved int, err error) {
	var out moveAnswer
	err = c.call(ctx, http.MethodPost, "/move-secrets", moveRequest{kind}, &out)
	return out.Moved, err
}

// call makes a request and reads the answer into out, unless out is nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	body, err := c.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, body)
	} else {
		err = json.NewDecoder(body).Decode(out)
	}
	if err != nil {
		return fmt.Errorf("read the answer from the running Waxseal: %w", err)
	}
	return nil
}

// open makes a request and returns the body of a good answer. It sends in as JSON,
// or bytes as they are.
func (c *Client) open(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	data, raw := in.([]byte)
	if !raw && in != nil {
		var err error
		if data, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("make the request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var lost *url.Error // its text contains our made-up URL, which helps nobody
		if errors.As(err, &lost) {
			err = lost.Err
		}
		return nil, fmt.Errorf("talk to the running Waxseal: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	answered := &Error{}
	if json.NewDecoder(resp.Body).Decode(answered) != nil || answered.Text == "" {
		return nil, fmt.Errorf("the running Waxseal answered %s", resp.Status)
	}
	return nil, answered
}
