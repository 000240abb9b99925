package ui

import (
	"context"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// pageErrors is what the provider's page may say instead of asking for consent, each with what to
// do. It opens with a button: the engine hears nothing of such an error.
type pageErrors struct {
	w     *window
	root  *fyne.Container
	open  *button
	list  *fyne.Container
	about func() api.Account
}

func newPageErrors(w *window, about func() api.Account) *pageErrors {
	e := &pageErrors{w: w, list: newColumn(14), about: about}
	e.open = w.kit.quiet(tr("What does the browser say?"), theme.HelpIcon(), func() { e.toggle() })
	e.root = newColumn(12, newLine(0, []fyne.CanvasObject{padded(-8, 0, e.open)}, newBody("")), e.list)
	e.close()
	return e
}

func (e *pageErrors) close() {
	e.list.Objects = nil
	e.list.Hide()
}

func (e *pageErrors) toggle() {
	if e.list.Visible() {
		e.close()
		e.w.settle()
		return
	}
	account := e.about()
	ask(e.w.work, e.w.work.ctx, func(ctx context.Context) (api.Preflight, error) { return e.w.backend.Preflight(ctx, account) },
		func(p api.Preflight, err error) {
			e.list.Objects = nil
			if err != nil {
				e.list.Add(newMuted(e.w.explain(err).text()))
			}
			for _, x := range p.PageErrors {
				e.list.Add(e.entry(x))
			}
			e.list.Show()
			e.w.settle()
		})
}

// entry is one error, with a button for the page where it is cured, and one for what to copy.
func (e *pageErrors) entry(x api.PageError) fyne.CanvasObject {
	lines := newColumn(2)
	if x.Code != "" {
		lines.Add(newText(clean(x.Code), kind{mono: true, bold: true}))
	}
	lines.Add(newMuted(say(x.Means)))
	lines.Add(newBody(say(x.Cure)))
	if x.Copy != "" {
		lines.Add(copyLine(e.w, x.Copy))
	}
	if x.Link != "" {
		lines.Add(padded(0, 4, newFlow(8, linkButton(e.w, x.Link))))
	}
	return lines
}

// copyLine is a value to enter somewhere else, with a button that copies it.
func copyLine(w *window, value string) fyne.CanvasObject {
	return newLine(4, nil, newText(clean(value), kind{mono: true}), w.copyButton("", tr("Copy"), func() string { return value }))
}

// linkButton opens a page of the provider's, or copies its address where no browser can be opened.
func linkButton(w *window, link string) *button {
	return w.kit.button(tr("Open the provider’s page"), nil, func() {
		if w.open(link) != nil {
			w.copy(link)
		}
	})
}
