package ui

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// accountRow is an account's card on the overview.
type accountRow struct {
	tile
	w       *window
	address string
	words   accountWords
	name    *text
	state   badge
	when    *text
	today   *text
	consent *text
	trouble *text // takes the place of the others
	dot     *sheet
	calm    []fyne.CanvasObject
}

// accountWords are all the texts on a card, which is only redrawn when one of them
// changes.
type accountWords struct {
	address, state, when, today, consent, trouble string
	mood                                          mood
}

// mostTrouble is how many characters about a problem fit on a card. The account's own
// page shows all of it.
const mostTrouble = 150

func accountText(a api.AccountStatus, now time.Time) accountWords {
	state, m := accountState(a)
	w := accountWords{address: clean(a.Address), state: state, mood: m}
	w.when = joined(clean(a.Name), lastMessage(a, now))
	w.today = sentToday(a)
	w.consent = consentLeft(a, now)
	if a.Reads() && !consentEndsSoon(a, now) {
		w.consent = readingNow(a)
	}
	if !a.Sends() {
		w.when, w.today = joined(clean(a.Name), lastRead(a, now)), ""
	}
	if a.Severity() >= api.Passing {
		w.trouble = shorten(say(a.Trouble().What), mostTrouble)
	}
	return w
}

// consentEndsSoon reports whether there are only days left in which an account's consent is good.
func consentEndsSoon(a api.AccountStatus, now time.Time) bool {
	return !a.ConsentEnds.IsZero() && a.ConsentEnds.Sub(now) < 14*24*time.Hour
}

// consentLeft is how long an account's consent lasts or, if the provider does not say, when it was
// last used. The account's own page says both.
func consentLeft(a api.AccountStatus, now time.Time) string {
	left := a.ConsentEnds.Sub(now)
	switch {
	case a.ConsentUsed.IsZero() || a.ConsentEnds.IsZero():
		return consent(a, now)
	case left <= 0:
		return tr("access ended on {{.Date}}", values{"Date": date(a.ConsentEnds)})
	case left < 48*time.Hour:
		return trn("access ends in {{.N}} hours", int64(left.Hours()))
	}
	return trn("access ends in {{.N}} days", int64(left.Hours()/24))
}

func newAccountRow(w *window) *accountRow {
	r := &accountRow{w: w, state: newBadge(), dot: newDot("placeholder")}
	r.name = newText("", kind{bold: true, single: true})
	r.when = newText("", kind{single: true, muted: lowImportance})
	r.today = newWord("", kind{size: theme.SizeNameCaptionText, muted: lowImportance})
	r.consent = newText("", kind{size: theme.SizeNameCaptionText, single: true, muted: lowImportance})
	r.trouble = newText("", kind{size: theme.SizeNameCaptionText})
	var more *button
	more = w.kit.icon(tr("More"), theme.MoreVerticalIcon(), func() { w.menu(more, w.accountMenu(r.address)...) })
	first := newLine(8, []fyne.CanvasObject{centred(r.dot)}, r.name, r.state.Container)
	r.calm = []fyne.CanvasObject{r.when, newLine(10, nil, r.consent, r.today)}
	content := newLine(4, nil, newColumn(4, first, r.calm[0], r.calm[1], r.trouble), more)
	w.kit.fill(&r.tile, padded(14, 12, content), "", func() { w.show(Page{Name: "setup", Account: r.address}) })
	r.tile.fill, r.tile.edge, r.tile.radius = colorCard, colorCardBorder, 12
	r.tile.onFocus = func() { w.reveal(r) }
	r.ExtendBaseWidget(r)
	return r
}

func (r *accountRow) set(a api.AccountStatus, now time.Time) {
	r.address = a.Address
	words := accountText(a, now)
	if r.words == words {
		return
	}
	r.words = words
	r.label = words.address + ", " + words.state + only(words.trouble != "", ", "+words.trouble)
	r.name.set(words.address)
	r.state.set(words.state, words.mood)
	r.dot.color(words.mood.ink(), colorNone)
	r.when.set(words.when)
	r.today.set(words.today)
	r.consent.set(words.consent)
	r.trouble.set(words.trouble)
	r.trouble.mark(words.mood.importance())
	show(r.trouble, words.trouble != "")
	for _, o := range r.calm {
		show(o, words.trouble == "")
	}
	r.Refresh()
	setWidth(r.content, r.Size().Width) // the badge may need another width
	r.content.Resize(r.Size())
}
