// Package control lets the command line talk to the running instance, and makes
// sure that only one instance runs for one configuration file.
//
// The instance calls [Listen], which takes a lock and opens a socket next to the
// configuration file (config.toml gives config.lock and config.sock), and then
// [Serve], which answers requests until its context ends. A command calls
// [Dial] and uses the methods of the [Client] it gets. If no instance is running,
// Dial answers [ErrNotRunning]; the command then takes the lock with [Hold],
// makes a server of its own and talks to it through [Local]: the same client and
// the same requests, without a socket.
//
// The protocol is JSON over HTTP over a unix domain socket that only its owner
// may open (0600). If there can be no socket in the configuration folder, because
// the folder is read-only or its path too long for one, lock and socket are in a
// private folder below [os.TempDir]; both sides look there second. Windows
// before 10 (1803) and Wine have no unix sockets: there a loopback port takes
// its place, with a token in a file as the key.
//
// The lock, not the socket, says whether an instance is running. It ends with the
// process that holds it, so a socket that a killed process left is known to be
// stale and is replaced.
package control

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

// Backend is what the socket gives access to: a *proxy.Server, or a fake in
// tests.
type Backend interface {
	Snapshot() api.Snapshot
	Watch(ctx context.Context, interval time.Duration) iter.Seq[api.Snapshot]
	Reload(ctx context.Context) (notes []string, err error)
	Preflight(ctx context.Context, a api.Account) (api.Preflight, error)
	Add(ctx context.Context, a api.Account, clientSecret string) (password string, err error)
	ReadClient(ctx context.Context, text string) (api.Client, error)
	SetClient(ctx context.Context, address string, to api.Client) error
	SetLogin(ctx context.Context, address, login string) error
	AddProvider(ctx context.Context, n api.NewProvider) error
	Authorize(ctx context.Context, to api.ConsentRequest, show func(api.Prompt) error) (consented bool, err error)
	CancelSignIn(ctx context.Context, address string) error
	Doctor(ctx context.Context, report func(api.Check)) (failed int)
	SendTest(ctx context.Context, address, to string, report func(api.Check)) error
	ReadTest(ctx context.Context, address string, protocol api.Protocol, report func(api.Check)) error
	Import(ctx context.Context, data []byte) (api.ImportReport, error)
	ImportEmailProxy(ctx context.Context, data []byte, passwords map[string]string) (api.ImportReport, error)
	Remove(ctx context.Context, address string) (note string, err error)
	MoveSecrets(ctx context.Context, kind string) (moved int, err error)
	UnlockKeystore(ctx context.Context) error
	Accounts() []api.AccountStatus
	Activity(after uint64) []api.Activity
	SetPaused(paused bool)
	MailSettings(ctx context.Context, address string, renew bool) (api.MailSettings, error)
	Settings() api.Settings
	Configure(ctx context.Context, to api.SettingsChange) (notes []string, err error)
	Certificate() (api.Certificate, error)
}

// Desktop is what an instance with windows can do in addition to its Backend. The
// zero value is an instance without windows.
type Desktop struct {
	// Show opens a window on a page, for an account if the page is about one. It
	// is called when no window listens to [Client.Pages]; calls may come while a
	// window is still opening.
	Show func(page, account string) error
	// Quit ends the program, and returns without waiting for the end.
	Quit func()
}

// Page is what a window is asked to show.
type Page struct {
	Page    string `json:"page"` // "overview", "add", "activity", "settings", "setup" or "signed-in"
	Account string `json:"account,omitempty"`
}

// ErrNotRunning says that no instance is running for the configuration file.
var ErrNotRunning = errors.New("no Waxseal is running for this configuration")

// ErrDied says that the instance ended without closing its connections, as after a crash or
// a kill -9. It is an [ErrNotRunning] too.
var ErrDied = fmt.Errorf("%w any more: it ended without a word", ErrNotRunning)

// RunningError says that another process is using the configuration file.
type RunningError struct {
	PID     int // 0 if it holds the lock but does not answer
	Version string
}

// Error implements error.
func (e *RunningError) Error() string {
	if e.PID == 0 {
		return "another Waxseal is using this configuration and does not respond"
	}
	return fmt.Sprintf("Waxseal is already running (process %d, version %s)", e.PID, e.Version)
}

// Error is an error that the instance answered, with its own text and, if there
// is one, its cure. An error about a port is a *[api.PortTakenError] too, for
// errors.As.
type Error struct {
	Text string              `json:"error"`
	Cure string              `json:"cure,omitempty"`
	Port *api.PortTakenError `json:"port_taken,omitempty"`

	// Problem is the failure for whoever words it in another language; nil for one
	// that only has an English text.
	Problem *api.Problem `json:"problem,omitempty"`
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Unwrap answers the error about a port, if it is one.
func (e *Error) Unwrap() error {
	switch {
	case e.Port != nil:
		return e.Port
	case e.Problem != nil:
		return e.Problem
	}
	return nil
}

// The bodies of the requests and answers that are not types of package proxy.
type (
	hello struct {
		PID     int    `json:"pid"`
		Version string `json:"version"`
		Desktop bool   `json:"desktop"` // it has an icon and windows
	}
	addressRequest struct {
		Address string `json:"address"`
		Renew   bool   `json:"renew,omitempty"`
	}
	addRequest struct {
		Account      api.Account `json:"account"`
		ClientSecret string      `json:"client_secret,omitempty"`
	}
	readClientRequest struct {
		Text string `json:"text"`
	}
	loginRequest struct {
		Address string `json:"address"`
		Login   string `json:"login"`
	}
	clientRequest struct {
		Address string     `json:"address"`
		Client  api.Client `json:"client"`
	}
	emailProxyRequest struct {
		Data      []byte            `json:"data"`
		Passwords map[string]string `json:"passwords,omitempty"` // by address
	}
	activityRequest struct {
		After uint64 `json:"after"`
	}
	pauseRequest struct {
		Paused bool `json:"paused"`
	}
	sendRequest struct {
		Address string `json:"address"`
		To      string `json:"to"`
	}
	readRequest struct {
		Address  string       `json:"address"`
		Protocol api.Protocol `json:"protocol"`
	}
	// event is a line of an answer that grows while the work goes on. Done marks
	// the last one.
	event struct {
		Prompt    *api.Prompt `json:"prompt,omitempty"`
		Check     *api.Check  `json:"check,omitempty"`
		Done      bool        `json:"done,omitempty"`
		Consented bool        `json:"consented,omitempty"`
		Failed    int         `json:"failed,omitempty"`
		Error     *Error      `json:"error,omitempty"`
	}
	moveRequest struct {
		Keystore string `json:"keystore"`
	}
	moveAnswer struct {
		Moved int `json:"moved"`
	}
	removeAnswer struct {
		Note string `json:"note,omitempty"`
	}
	passwordAnswer struct {
		Password string `json:"password"`
	}
)

// host is the Host of every request. A browser sends the host name of the page
// instead, so no web page can use the loopback port of [listenTCP].
const host = "waxseal"
