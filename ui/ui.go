// Package ui is Waxseal's window: what is going on, adding an account, setting
// up a mail program, recent messages and the settings.
//
// [Run] takes an application of Fyne's and a [Backend], and blocks until the
// window is closed. The package knows neither a network nor a driver: it never
// imports fyne/app, so its tests draw every screen on any machine.
//
// A page is one unexported struct with its widgets. It is drawn from plain
// values: an [api.Snapshot] for what changes by itself, the backend's answer for
// what was asked. Only two things happen outside the screen's own goroutine, and
// each has one place: the feed, which watches the backend and brings the newest
// snapshot to the screen, and work, which asks the backend something and brings
// back its answer. Both end before Run returns.
//
// Text for people goes through tr or say, so that it can be translated. Text
// from a provider or a mail program goes through clean first, and is always
// shown as a quotation.
package ui

import (
	"context"
	"iter"
	"time"

	"fyne.io/fyne/v2"

	"github.com/waxseal/waxseal/proxy/api"
)

// Backend is the engine behind the window: the client of a running instance, or
// a fake in tests. Each method obeys its context.
type Backend interface {
	Watch(ctx context.Context) iter.Seq2[api.Snapshot, error]
	Activity(ctx context.Context, after uint64) ([]api.Activity, error)
	Preflight(ctx context.Context, a api.Account) (api.Preflight, error)
	ReadClient(ctx context.Context, text string) (api.Client, error)
	SetClient(ctx context.Context, address string, to api.Client) error
	Authorize(ctx context.Context, to api.ConsentRequest, show func(api.Prompt)) (consented bool, err error)
	CancelSignIn(ctx context.Context, address string) error
	AddProvider(ctx context.Context, n api.NewProvider) error
	ImportEmailProxy(ctx context.Context, data []byte, passwords map[string]string) (api.ImportReport, error)
	MailSettings(ctx context.Context, address string, renew bool) (api.MailSettings, error)
	SendTest(ctx context.Context, address, to string, report func(api.Check)) error
	ReadTest(ctx context.Context, address string, protocol api.Protocol, report func(api.Check)) error
	Remove(ctx context.Context, address string) (note string, err error)
	SetPaused(ctx context.Context, paused bool) error
	Settings(ctx context.Context) (api.Settings, error)
	Reload(ctx context.Context) (notes []string, err error)
	Configure(ctx context.Context, to api.SettingsChange) (notes []string, err error)
	Certificate(ctx context.Context) (api.Certificate, error)
	MoveSecrets(ctx context.Context, kind string) (moved int, err error)
	UnlockKeystore(ctx context.Context) error
	Doctor(ctx context.Context, report func(api.Check)) (failed int, err error)
	Quit(ctx context.Context) error
}

// Options is what only the desktop knows. Every func may be nil; what needs it is
// left out then.
type Options struct {
	Version      string
	Waxseal      string                                                            // how a shell runs this program, with its options; "" is "waxseal"
	OpenURL      func(string) error                                                // a page in the system's own browser
	OpenFolder   func(string) error                                                // in the system's own file manager
	SaveReport   func(ctx context.Context, checks string) (file string, err error) // of a bug: the checks, the versions, the end of the log
	Autostart    func() (bool, error)                                              // whether Waxseal starts at login
	SetAutostart func(bool) error                                                  //
	Language     string                                                            // "en", "de"; "system" and "" go by the system
	Theme        string                                                            // "light", "dark"; "system" goes by the desktop, "" keeps the application's
	Cure         func(error) string                                                // what to do about an error; "" if unknown
	Restart      func() error                                                      // ends the running instance and starts this version
	NoScheme     bool                                                              // the desktop does not say whether it is light or dark
	TrayMissing  bool                                                              // no panel shows the icon: the window says so
	Page         Page                                                              // the first to show
	Pages        func(context.Context) iter.Seq2[Page, error]                      // pages that other processes ask for

	now func() time.Time // for pictures that are the same tomorrow
	do  func(func())     // fyne.Do; the tests' driver has no goroutine of its own
}

// Page names a page: "overview" (or ""), "add", "setup" or "register" with the
// account it is about, "activity", "settings", "check" or "about". "signed-in" is the
// page that follows an account's approval: the sign-in, or the settings for mail programs.
// "provider" describes a provider that is not built in. "import" takes over the accounts of
// another program. "password" is the setup page, which then copies the local password.
type Page struct {
	Name    string
	Account string
}

// Run shows the window and blocks, on the main goroutine, until it is closed
// and everything that it started has ended.
func Run(a fyne.App, b Backend, o Options) {
	w := newWindow(a, b, o)
	w.start()
	w.win.Show()
	a.Run()
	w.stop()
}
