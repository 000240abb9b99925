package ui

import (
	"context"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// checkPage is the page that runs diagnostics.
type checkPage struct {
	w       *window
	scroll  *scroll
	run     *button
	end     *button
	copy    *button
	checks  *checks
	verdict *text
	result  *fyne.Container
	cancel  context.CancelFunc
}

func newCheck(w *window) *checkPage {
	p := &checkPage{w: w, checks: newChecks(w), verdict: newText("", kind{bold: true})}
	p.run = w.kit.primary(tr("Run diagnostics"), theme.ConfirmIcon(), func() { p.begin() })
	p.end = w.kit.button(tr("Cancel"), nil, func() { p.stop() })
	p.end.Hide()
	p.copy = w.copyButton(tr("Copy the result"), "", func() string { return p.checks.text() })
	p.result = newCard(newColumn(16, p.checks.root, p.verdict)).Container
	p.result.Hide()
	p.copy.Hide()
	p.verdict.Hide()
	p.scroll = newScroll(720, newColumn(16, newTitle(tr("Diagnostics")),
		newMuted(tr("Checks the keystore, the ports, the network and each account’s access, and tells you how to fix what doesn’t work. The result contains no passwords; you can attach it to a bug report.")),
		newFlow(8, p.run, p.end, p.copy), p.result))
	return p
}

func (p *checkPage) root() fyne.CanvasObject { return p.scroll.Container }
func (p *checkPage) scroller() *scroll       { return p.scroll }
func (p *checkPage) enter()                  { p.w.win.Canvas().Focus(p.run) }
func (p *checkPage) leave()                  { p.stop() }
func (p *checkPage) draw(v view)             { p.run.enable(p.cancel == nil && !v.gone) }

func (p *checkPage) stop() {
	if p.cancel == nil {
		return
	}
	p.cancel()
	p.cancel = nil
	p.checks.wait("")
	p.end.Hide()
	p.run.enable(true)
	p.w.settle()
}

func (p *checkPage) begin() {
	p.stop()
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(p.w.work.ctx)
	p.checks.clear()
	p.checks.wait(tr("Checking…"))
	p.result.Show()
	p.verdict.Hide()
	p.copy.Hide()
	p.end.Show()
	p.run.enable(false)
	p.w.work.start(ctx, func(ctx context.Context, screen func(func())) {
		failed, err := p.w.backend.Doctor(ctx, func(ch api.Check) {
			screen(func() { p.checks.add(ch); p.w.settle() })
		})
		screen(func() { p.ended(failed, err) })
	})
	p.w.settle()
}

func (p *checkPage) ended(failed int, err error) {
	p.stop()
	switch {
	case err != nil:
		p.verdict.set(p.w.explain(err).text())
		p.verdict.mark(bad.importance())
	case failed > 0:
		p.verdict.set(trn("{{.N}} checks failed.", int64(failed)))
		p.verdict.mark(bad.importance())
	default:
		p.verdict.set(tr("Everything is fine."))
		p.verdict.mark(good.importance())
	}
	p.verdict.Show()
	p.copy.Show()
	p.w.settle()
}
