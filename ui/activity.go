package ui

import (
	"context"
	"fmt"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// activity lists the recent messages, newest first, and shows the details of one.
type activity struct {
	w       *window
	frame   *fyne.Container
	rows    *rows
	search  *entry
	failed  *check
	empty   *text
	details *activityDetails

	all    []api.Activity // oldest first, as the engine gives them
	seen   []int          // those that match the search, newest first
	asking bool
	chosen uint64 // Seq of the one whose details are shown, 0 for none
	shown  bool
	notice *notice
}

// kept is how many messages are listed: as many as the engine keeps.
const kept = 1000

func newActivity(w *window) *activity {
	a := &activity{w: w, empty: newMuted(""), notice: newNotice(w)}
	a.search = w.kit.search(tr("Search"), func(string) { a.list() })
	a.failed = w.kit.check(tr("Problems only"), func(bool) { a.list() })
	head := newColumn(14, newTitle(tr("Activity")),
		newMuted(tr("Recent messages. Waxseal keeps no content and no recipient addresses.")),
		newLine(12, nil, a.search, a.failed), a.notice.Container, a.empty)
	a.rows = newRows(head, 1080, 58, 6, 0, func() fyne.CanvasObject { return newActivityRow(a) }, func(i int, o fyne.CanvasObject) {
		if i < len(a.seen) {
			entry := a.all[a.seen[i]]
			o.(*activityRow).set(entry, w.now(), entry.Seq == a.chosen)
		}
	})
	a.details = newActivityDetails(a)
	a.frame = newSide(a.rows.Container, a.details.root)
	return a
}

func (a *activity) root() fyne.CanvasObject { return a.frame }
func (a *activity) scroller() *scroll       { return &scroll{bar: a.rows.bar} }
func (a *activity) searchField() *entry     { return a.search }
func (a *activity) enter()                  { a.shown = true; a.load(a.w.view); a.list() }
func (a *activity) leave()                  { a.shown = false }
func (a *activity) draw(v view)             { a.load(v); a.rows.set(len(a.seen)) }

// escape closes the details, and reports whether they were open.
func (a *activity) escape() bool {
	open := a.chosen != 0
	a.choose(0)
	return open
}

// load asks for the messages since the last time, while the page is shown.
func (a *activity) load(v view) {
	newest := v.snapshot.LastActivity
	have := uint64(0)
	if len(a.all) > 0 {
		have = a.all[len(a.all)-1].Seq
	}
	if newest < have { // the engine has started again, and counts from 1
		a.all, a.seen, have = nil, nil, 0
		a.choose(0)
	}
	if a.asking || !a.shown || v.gone || newest == have {
		return
	}
	a.asking = true
	ask(a.w.work, a.w.work.ctx, func(ctx context.Context) ([]api.Activity, error) {
		return a.w.backend.Activity(ctx, have)
	}, func(more []api.Activity, err error) {
		a.asking = false
		a.notice.tell(a.w.explain(err))
		a.all = append(a.all, more...)
		if extra := len(a.all) - kept; extra > 0 {
			a.all = append([]api.Activity(nil), a.all[extra:]...)
		}
		a.list()
	})
}

// list shows the messages that match the search.
func (a *activity) list() {
	words := strings.Fields(strings.ToLower(a.search.Text))
	a.seen = a.seen[:0]
	for i := len(a.all) - 1; i >= 0; i-- {
		e := a.all[i]
		if a.failed.Checked && e.Result == api.Sent || !matches(e, words) {
			continue
		}
		a.seen = append(a.seen, i)
	}
	switch {
	case len(a.all) == 0:
		a.empty.set(tr("No messages since Waxseal started."))
	case len(a.seen) == 0:
		a.empty.set(tr("No matching messages."))
	}
	show(a.empty, len(a.seen) == 0)
	a.rows.set(len(a.seen))
	a.w.settle()
}

// matches reports whether a message's shown texts contain all words.
func matches(e api.Activity, words []string) bool {
	name, _ := result(e.Result)
	text := strings.ToLower(e.Account + " " + string(e.Result) + " " + name + " " + e.Reply + " " + e.Session)
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// choose shows a message's details; 0 closes them.
func (a *activity) choose(seq uint64) {
	a.chosen = seq
	show(a.details.root, false)
	for _, e := range a.all {
		if e.Seq == seq {
			a.details.set(e)
			show(a.details.root, true)
		}
	}
	a.rows.set(len(a.seen))
	a.w.settle()
}

// activityRow is one message in the list.
type activityRow struct {
	tile
	a                       *activity
	seq                     uint64
	words                   [5]string
	dot                     *sheet
	account, reply, at, how *text
}

func newActivityRow(a *activity) *activityRow {
	r := &activityRow{a: a, dot: newDot("placeholder")}
	r.account = newText("", kind{single: true})
	r.reply = newText("", kind{size: theme.SizeNameCaptionText, muted: lowImportance, single: true})
	r.at = newWord("", kind{size: theme.SizeNameCaptionText, muted: lowImportance})
	r.how = newWord("", kind{size: theme.SizeNameCaptionText, muted: lowImportance})
	r.at.Alignment, r.how.Alignment = fyne.TextAlignTrailing, fyne.TextAlignTrailing
	content := newLine(10, []fyne.CanvasObject{r.dot}, newColumn(3, r.account, r.reply), newColumn(5, r.at, r.how))
	a.w.kit.fill(&r.tile, padded(14, 8, content), "", func() { a.choose(r.seq) })
	r.tile.fill, r.tile.edge, r.tile.radius = colorCard, colorCardBorder, 10
	r.tile.onFocus = func() { a.w.reveal(r) }
	r.ExtendBaseWidget(r)
	return r
}

func (r *activityRow) set(e api.Activity, now time.Time, chosen bool) {
	r.seq = e.Seq
	word, m := result(e.Result)
	how := trn("{{.N}} recipients", int64(e.Recipients)) + " · " + size(e.Bytes) + " · " + took(e.Took)
	words := [5]string{word, clean(e.Account), clean(e.Reply), clock(e.Time, now), how}
	r.choose(chosen)
	if r.words == words {
		return
	}
	r.words = words
	r.label = words[1] + ", " + word + ", " + words[3]
	r.dot.color(m.ink(), colorNone)
	r.account.set(words[1])
	r.reply.set(word + " · " + words[2])
	r.at.set(words[3])
	r.how.set(how)
	setWidth(r.content, r.Size().Width)
	r.content.Resize(r.Size())
}

// activityDetails shows the details of one message, and what to do about a failure.
type activityDetails struct {
	a      *activity
	root   *fyne.Container
	scroll *scroll
	state  badge
	facts  *fyne.Container
	reply  *text
	cure   *notice
	entry  api.Activity
}

func newActivityDetails(a *activity) *activityDetails {
	d := &activityDetails{a: a, state: newBadge(), facts: newGrid(250, 6, 2), reply: newText("", kind{mono: true, size: theme.SizeNameCaptionText}), cure: newNotice(a.w)}
	closing := a.w.kit.icon(tr("Close"), theme.CancelIcon(), func() { a.choose(0) })
	copying := a.w.copyButton(tr("Copy details"), "", func() string { return activityText(d.entry) })
	d.scroll = newScroll(900, newColumn(14,
		newLine(8, []fyne.CanvasObject{d.state.Container}, newBody(""), closing),
		d.facts,
		newColumn(6, newCaption(tr("Reply to the mail program")), newStack(newSheet(colorTrack, colorNone, 8), padded(12, 10, d.reply))),
		d.cure.Container, newFlow(8, copying)))
	d.root = newStack(newSheet(colorCard, "separator", 0), d.scroll.Container)
	d.root.Hide()
	return d
}

func (d *activityDetails) set(e api.Activity) {
	d.entry = e
	word, m := result(e.Result)
	d.state.set(word, m)
	d.facts.Objects = nil
	for _, f := range [][2]string{
		{tr("Account"), clean(e.Account)},
		{tr("Time"), clock(e.Time, d.a.w.now())},
		{tr("Recipients"), number(int64(e.Recipients))},
		{tr("Size"), size(e.Bytes)},
		{tr("Duration"), took(e.Took)},
		{tr("Session ID"), clean(e.Session)},
	} {
		d.facts.Add(newBeside(96, newText(f[0], kind{muted: lowImportance}), newBody(f[1])))
	}
	d.reply.set(clean(e.Reply))
	d.cure.tell(meaning(e))
	d.scroll.bar.ScrollToTop()
}

// activityText is a message's details for a bug report.
func activityText(e api.Activity) string {
	text := fmt.Sprintf("time: %s\nsession: %s\naccount: %s\nrecipients: %d\nbytes: %d\ntook: %s\nresult: %s\nreply: %s\n",
		e.Time.Format(time.RFC3339), clean(e.Session), clean(e.Account), e.Recipients, e.Bytes, e.Took.Round(time.Millisecond), clean(string(e.Result)), clean(e.Reply))
	if e.Problem != nil {
		text += "cure: " + clean(e.Problem.Remedy()) + "\n"
	}
	return text
}

// meaning explains a reply, if it is a known one.
func meaning(e api.Activity) explained {
	if e.Problem == nil {
		return explained{}
	}
	return explained{words: say(e.Problem.What), cure: say(e.Problem.Cure)}
}
