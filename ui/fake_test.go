package ui

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// prospect is what the fake says of an account.
type prospect struct {
	api.Preflight
	domains []string
	err     error
}

// fake is a backend whose answers a test chooses. What was asked is in asked.
type fake struct {
	mu        sync.Mutex
	asked     []string
	snapshot  api.Snapshot
	watched   chan api.Snapshot // what Watch gives beside the first
	activity  []api.Activity
	prospects []prospect
	settings  api.Settings
	mail      api.MailSettings
	cert      api.Certificate

	locked    error // of unlocking
	err       error // of everything that is asked
	configure func(api.Settings) ([]string, error)
	move      func(ctx context.Context) (int, error)
	prompts   []api.Prompt
	consent   func(ctx context.Context) (bool, error) // after the prompts; nil waits until cancelled
	checks    []api.Check
	test      func(ctx context.Context) error // after the checks
	imported  api.ImportReport
}

func (f *fake) ask(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, what)
	return f.err
}

func (f *fake) calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

func (f *fake) called(what string) bool { return slices.Contains(f.calls(), what) }

func (f *fake) Watch(ctx context.Context) iter.Seq2[api.Snapshot, error] {
	return func(yield func(api.Snapshot, error) bool) {
		if !yield(f.snapshot, f.err) || f.err != nil {
			return
		}
		for {
			select {
			case s, open := <-f.watched:
				if !open {
					yield(api.Snapshot{}, errors.New("gone"))
					return
				}
				if !yield(s, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func (f *fake) Activity(_ context.Context, after uint64) ([]api.Activity, error) {
	i := slices.IndexFunc(f.activity, func(a api.Activity) bool { return a.Seq > after })
	if i < 0 {
		return nil, f.ask("activity")
	}
	return f.activity[i:], f.ask("activity")
}

// Preflight answers from prospects: by the provider's ID where one is chosen, and
// by the address's domain.
func (f *fake) Preflight(_ context.Context, a api.Account) (api.Preflight, error) {
	if err := f.ask(strings.TrimSpace("prospect " + a.Address + " " + a.Provider)); err != nil {
		return api.Preflight{}, err
	}
	_, domain, _ := strings.Cut(a.Address, "@")
	unknown := api.Preflight{Unknown: &api.Problem{What: api.Say("No provider is known.")}}
	for _, p := range f.prospects {
		if p.err == nil {
			unknown.Choices = append(unknown.Choices, api.Choice{ID: p.Provider, Name: p.Name})
		}
		if a.Provider == "" && slices.Contains(p.domains, domain) || a.Provider != "" && p.Provider == a.Provider {
			return p.Preflight, p.err
		}
	}
	return unknown, nil
}

func (f *fake) Authorize(ctx context.Context, to api.ConsentRequest, show func(api.Prompt)) (bool, error) {
	if a := to.Account; to.New {
		if err := f.ask(strings.TrimSpace("add " + a.Address + " " + a.Provider + " " + a.ClientID + " " + to.ClientSecret + " " + a.Tenant + a.Login + does(a.Protocols))); err != nil {
			return false, err
		}
	}
	what := "authorize "
	if to.Device {
		what = "device "
	}
	if err := f.ask(what + to.Account.Address + does(to.Protocols)); err != nil {
		return false, err
	}
	for _, p := range f.prompts {
		show(p)
	}
	if f.consent != nil {
		return f.consent(ctx)
	}
	<-ctx.Done()
	f.ask("left " + to.Account.Address)
	return false, ctx.Err()
}

// does names protocols that are asked for.
func does(list []api.Protocol) string {
	if len(list) == 0 {
		return ""
	}
	return fmt.Sprintf(" to do %v", list)
}

func (f *fake) AddProvider(_ context.Context, n api.NewProvider) error {
	return f.ask(fmt.Sprintf("provider %+v", n))
}

func (f *fake) ImportEmailProxy(_ context.Context, data []byte, passwords map[string]string) (api.ImportReport, error) {
	return f.imported, f.ask("import " + string(data) + " with " + passwords[""])
}

func (f *fake) CancelSignIn(_ context.Context, address string) error {
	return f.ask("cancel " + address)
}

func (f *fake) MailSettings(_ context.Context, address string, renew bool) (api.MailSettings, error) {
	what := "settings of "
	if renew {
		what = "new password of "
	}
	m := f.mail
	if m.User == "" {
		m.User = address
	}
	return m, f.ask(what + address)
}

func (f *fake) SendTest(ctx context.Context, address, to string, report func(api.Check)) error {
	if err := f.ask("send " + address + " " + to); err != nil {
		return err
	}
	for _, c := range f.checks {
		report(c)
	}
	if f.test != nil {
		return f.test(ctx)
	}
	<-ctx.Done()
	f.ask("cancelled test")
	return ctx.Err()
}

func (f *fake) ReadTest(ctx context.Context, address string, protocol api.Protocol, report func(api.Check)) error {
	if err := f.ask("read " + address + " " + string(protocol)); err != nil {
		return err
	}
	for _, c := range f.checks {
		report(c)
	}
	if f.test != nil {
		return f.test(ctx)
	}
	<-ctx.Done()
	return ctx.Err()
}

func (f *fake) ReadClient(_ context.Context, text string) (api.Client, error) {
	if err := f.ask("read client"); err != nil {
		return api.Client{}, err
	}
	id, secret, err := config.ReadClient([]byte(text))
	return api.Client{ID: id, Secret: secret}, err
}

func (f *fake) SetClient(_ context.Context, address string, to api.Client) error {
	return f.ask("client of " + address + " " + to.ID + " " + to.Secret)
}

func (f *fake) Remove(_ context.Context, address string) (string, error) {
	return "", f.ask("remove " + address)
}

func (f *fake) SetPaused(_ context.Context, paused bool) error {
	if paused {
		return f.ask("pause")
	}
	return f.ask("resume")
}

func (f *fake) Settings(context.Context) (api.Settings, error) {
	return f.settings, f.ask("settings")
}

func (f *fake) Configure(_ context.Context, to api.SettingsChange) ([]string, error) {
	if err := f.ask("configure"); err != nil {
		return nil, err
	}
	next := applied(f.settings, to)
	var notes []string
	if f.configure != nil {
		var err error
		if notes, err = f.configure(next); err != nil {
			return nil, err
		}
	}
	f.settings = next
	return notes, nil
}

// applied is the settings after a change.
func applied(s api.Settings, to api.SettingsChange) api.Settings {
	for at, list := range map[*[]string]*[]string{&s.Listen: to.Listen, &s.ListenTLS: to.ListenTLS,
		&s.ListenIMAP: to.ListenIMAP, &s.ListenIMAPTLS: to.ListenIMAPTLS, &s.ListenPOP: to.ListenPOP, &s.ListenPOPTLS: to.ListenPOPTLS} {
		if list != nil {
			*at = *list
		}
	}
	for at, word := range map[*string]*string{&s.Metrics: to.Metrics, &s.HTTPProxy: to.HTTPProxy, &s.LogLevel: to.LogLevel, &s.Theme: to.Theme, &s.Language: to.Language} {
		if word != nil {
			*at = *word
		}
	}
	for at, truth := range map[*bool]*bool{&s.Notifications: to.Notifications, &s.AllowRemote: to.AllowRemote} {
		if truth != nil {
			*at = *truth
		}
	}
	return s
}

func (f *fake) Reload(context.Context) ([]string, error) { return nil, f.ask("reload") }

func (f *fake) Certificate(context.Context) (api.Certificate, error) {
	return f.cert, f.ask("certificate")
}

func (f *fake) MoveSecrets(ctx context.Context, kind string) (int, error) {
	if err := f.ask("move secrets " + kind); err != nil {
		return 0, err
	}
	if f.move != nil {
		return f.move(ctx)
	}
	return 7, nil
}

func (f *fake) UnlockKeystore(context.Context) error {
	if err := f.ask("unlock"); err != nil {
		return err
	}
	return f.locked
}

func (f *fake) Doctor(ctx context.Context, report func(api.Check)) (failed int, err error) {
	for _, c := range f.checks {
		report(c)
		if !c.OK {
			failed++
		}
	}
	return failed, f.ask("doctor")
}

func (f *fake) Quit(context.Context) error { return f.ask("quit") }
