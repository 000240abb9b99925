package ui

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"github.com/waxseal/waxseal/proxy/api"
)

// checks is a list of finished checks, each with its result, its duration and, if it
// failed, what to do. The last line shows what is still running.
type checks struct {
	root    *fyne.Container
	done    *fyne.Container
	waiting *fyne.Container
	spinner *widget.Activity
	now     *text
	all     []api.Check
	brief   bool      // only failures are listed; those that passed are counted
	passed  *text     // how many
	acts    []*button // start what a check's cure says
	w       *window
}

func newChecks(w *window) *checks {
	c := &checks{w: w, done: newColumn(12), spinner: widget.NewActivity(), now: newMuted("")}
	c.waiting = newLine(10, []fyne.CanvasObject{container.New(exactly(20), c.spinner)}, c.now)
	c.waiting.Hide()
	c.passed = newMuted("")
	c.passed.Hide()
	c.root = newColumn(12, c.done, c.passed, c.waiting)
	return c
}

func (c *checks) clear() {
	c.all, c.acts, c.done.Objects = nil, nil, nil
	c.passed.Hide()
	c.done.Refresh()
	c.wait("")
}

// wait shows what is still running; "" is nothing.
func (c *checks) wait(what string) {
	c.now.set(what)
	if show(c.waiting, what != "") {
		if what != "" {
			c.spinner.Start()
		} else {
			c.spinner.Stop()
		}
	}
}

// add shows a check that has ended.
func (c *checks) add(ch api.Check) {
	c.all = append(c.all, ch)
	if !c.brief || !ch.OK {
		c.done.Add(c.line(ch))
		return
	}
	ok := 0
	for _, ch := range c.all {
		if ch.OK {
			ok++
		}
	}
	c.passed.set(trn("{{.N}} checks passed.", int64(ok)))
	c.passed.Show()
}

func (c *checks) line(ch api.Check) fyne.CanvasObject {
	icon := fyne.Resource(theme.NewSuccessThemedResource(theme.ConfirmIcon()))
	if !ch.OK {
		icon = theme.NewErrorThemedResource(theme.CancelIcon())
	}
	head := newLine(10, nil, newText(checkTitle(ch), kind{bold: true}),
		newWord(took(ch.Took), kind{size: theme.SizeNameCaptionText, muted: lowImportance}))
	result := checkResult(ch)
	lines := newColumn(2, head, newMuted(result.words))
	if result.cure != "" {
		cure := newText(tr("Fix: {{.Cure}}", values{"Cure": result.cure}), kind{})
		cure.mark(bad.importance())
		lines.Add(cure)
	}
	if result.copy != "" {
		lines.Add(copyLine(c.w, result.copy))
	}
	act := result.do
	if ch.Problem != nil && ch.Problem.Do == api.RunChecks && c.w.name == "check" {
		act = errand{} // they are running here
	}
	if act != (errand{}) {
		b := c.w.kit.button(act.label, nil, func() { c.w.do(act) })
		c.acts = append(c.acts, b)
		lines.Add(padded(0, 6, newFlow(8, b)))
	}
	return newBeside(20, newSymbol(icon, 20), lines)
}

// text is the list for a bug report, in English.
func (c *checks) text() string {
	var b strings.Builder
	for _, ch := range c.all {
		verdict := "ok  "
		if !ch.OK {
			verdict = "FAIL"
		}
		b.WriteString(verdict + "  " + clean(ch.Line()) + " (" + ch.Took.Round(1e6).String() + ")\n")
		if ch.Problem != nil {
			b.WriteString("      " + clean(ch.Problem.Remedy()) + "\n")
		}
	}
	return b.String()
}

// beside puts the first object, with a fixed width, to the left of the second, at its
// top.
type beside struct{ width, gap float32 }

func (l beside) MinSize(objects []fyne.CanvasObject) fyne.Size {
	m := objects[1].MinSize()
	return fyne.NewSize(m.Width+l.width+l.gap, max(m.Height, objects[0].MinSize().Height))
}

func (l beside) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	objects[0].Resize(fyne.NewSize(l.width, objects[0].MinSize().Height))
	objects[0].Move(fyne.NewPos(0, 0))
	setWidth(objects[1], size.Width-l.width-l.gap)
	objects[1].Move(fyne.NewPos(l.width+l.gap, 0))
}

// notice shows what went wrong and what to do, at the place where it happened.
type notice struct {
	*fyne.Container
	w           *window
	words, cure *text
	value       *fyne.Container // to copy for the cure
	act         *button         // starts the cure, if the window can
	acts        *fyne.Container
	errand      errand
}

func newNotice(w *window, actions ...fyne.CanvasObject) *notice {
	n := &notice{w: w, value: newColumn(0), words: newText("", kind{bold: true}), cure: newBody("")}
	n.words.mark(bad.importance())
	n.act = w.kit.button("", nil, func() { w.do(n.errand) })
	n.acts = newFlow(8, append(actions, n.act)...)
	lines := newColumn(6, n.words, n.cure, n.value, n.acts)
	n.Container = newStack(newSheet(colorBadTint, colorNone, 10), padded(14, 12, lines))
	n.Hide()
	return n
}

// say shows the notice; without words it hides the notice.
func (n *notice) say(words, cure string) {
	n.tell(explained{words: words, cure: cure})
}

// tell shows what went wrong, with a button for what the window can do about it. The
// zero value hides the notice.
func (n *notice) tell(e explained) {
	n.errand = e.do
	n.act.SetText(n.errand.label)
	show(n.act, n.errand != (errand{}))
	show(n.acts, len(n.acts.Objects) > 1 || n.act.Visible())
	n.words.set(e.words)
	n.cure.set(e.cure)
	show(n.cure, e.cure != "")
	n.value.Objects = nil
	if show(n.value, e.copy != ""); e.copy != "" {
		n.value.Add(copyLine(n.w, e.copy))
	}
	show(n.Container, e.words != "")
}

// unless hides the notice while another one says the same.
func (n *notice) unless(other *notice) {
	show(n.Container, n.words.Text != "" && (!other.Visible() || other.words.Text != n.words.Text))
}

func newBeside(width float32, left, right fyne.CanvasObject) *fyne.Container {
	return container.New(beside{width, 10}, left, right)
}
