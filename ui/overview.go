package ui

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// overview is the page that shows the current state.
type overview struct {
	w        *window
	rows     *rows
	dot      *sheet
	title    *text
	line     *text
	pause    *button
	add      *button
	gauges   *gauges
	breakers *breakers
	accounts *text
	search   *entry
	heading  *fyne.Container
	empty    *fyne.Container
	none     *text

	all  []api.AccountStatus
	seen []int // those that match the search, as indexes of all
	at   time.Time
}

func newOverview(w *window) *overview {
	o := &overview{w: w, gauges: newGauges(), breakers: newBreakers()}
	o.dot = newDot("placeholder")
	o.title = newText("", kind{size: theme.SizeNameHeadingText, bold: true, single: true})
	o.line = newMuted("")
	o.pause = w.kit.button(tr("Pause"), theme.MediaPauseIcon(), func() { w.setPaused(w.view.snapshot.State != api.Paused) })
	o.add = w.kit.primary(tr("Add account"), theme.ContentAddIcon(), func() { w.show(Page{Name: "add"}) })
	status := newColumn(3, newLine(10, []fyne.CanvasObject{centred(o.dot)}, o.title), o.line)

	o.accounts = newHeading(tr("Accounts"))
	o.search = w.kit.search(tr("Search"), func(string) { o.list() })
	o.heading = newLine(12, nil, o.accounts, wide(200, o.search))
	o.none = newMuted("")
	o.none.Hide()
	o.empty = o.invitation()
	head := newColumn(18,
		newSplit(status, newFlow(8, o.pause, o.add), func() float32 { return max(o.title.line()+20, o.line.line()) }),
		newColumn(10, o.gauges.root, o.gauges.reading), o.breakers.root, o.heading, o.none, o.empty)
	o.rows = newRows(head, 1080, 98, 10, 500, func() fyne.CanvasObject { return newAccountRow(w) },
		func(i int, row fyne.CanvasObject) {
			if i < len(o.seen) {
				row.(*accountRow).set(o.all[o.seen[i]], o.at)
			}
		})
	return o
}

// invitation is shown in place of the accounts while there are none.
func (o *overview) invitation() *fyne.Container {
	first := o.w.kit.primary(tr("Add your first account"), theme.ContentAddIcon(), func() { o.w.show(Page{Name: "add"}) })
	words := newText(tr("Sign in once in your browser. After that, any mail program can send and read mail through Waxseal with a password that Waxseal creates."),
		kind{centred: true, muted: lowImportance})
	content := newColumn(14, newSymbol(theme.MailSendIcon(), 40),
		newText(tr("Send and read mail with programs that only support passwords"), kind{size: theme.SizeNameSubHeadingText, bold: true, centred: true}),
		words, centred(first))
	return newStack(newSheet(colorCard, colorCardBorder, 12), padded(24, 32, content))
}

func (o *overview) root() fyne.CanvasObject { return o.rows.Container }
func (o *overview) enter()                  {}
func (o *overview) leave()                  {}
func (o *overview) scroller() *scroll       { return &scroll{bar: o.rows.bar} }
func (o *overview) searchField() *entry     { return o.search }

func (o *overview) draw(v view) {
	s := v.snapshot
	title, m := headline(v)
	o.title.set(title)
	o.dot.color(m.ink(), colorNone)
	o.line.set(counts(s))
	paused := s.State == api.Paused
	label, icon := tr("Pause"), theme.MediaPauseIcon()
	if paused {
		label, icon = tr("Resume"), theme.MediaPlayIcon()
	}
	if o.pause.Text != label {
		o.pause.Text = label
		o.pause.SetIcon(icon)
	}
	running := v.known && !v.gone
	o.pause.enable(running && (paused || s.State == api.Serving))
	o.add.enable(running)
	passed := o.w.now().Sub(v.arrived)
	o.gauges.draw(s, passed, o.w.now())
	o.breakers.draw(s.Breakers, passed)
	o.arrange(s.Accounts)
	some := len(o.all) > 0
	show(o.empty, v.known && !some)
	show(o.heading, some)
	show(o.pause, some || paused)
	show(o.add, some)
	show(o.search, len(o.all) > 6)
	o.list()
}

// arrange puts the accounts that need somebody first. While the pointer or the focus is
// on one, all stay where they are, so that nobody chooses another one than was seen.
func (o *overview) arrange(accounts []api.AccountStatus) {
	at := make(map[string]int, len(o.all))
	for i, a := range o.all {
		at[a.Address] = i
	}
	stay := o.rows.used() && len(accounts) == len(o.all) &&
		!slices.ContainsFunc(accounts, func(a api.AccountStatus) bool { _, there := at[a.Address]; return !there })
	o.all = slices.Clone(accounts)
	slices.SortStableFunc(o.all, func(a, b api.AccountStatus) int {
		if stay {
			return cmp.Compare(at[a.Address], at[b.Address])
		}
		return cmp.Compare(urgency(a), urgency(b))
	})
}

// urgency sorts accounts: first those that need somebody, then those that wait for
// something to pass.
func urgency(a api.AccountStatus) int {
	switch a.Severity() {
	case api.NeedsSomebody:
		return 0
	case api.Passing:
		return 1
	}
	return 2
}

// list shows the accounts that match the search.
func (o *overview) list() {
	o.at = o.w.now()
	words := strings.ToLower(strings.TrimSpace(o.search.Text))
	o.seen = o.seen[:0]
	for i, a := range o.all {
		if words == "" || strings.Contains(strings.ToLower(a.Address+" "+a.Name+" "+stateText(a)), words) {
			o.seen = append(o.seen, i)
		}
	}
	if len(o.all) > 6 {
		o.accounts.set(trn("{{.N}} accounts", int64(len(o.seen))))
	} else {
		o.accounts.set(tr("Accounts"))
	}
	none := words != "" && len(o.seen) == 0
	if none {
		o.none.set(tr("No matching accounts."))
	}
	show(o.none, none)
	o.rows.set(len(o.seen))
}

// stateText is the state of an account as a whole, for the search.
func stateText(a api.AccountStatus) string {
	word, _ := accountState(a)
	return word
}
