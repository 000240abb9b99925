// Package tray is Waxseal's icon in the desktop's tray: the drawing, the menu and the
// notifications. Pure functions make all three from one [State].
//
// It is based on fyne.io/systray, the library that Fyne's own tray uses, and does not
// start a window system. So it needs few resources while the window is closed, and a
// crash of the window, which is a process of its own, does not affect it.
package tray

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2/lang"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/ui/speech"
)

// maxAccounts is how many accounts a menu lists; it only counts the others, because a
// menu that fills the screen helps nobody.
const maxAccounts = 15

// maxFailures is how many recent failures a menu lists.
const maxFailures = 5

// State is everything that icon, menu and notifications are made from.
type State struct {
	api.Snapshot
	WindowFailed bool      // the window could not be opened
	PausedUntil  time.Time // when a pause ends by itself; zero if it does not
	Now          time.Time // when the snapshot was taken
}

// menu is the content of the menu, as a value: the same State gives the same menu, and
// only a different menu is drawn.
type menu struct {
	language string // of the lines that are always there
	icon     icon
	status   string // "3 accounts · 2 connections · 1 message"
	faults   []entry
	failures []string // what failed recently, newest first; each leads to the activity
	accounts []account
	more     string // "… and 12 more"
	paused   bool
	unlock   string // "Unlock keychain", if that is what helps
	retry    bool   // there is trouble that may be over
}

// entry is a line that leads to a page of the window.
type entry struct {
	label string
	page  string
}

// account is one account's line. All have the same submenu.
type account struct {
	label   string
	address string
}

// menuOf makes the menu of a State.
func menuOf(s State) menu {
	words.RLock()
	defer words.RUnlock()
	m := menu{language: spoken, icon: iconOf(s), status: statusLine(s), paused: s.State == api.Paused}
	if s.PortTaken != nil {
		m.faults = append(m.faults, entry{lang.L("A port is taken. Choose another…"), "settings"})
	}
	if p := s.Keystore.Problem; p != nil {
		m.faults = append(m.faults, entry{more(speech.Say(p.What)), "settings"})
		if p.Do == api.Unlock || p.Do == api.MakeKeyring {
			m.unlock = speech.Say(p.Do.Label())
		}
	}
	if state, provider, troubled := s.Passing(); troubled {
		m.faults = append(m.faults, entry{more(speech.Say(state.Headline(provider))), "overview"})
		m.retry = true
	}
	if s.WindowFailed {
		m.faults = append(m.faults, entry{lang.L("The window could not be opened. Try again…"), "overview"})
	}
	for _, a := range s.Failures[:min(len(s.Failures), maxFailures)] {
		m.failures = append(m.failures, failure(a, s.Now))
	}
	shown := slices.Clone(s.Accounts)
	slices.SortStableFunc(shown, func(a, b api.AccountStatus) int { return cmp.Compare(calm(a), calm(b)) })
	if len(shown) > maxAccounts {
		shown = shown[:maxAccounts]
		m.more = lang.L("… and {{.N}} more", count(int64(len(s.Accounts)-maxAccounts)))
	}
	for _, a := range shown {
		m.accounts = append(m.accounts, account{a.Address + " · " + stateText(a), a.Address})
	}
	return m
}

// failure is one that happened recently, in one line: when, whose and what. The provider's own words
// are in the activity.
func failure(a api.Activity, now time.Time) string {
	at, what := a.Time.In(now.Location()).Format("15:04"), speech.Capital(strings.TrimSuffix(speech.Say(a.Cause()), "."))
	if a.Times > 1 {
		what = lang.L("{{.What}} ({{.N}} times)", map[string]any{"What": what, "N": a.Times})
	}
	if a.Account == "" {
		return at + " · " + what
	}
	return at + " · " + a.Account + " · " + what
}

// more makes a sentence a menu line that opens a page.
func more(sentence string) string { return strings.TrimSuffix(sentence, ".") + "…" }

// calm is 0 for an account that needs somebody, so that it is sorted first.
func calm(a api.AccountStatus) int {
	if needsSomebody(a) {
		return 0
	}
	return 1
}

func needsSomebody(a api.AccountStatus) bool { return a.Severity() == api.NeedsSomebody }

// stateText is an account's state in a few words.
func stateText(a api.AccountStatus) string {
	if a.Messages > 0 && a.Severity() <= api.Busy {
		return lang.L("sending")
	}
	state, _, _ := a.Overall()
	return speech.Say(state.Label())
}

// statusLine is the overall state in one line.
func statusLine(s State) string {
	switch {
	case s.PortTaken != nil, s.State == api.Stopping:
		return lang.L("Not accepting mail")
	case s.State == api.Paused && !s.PausedUntil.IsZero():
		return lang.L("Paused until {{.Time}}", map[string]string{"Time": s.PausedUntil.Local().Format("15:04")})
	case s.State == api.Paused:
		return lang.L("Paused")
	case s.State == api.Starting:
		return lang.L("Starting…")
	case s.State == api.Draining:
		return lang.L("Stopping…")
	}
	return strings.Join([]string{
		plural("{{.N}} accounts", int64(len(s.Accounts))),
		plural("{{.N}} connections", s.Programs()),
		plural("{{.N}} messages", s.Messages),
	}, " · ")
}

func plural(text string, n int64) string { return lang.N(text, int(n), count(n)) }

func count(n int64) map[string]any { return map[string]any{"N": n} }
