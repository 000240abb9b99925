package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

const home = "https://github.com/waxseal/waxseal"

// about is the page about the program.
type about struct {
	scroll  *scroll
	version *text
	news    *text             // of a newer release
	get     fyne.CanvasObject // the button to its page
	page    string
	w       *window
}

func newAbout(w *window) *about {
	a := &about{w: w, version: newText("", kind{centred: true, muted: lowImportance})}
	link := func(label, url string) *button {
		return w.kit.button(label, nil, func() {
			if w.open(url) != nil {
				w.copy(url)
			}
		})
	}
	a.news = newText("", kind{centred: true, bold: true})
	a.get = centredFlow(newFlow(8, w.kit.button(tr("Get the new version"), nil, func() {
		if w.open(a.page) != nil {
			w.copy(a.page)
		}
	})))
	a.scroll = newScroll(520, newColumn(14, newSpace(12), newSeal(96),
		newText("Waxseal", kind{size: theme.SizeNameHeadingText, bold: true, centred: true}), a.version,
		a.news, a.get,
		newText(tr("Lets mail programs that only support passwords send and read at providers that require OAuth."), kind{centred: true}),
		centredFlow(newFlow(8, link(tr("Website"), home), link(tr("What’s new"), home+"/blob/main/CHANGELOG.md"), link(tr("Report a problem"), home+"/issues"),
			link(tr("Licence"), home+"/blob/main/LICENSE"))),
		newText(tr("Free software under the MIT licence. No telemetry."), kind{centred: true, muted: lowImportance}),
		newKeys()))
	return a
}

// newSpace is empty space of a height.
func newSpace(high float32) fyne.CanvasObject {
	s := newSheet(colorNone, colorNone, 0)
	s.least = fyne.NewSize(1, high)
	return s
}

// newKeys lists the shortcuts.
func newKeys() fyne.CanvasObject {
	list := newColumn(6, newText(tr("Keyboard"), kind{bold: true}))
	for _, k := range [][2]string{
		{"Ctrl+1 … Ctrl+4", tr("the pages")}, {"Ctrl+N", tr("add an account")}, {"Ctrl+F", tr("search")},
		{"PgUp PgDn Home End", tr("scroll")}, {"Esc", tr("back, cancel, close, clear a search")}, {"Ctrl+W", tr("close the window")}, {"Ctrl+Q", tr("quit Waxseal")},
	} {
		list.Add(newBeside(140, newText(k[0], kind{mono: true, size: theme.SizeNameCaptionText}), newMuted(k[1])))
	}
	return newCard(list).Container
}

func (a *about) root() fyne.CanvasObject { return a.scroll.Container }
func (a *about) scroller() *scroll       { return a.scroll }
func (a *about) enter()                  {}
func (a *about) leave()                  {}

func (a *about) draw(v view) {
	version := v.snapshot.Version
	if version == "" {
		version = a.w.options.Version
	}
	update := v.snapshot.Update
	show(a.news, update != nil)
	show(a.get, update != nil)
	if update != nil {
		a.page = update.Page
		a.news.set(tr("Version {{.Version}} is available", values{"Version": clean(update.Version)}))
	}
	a.version.set(only(version != "", tr("Version {{.Version}}", values{"Version": clean(version)})))
}
