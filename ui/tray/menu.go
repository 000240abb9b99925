// Package tray is Waxseal's icon in the desktop's tray: its drawing, its menu
// and the notifications. All three are made of one [State] by pure functions.
//
// It stands on fyne.io/systray, the library under Fyne's own tray, and starts
// no window system: hidden, it costs nothing, and whatever happens to the
// window, which is a process of its own, does not happen to the tray.
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

// maxAccounts is how many accounts a menu shows before it names the rest only
// in number: a menu that fills the screen helps nobody.
const maxAccounts = 15

// State is all that icon, menu and notifications are made of.
type State struct {
	api.Snapshot
	WindowFailed bool      // the window could not be opened
	Now          time.Time // when all this is so
}

// menu is what stands in the menu. It is a value: the same State gives the same
// menu, and the icon is only drawn again when the menu differs.
type menu struct {
	icon     icon
	status   string // "3 accounts · 2 connections · 1 message"
	faults   []entry
	accounts []account
	more     string // "… and 12 more"
	paused   bool
}

// entry is a line that leads to a page of the window.
type entry struct {
	label string
	page  string
}

// account is one account's line. Its submenu is the same for each.
type account struct {
	label   string
	address string
}

// menuOf makes the menu of a State.
func menuOf(s State) menu {
	m := menu{icon: iconOf(s), status: statusLine(s), paused: s.State == api.Paused}
	if s.PortTaken != nil {
		m.faults = append(m.faults, entry{lang.L("A port is taken. Choose another…"), "settings"})
	}
	if p := s.Keystore.Problem; p != nil {
		m.faults = append(m.faults, entry{more(speech.Say(p.What)), "settings"})
	}
	if state, provider, troubled := s.Passing(); troubled {
		m.faults = append(m.faults, entry{more(speech.Say(state.Headline(provider))), "overview"})
	}
	if s.WindowFailed {
		m.faults = append(m.faults, entry{lang.L("The window could not be opened. Try again…"), "overview"})
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

// more is a sentence as a menu line that leads on to more about it.
func more(sentence string) string { return strings.TrimSuffix(sentence, ".") + "…" }

// calm is 0 for an account that needs somebody, which comes first.
func calm(a api.AccountStatus) int {
	if needsSomebody(a) {
		return 0
	}
	return 1
}

func needsSomebody(a api.AccountStatus) bool { return a.State.Severity() == api.NeedsSomebody }

// stateText is an account's state in a few words.
func stateText(a api.AccountStatus) string {
	if a.Messages > 0 && a.State.Severity() <= api.Busy {
		return lang.L("sending")
	}
	return speech.Say(a.State.Label())
}

// statusLine says what goes on, in one line.
func statusLine(s State) string {
	switch {
	case s.PortTaken != nil, s.State == api.Stopping:
		return lang.L("Not accepting mail")
	case s.State == api.Paused:
		return lang.L("Paused")
	case s.State == api.Starting:
		return lang.L("Starting…")
	}
	return strings.Join([]string{
		plural("{{.N}} accounts", int64(len(s.Accounts))),
		plural("{{.N}} connections", s.Connections),
		plural("{{.N}} messages", s.Messages),
	}, " · ")
}

func plural(text string, n int64) string { return lang.N(text, int(n), count(n)) }

func count(n int64) map[string]any { return map[string]any{"N": n} }
