package ui

import (
	"context"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// sendTest sends one message and shows each stage as it ends.
type sendTest struct {
	w       *window
	root    *fyne.Container
	to      *entry
	field   field
	send    *button
	end     *button
	checks  *checks
	verdict *text
	account string
	wanted  bool // the person asked for the test
	cancel  context.CancelFunc
}

func newSendTest(w *window) *sendTest {
	t := &sendTest{w: w, checks: newChecks(w), verdict: newText("", kind{bold: true})}
	t.to = w.kit.entry("", func(string) { t.field.refuse("") })
	t.to.OnSubmitted = func(string) { t.run() }
	t.field = newField(tr("To"), "", t.to)
	t.send = w.kit.button(tr("Send a test message"), theme.MailSendIcon(), func() { t.run() })
	t.end = w.kit.button(tr("Cancel"), nil, func() { t.stop() })
	t.root = newColumn(14, newHeading(tr("Send a test message")),
		newMuted(tr("Waxseal sends a small message to the provider, the same way as any other message but without a mail program.")),
		t.field.Container, newFlow(8, t.send, t.end), t.checks.root, t.verdict)
	return t
}

// begin prepares a test for an account. The message goes to its own mailbox by
// default.
func (t *sendTest) begin(account string) {
	t.stop()
	t.account, t.wanted = account, false
	t.to.SetText(account)
	t.checks.clear()
	t.verdict.Hide()
	t.end.Hide()
	t.send.enable(true)
}

func (t *sendTest) stop() {
	if t.cancel != nil {
		t.cancel()
		t.cancel = nil
		t.checks.wait("")
		t.end.Hide()
		t.send.enable(true)
		t.w.settle()
	}
}

func (t *sendTest) run() {
	to := strings.TrimSpace(t.to.Text)
	if !complete(to) {
		t.field.refuse(tr("Enter a full email address, like you@example.com."))
		t.w.settle()
		return
	}
	t.stop()
	var ctx context.Context
	ctx, t.cancel = context.WithCancel(t.w.work.ctx)
	t.checks.clear()
	t.checks.wait(tr("Sending…"))
	t.verdict.Hide()
	t.send.enable(false)
	t.end.Show()
	account := t.account
	t.w.work.start(ctx, func(ctx context.Context, screen func(func())) {
		err := t.w.backend.SendTest(ctx, account, to, func(ch api.Check) {
			screen(func() { t.checks.add(ch); t.w.settle() })
		})
		screen(func() { t.ended(err) })
	})
	t.w.settle()
}

func (t *sendTest) ended(err error) {
	t.stop()
	if err == nil {
		t.verdict.mark(good.importance())
		t.verdict.set(tr("The provider has accepted the message."))
	} else {
		t.verdict.mark(bad.importance())
		words := t.w.explain(err).words
		if n := len(t.checks.all); n > 0 && !t.checks.all[n-1].OK {
			words = tr("The message was not sent.")
		}
		t.verdict.set(words)
	}
	t.verdict.Show()
	t.w.bringUp(t.verdict)
}
