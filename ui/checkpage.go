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
	report  *button
	saved   *text // where the report is
	checks  *checks
	verdict *text
	result  *fyne.Container
	cancel  context.CancelFunc
	checked map[string]bool // the accounts that are done
	saving  bool            // the report is saved once all is checked
}

// fewAccounts is how many there may be for every check to be listed.
const fewAccounts = 10

func newCheck(w *window) *checkPage {
	p := &checkPage{w: w, checks: newChecks(w), verdict: newText("", kind{bold: true}), saved: newText("", kind{copyable: true})}
	p.run = w.kit.primary(tr("Run diagnostics"), theme.ConfirmIcon(), func() { p.begin() })
	p.end = w.kit.button(tr("Cancel"), nil, func() { p.stop() })
	p.end.Hide()
	p.copy = w.copyButton(tr("Copy the result"), "", func() string { return p.checks.text() })
	p.report = w.kit.button(tr("Save a report"), theme.DocumentSaveIcon(), func() { p.save() })
	show(p.report, w.options.SaveReport != nil)
	p.result = newCard(newColumn(16, p.verdict, p.checks.waiting, p.checks.done, p.checks.passed)).Container
	p.result.Hide()
	p.copy.Hide()
	p.verdict.Hide()
	p.saved.Hide()
	p.scroll = newScroll(720, newColumn(16, newTitle(tr("Diagnostics")),
		newMuted(tr("Checks the keystore, the ports, the network and each account’s access, and tells you how to fix what doesn’t work.")+" "+
			tr("A report for a bug has this result, the versions and the end of the log. It contains your email addresses, but no passwords and no messages.")),
		newFlow(8, p.run, p.end, p.report, p.copy), p.saved, p.result))
	return p
}

func (p *checkPage) root() fyne.CanvasObject { return p.scroll.Container }
func (p *checkPage) scroller() *scroll       { return p.scroll }
func (p *checkPage) enter()                  { p.w.win.Canvas().Focus(p.run) }
func (p *checkPage) leave()                  { p.stop() }

func (p *checkPage) draw(v view) {
	p.run.enable(p.cancel == nil && !v.gone)
	p.report.enable(p.cancel == nil)
}

func (p *checkPage) stop() {
	p.saving = false
	if p.cancel == nil {
		return
	}
	p.cancel()
	p.cancel = nil
	p.checks.wait("")
	p.end.Hide()
	p.run.enable(true)
	p.report.enable(true)
	p.w.settle()
}

func (p *checkPage) begin() {
	p.stop()
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(p.w.work.ctx)
	p.checks.brief = len(p.w.view.snapshot.Accounts) > fewAccounts
	p.checked = map[string]bool{}
	p.checks.clear()
	p.progress()
	p.result.Show()
	p.verdict.Hide()
	p.saved.Hide()
	p.copy.Hide()
	p.end.Show()
	p.run.enable(false)
	p.report.enable(false)
	p.w.work.start(ctx, func(ctx context.Context, screen func(func())) {
		failed, err := p.w.backend.Doctor(ctx, func(ch api.Check) {
			screen(func() { p.add(ch) })
		})
		screen(func() { p.ended(failed, err) })
	})
	p.w.settle()
}

// add shows a check that has ended.
func (p *checkPage) add(ch api.Check) {
	p.checks.add(ch)
	for _, a := range p.w.view.snapshot.Accounts {
		if a.Address == ch.Subject {
			p.checked[a.Address] = true
		}
	}
	p.progress()
	p.w.settle()
}

// progress says how much is done.
func (p *checkPage) progress() {
	all := len(p.w.view.snapshot.Accounts)
	if all <= 1 || len(p.checked) == 0 {
		p.checks.wait(tr("Checking…"))
		return
	}
	p.checks.wait(tr("Checked {{.N}} of {{.All}} accounts…", values{"N": number(int64(len(p.checked))), "All": number(int64(all))}))
}

func (p *checkPage) ended(failed int, err error) {
	saving := p.saving
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
	p.w.bringUp(p.verdict)
	if saving {
		p.write(err)
	}
}

// save saves a report for a bug. It checks everything first, unless that was just done.
func (p *checkPage) save() {
	if p.verdict.Visible() {
		p.write(nil)
		return
	}
	p.begin()
	p.saving = true
}

// write writes the report. If the checks failed altogether, it says so in their place.
func (p *checkPage) write(failed error) {
	text := p.checks.text()
	if failed != nil {
		text += "the checks could not be made: " + clean(failed.Error()) + "\n"
	}
	var path string
	p.w.inBackground(func(ctx ctx) (err error) {
		path, err = p.w.options.SaveReport(ctx, text)
		return err
	}, func(err error) {
		p.saved.mark(good.importance())
		p.saved.set(tr("The report is {{.File}}.", values{"File": path}))
		if err != nil {
			p.saved.mark(bad.importance())
			p.saved.set(p.w.explain(err).text())
		}
		p.saved.Show()
		p.w.bringUp(p.saved)
	})
}
