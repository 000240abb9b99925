//go:build cgo || !darwin

package tray

import (
	"sync"

	"fyne.io/fyne/v2/lang"
	"fyne.io/systray"
)

// line is an item of the real menu. All items are made once and are then shown, hidden
// and renamed: systray can only add items at the end, and can't remove the separators
// that it adds.
//
// Only visible items are changed. On Windows, renaming an item shows it, and hiding a
// hidden one is an error.
type line struct {
	item    *systray.MenuItem
	label   string
	visible bool
}

func (l *line) show(label string) {
	if l.label != label {
		l.label = label
		l.item.SetTitle(literal(label))
	}
	if !l.visible {
		l.visible = true
		l.item.Show()
	}
}

func (l *line) hide() {
	if l.visible {
		l.visible = false
		l.item.Hide()
	}
}

// showIf shows the line when there is something to say.
func (l *line) showIf(label string) {
	if label == "" {
		l.hide()
		return
	}
	l.show(label)
}

// maxFaults is how many kinds of fault menuOf knows.
const maxFaults = 4

// drawn is the real menu.
type drawn struct {
	last     menu
	begun    bool
	status   *line
	faults   []*line
	recent   *line // "Recent failures", with the next ones as its submenu
	failures []*line
	accounts []*line
	none     *line // "No accounts yet"
	more     *line
	unlock   *line
	retry    *line
	pause    *line
	hour     *line // "Pause for an hour"
	always   []always

	mu       sync.Mutex
	pages    [maxFaults]string   // where each fault's line leads
	address  [maxAccounts]string // whose each account's line is
	isPaused bool
}

// always is an item whose label only changes with the language.
type always struct {
	item  *systray.MenuItem
	label func() string
}

// build makes all items, and calls click with each item and what to do when it is
// clicked.
func build(click func(item *systray.MenuItem, do func(Actions))) *drawn {
	d := &drawn{}
	fixed := func(label string) *line {
		return &line{item: systray.AddMenuItem(literal(label), ""), label: label, visible: true}
	}
	named := func(item *systray.MenuItem, label func() string) *systray.MenuItem {
		d.always = append(d.always, always{item, label})
		return item
	}
	leading := func(page string, label func() string) {
		item := named(systray.AddMenuItem("", ""), label)
		click(item, func(a Actions) { a.Show(page, "") })
	}
	d.status = fixed("Waxseal")
	d.status.item.Disable()
	for i := range d.pages {
		l := fixed("")
		click(l.item, func(a Actions) { a.Show(d.pageOf(i), "") })
		d.faults = append(d.faults, l)
	}
	d.recent = fixed(lang.L("Recent failures"))
	for range maxFailures {
		l := &line{item: d.recent.item.AddSubMenuItem("", ""), visible: true}
		click(l.item, func(a Actions) { a.Show("activity", "") })
		d.failures = append(d.failures, l)
	}
	acting := func(do func(Actions)) *line {
		l := fixed("")
		click(l.item, do)
		return l
	}
	d.unlock = acting(func(a Actions) { a.Unlock() })
	d.retry = acting(func(a Actions) { a.Retry() })
	systray.AddSeparator()
	for i := range d.address {
		l := fixed("")
		sub := func(label func() string, do func(Actions, string)) {
			click(named(l.item.AddSubMenuItem("", ""), label), func(a Actions) { do(a, d.addressOf(i)) })
		}
		sub(func() string { return lang.L("Mail settings…") }, func(a Actions, who string) { a.Show("setup", who) })
		sub(func() string { return lang.L("Copy password") }, func(a Actions, who string) { a.Show("password", who) })
		sub(func() string { return lang.L("Send a test") }, func(a Actions, who string) { a.SendTest(who) })
		sub(func() string { return lang.L("Sign in again…") }, func(a Actions, who string) { a.Show("add", who) })
		d.accounts = append(d.accounts, l)
	}
	d.none = fixed("")
	d.none.item.Disable()
	d.more = fixed("")
	click(d.more.item, func(a Actions) { a.Show("overview", "") })
	systray.AddSeparator()
	leading("add", func() string { return lang.L("Add account…") })
	d.pause = acting(func(a Actions) { a.SetPaused(!d.pausedNow()) })
	d.hour = acting(func(a Actions) { a.PauseHour() })
	leading("", func() string { return lang.L("Open Waxseal") })
	systray.AddSeparator()
	click(named(systray.AddMenuItem("", ""), func() string { return lang.L("Quit") }), func(a Actions) { a.Quit() })
	return d
}

func (d *drawn) pageOf(i int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pages[i]
}

func (d *drawn) addressOf(i int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.address[i]
}

func (d *drawn) pausedNow() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.isPaused
}

// draw updates the real menu and icon to show m. It leaves alone what has not changed,
// so that nothing flickers and an open menu stays open.
func (d *drawn) draw(m menu) {
	d.mu.Lock()
	for i, f := range m.faults {
		d.pages[i] = f.page
	}
	for i, a := range m.accounts {
		d.address[i] = a.address
	}
	d.isPaused = m.paused
	d.mu.Unlock()

	if !d.begun || m.language != d.last.language {
		d.relabel()
	}
	d.status.show(m.status)
	for i, l := range d.faults {
		if i < len(m.faults) {
			l.show(m.faults[i].label)
		} else {
			l.hide()
		}
	}
	for i, l := range d.failures {
		if i < len(m.failures) {
			l.show(m.failures[i])
		} else {
			l.hide()
		}
	}
	if len(m.failures) > 0 {
		d.recent.show(lang.L("Recent failures"))
	} else {
		d.recent.hide()
	}
	for i, l := range d.accounts {
		if i < len(m.accounts) {
			l.show(m.accounts[i].label)
		} else {
			l.hide()
		}
	}
	words.RLock()
	none, pause, hour, retry := "", lang.L("Pause"), lang.L("Pause for an hour"), ""
	if len(m.accounts) == 0 {
		none = lang.L("No accounts yet")
	}
	if m.paused {
		pause, hour = lang.L("Resume"), ""
	}
	if m.retry {
		retry = lang.L("Try again now")
	}
	words.RUnlock()
	d.unlock.showIf(m.unlock)
	d.retry.showIf(retry)
	d.hour.showIf(hour)
	d.none.showIf(none)
	d.more.showIf(m.more)
	d.pause.show(pause)
	if !d.begun || m.status != d.last.status || m.icon != d.last.icon {
		m.drawIcon()
	}
	d.last, d.begun = m, true
}

// relabel names the items that are always there in the language of now.
func (d *drawn) relabel() {
	words.RLock()
	defer words.RUnlock()
	for _, a := range d.always {
		a.item.SetTitle(literal(a.label()))
	}
}

func (m menu) drawIcon() {
	regular, template := m.icon.drawing()
	systray.SetTemplateIcon(template, regular)
	systray.SetTooltip("Waxseal: " + m.status)
}
