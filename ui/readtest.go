package ui

import (
	"context"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// readTest logs in for reading and shows each stage as it ends.
type readTest struct {
	w       *window
	root    *fyne.Container
	imap    *button
	pop     *button
	end     *button
	checks  *checks
	verdict *text
	account string
	cancel  context.CancelFunc
}

func newReadTest(w *window) *readTest {
	t := &readTest{w: w, checks: newChecks(w), verdict: newText("", kind{bold: true})}
	t.imap = w.kit.button(tr("Check IMAP"), theme.ConfirmIcon(), func() { t.run(api.IMAP) })
	t.pop = w.kit.button(tr("Check POP"), theme.ConfirmIcon(), func() { t.run(api.POP) })
	t.end = w.kit.button(tr("Cancel"), nil, func() { t.stop() })
	t.root = newColumn(14, newHeading(tr("Check reading")),
		newMuted(tr("Waxseal logs in at the provider the same way as for a mail program. It reads and changes no message.")),
		newFlow(8, t.imap, t.pop, t.end), t.checks.root, t.verdict)
	return t
}

// begin prepares a test for an account.
func (t *readTest) begin(account string) {
	t.stop()
	t.account = account
	t.checks.clear()
	t.verdict.Hide()
	t.end.Hide()
}

// offer shows the buttons for what the account does.
func (t *readTest) offer(a api.AccountStatus) {
	show(t.imap, a.Uses(api.IMAP))
	show(t.pop, a.Uses(api.POP))
}

func (t *readTest) stop() {
	if t.cancel == nil {
		return
	}
	t.cancel()
	t.cancel = nil
	t.checks.wait("")
	t.end.Hide()
	t.imap.enable(true)
	t.pop.enable(true)
	t.w.settle()
}

func (t *readTest) run(p api.Protocol) {
	t.stop()
	var ctx context.Context
	ctx, t.cancel = context.WithCancel(t.w.work.ctx)
	t.checks.clear()
	t.checks.wait(tr("Logging in…"))
	t.verdict.Hide()
	t.imap.enable(false)
	t.pop.enable(false)
	t.end.Show()
	account := t.account
	t.w.work.start(ctx, func(ctx context.Context, screen func(func())) {
		err := t.w.backend.ReadTest(ctx, account, p, func(ch api.Check) {
			screen(func() { t.checks.add(ch); t.w.settle() })
		})
		screen(func() { t.ended(err) })
	})
	t.w.settle()
}

func (t *readTest) ended(err error) {
	t.stop()
	t.verdict.mark(good.importance())
	t.verdict.set(tr("Mail programs can read this account’s mail."))
	if err != nil {
		t.verdict.mark(bad.importance())
		words := t.w.explain(err).words
		if n := len(t.checks.all); n > 0 && !t.checks.all[n-1].OK {
			words = tr("Mail programs can’t read this account’s mail.")
		}
		t.verdict.set(words)
	}
	t.verdict.Show()
	t.w.bringUp(t.verdict)
}
