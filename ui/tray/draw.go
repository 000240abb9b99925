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
	accounts []*line
	none     *line // "No accounts yet"
	more     *line
	pause    *line

	mu       sync.Mutex
	pages    [maxFaults]string   // where each fault's line leads
	address  [maxAccounts]string // whose each account's line is
	isPaused bool
}

// build makes all items, and calls click with each item and what to do when it is
// clicked.
func build(click func(item *systray.MenuItem, do func(Actions))) *drawn {
	d := &drawn{}
	fixed := func(label string) *line {
		return &line{item: systray.AddMenuItem(literal(label), ""), label: label, visible: true}
	}
	leading := func(label, page string) *line {
		l := fixed(label)
		click(l.item, func(a Actions) { a.Show(page, "") })
		return l
	}
	d.status = fixed("Waxseal")
	d.status.item.Disable()
	for i := range d.pages {
		l := fixed("")
		click(l.item, func(a Actions) { a.Show(d.pageOf(i), "") })
		d.faults = append(d.faults, l)
	}
	systray.AddSeparator()
	for i := range d.address {
		l := fixed("")
		sub := func(label string, do func(Actions, string)) {
			click(l.item.AddSubMenuItem(literal(label), ""), func(a Actions) { do(a, d.addressOf(i)) })
		}
		sub(lang.L("Mail settings…"), func(a Actions, who string) { a.Show("setup", who) })
		sub(lang.L("Send a test"), func(a Actions, who string) { a.SendTest(who) })
		sub(lang.L("Sign in again…"), func(a Actions, who string) { a.Show("add", who) })
		d.accounts = append(d.accounts, l)
	}
	d.none = fixed(lang.L("No accounts yet"))
	d.none.item.Disable()
	d.more = leading("", "overview")
	systray.AddSeparator()
	leading(lang.L("Add account…"), "add")
	d.pause = fixed(lang.L("Pause"))
	click(d.pause.item, func(a Actions) { a.SetPaused(!d.pausedNow()) })
	leading(lang.L("Open Waxseal"), "")
	systray.AddSeparator()
	quit := fixed(lang.L("Quit"))
	click(quit.item, func(a Actions) { a.Quit() })
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

	d.status.show(m.status)
	for i, l := range d.faults {
		if i < len(m.faults) {
			l.show(m.faults[i].label)
		} else {
			l.hide()
		}
	}
	for i, l := range d.accounts {
		if i < len(m.accounts) {
			l.show(m.accounts[i].label)
		} else {
			l.hide()
		}
	}
	if len(m.accounts) == 0 {
		d.none.show(lang.L("No accounts yet"))
	} else {
		d.none.hide()
	}
	d.more.showIf(m.more)
	if m.paused {
		d.pause.show(lang.L("Resume"))
	} else {
		d.pause.show(lang.L("Pause"))
	}
	if !d.begun || m.status != d.last.status || m.icon != d.last.icon {
		m.drawIcon()
	}
	d.last, d.begun = m, true
}

func (m menu) drawIcon() {
	regular, template := m.icon.drawing()
	systray.SetTemplateIcon(template, regular)
	systray.SetTooltip("Waxseal: " + m.status)
}
