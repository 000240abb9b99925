//go:build e2e

package e2e

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// startBrowser starts a headless Chromium with its files in dir.
func startBrowser(dir string) (ctx context.Context, stop func() error, err error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, // containers lack what the sandbox needs, and all pages here are our own
		chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(dir), chromedp.WindowSize(900, 600))
	all, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ = chromedp.NewContext(all)
	stop = func() error {
		err := chromedp.Cancel(ctx)
		end()
		return err
	}
	if err := chromedp.Do(ctx); err != nil {
		end()
		return nil, nil, err
	}
	return ctx, stop, nil
}

// person is a user in front of a browser without cookies.
type person struct {
	t    *testing.T
	tab  context.Context
	last *network.Response // for the page that is shown
}

func newPerson(t *testing.T) *person {
	t.Helper()
	all, cancel := context.WithTimeout(peers.browser, patience)
	tab, closeTab := chromedp.NewContext(all, chromedp.WithNewBrowserContext())
	t.Cleanup(func() { closeTab(); cancel() })
	return &person{t: t, tab: tab}
}

func run[T any](p *person, what string, action chromedp.Action[T]) T {
	p.t.Helper()
	result, err := chromedp.Run(p.tab, action)
	if err != nil {
		p.t.Fatalf("the browser: %s: %v", what, err)
	}
	return result
}

func (p *person) open(address string) {
	p.t.Helper()
	p.last = run(p, "open a page", chromedp.NavigateResponse(address))
}

// press clicks on what a CSS selector matches and waits for the next page.
func (p *person) press(selector string) {
	p.t.Helper()
	var err error
	if p.last, err = chromedp.RunResponse(p.tab, chromedp.Click(chromedp.CSS(selector))); err != nil {
		p.t.Fatalf("the browser: press %s: %v\n%s", selector, err, p.text())
	}
}

func (p *person) sees(selector string) bool {
	p.t.Helper()
	return run(p, "look", chromedp.Evaluate[bool]("document.querySelector('"+selector+"') !== null"))
}

// text returns the text of the page.
func (p *person) text() string {
	p.t.Helper()
	return strings.Join(strings.Fields(run(p, "read", chromedp.Evaluate[string]("document.body.innerText"))), " ")
}

// reads checks that the page contains a text. A page that is not the last loads itself again, which
// its reader waits for.
func (p *person) reads(want string) {
	p.t.Helper()
	last := chromedp.Evaluate[bool](`document.readyState == "complete" && !document.querySelector('meta[http-equiv="refresh"]')`)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 400 { // between two pages there is nothing to look at
		if done, err := chromedp.Run(p.tab, last); done && err == nil {
			break
		}
		<-tick.C
	}
	if got := p.text(); !strings.Contains(got, want) {
		p.t.Errorf("the page says %q, want %q", got, want)
	}
}

const (
	loginField = "input[name=login]"
	goOn       = "button[type=submit]"
	goAway     = "a[href*=abort], button[name=abort]"
)

// approve signs in as a user on the provider's pages and presses "Continue" as long as there is such a
// button.
func (p *person) approve(login string) {
	p.t.Helper()
	for p.atProvider() && p.sees(goOn) {
		if p.sees(loginField) {
			p.fill(loginField, login)
			p.fill("input[name=password]", "any")
		}
		p.press(goOn)
	}
}

// holdBefore approves, but holds the browser just before it goes to an address until wait returns.
func (p *person) holdBefore(address, login string, wait func()) {
	p.t.Helper()
	all := fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: address + "*"}}}
	if _, err := chromedp.Call(p.tab, fetch.Enable, all); err != nil {
		p.t.Fatal(err)
	}
	p.fill(loginField, login)
	p.fill("input[name=password]", "any")
	p.press(goOn)
	held := run(p, "be held", chromedp.WaitEvent(fetch.RequestPaused, nil, chromedp.Click(chromedp.CSS(goOn))))
	wait()
	run(p, "go on", chromedp.WaitEvent(page.LoadEventFired, nil, chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: held.RequestID})
		return err
	})))
}

// deny cancels without signing in.
func (p *person) deny() {
	p.t.Helper()
	p.press(goAway)
}

func (p *person) fill(selector, text string) {
	p.t.Helper()
	run(p, "fill "+selector+" in", chromedp.SetValue(chromedp.CSS(selector), text))
}

// atProvider reports whether the browser is still on the provider's site.
func (p *person) atProvider() bool {
	p.t.Helper()
	return strings.HasPrefix(run(p, "look where it is", chromedp.Location()), peers.provider.issuer+"/")
}

// leaves closes the window.
func (p *person) leaves() {
	p.t.Helper()
	if err := chromedp.Cancel(p.tab); err != nil {
		p.t.Fatal(err)
	}
}

// photograph saves pictures of the page, light and dark, in the folder that WAXSEAL_E2E_PICTURES
// names, for people to look at.
func (p *person) photograph(name string) {
	p.t.Helper()
	dir := os.Getenv("WAXSEAL_E2E_PICTURES")
	if dir == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		_, err := chromedp.Call(p.tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		if err != nil {
			p.t.Fatal(err)
		}
		picture := run(p, "photograph", chromedp.CaptureScreenshot())
		if err := os.WriteFile(filepath.Join(dir, name+"-"+scheme+".png"), picture, 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
}

// serveHTML serves a page from another site on this machine.
func serveHTML(t *testing.T, html string) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, html)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
