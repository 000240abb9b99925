package ui

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/ui/speech"
)

// activity lists the recent messages, sessions of programs that read, and failed logins, newest first,
// and shows the details of one.
type activity struct {
	w       *window
	frame   *fyne.Container
	rows    *rows
	search  *entry
	failed  *check
	kinds   *segments // which of activityKinds; only if some account reads
	save    *button
	empty   *text
	details *activityDetails

	all    []api.Activity // oldest first, as the engine gives them
	since  time.Time      // when the engine that gave them was started
	seen   []int          // those that match the search, newest first
	asking bool
	chosen uint64 // ID of the one whose details are shown, 0 for none
	shown  bool
	notice *notice
}

// kept is how many events are listed: as many as the engine keeps.
const kept = 1000

func newActivity(w *window) *activity {
	a := &activity{w: w, empty: newMuted(""), notice: newNotice(w)}
	a.search = w.kit.search(tr("Search"), func(string) { a.list() })
	a.failed = w.kit.check(tr("Problems only"), func(bool) { a.list() })
	a.kinds = newSegments(w.kit, []string{tr("Everything"), tr("Messages"), tr("Reading"), tr("Failed logins")}, func(int) { a.list() })
	a.kinds.root.Hide()
	a.save = w.kit.button(tr("Export…"), theme.DocumentSaveIcon(), func() { a.export() })
	a.save.say = tr("Export the list as CSV")
	head := newColumn(14, newTitle(tr("Activity")),
		newMuted(tr("Recent messages, reading and failed logins. Waxseal keeps no content and no recipient addresses.")),
		newLine(12, nil, a.search, a.failed, a.save), a.kinds.root, a.notice.Container, a.empty)
	a.rows = newRows(head, 1080, 58, 6, 0, func() fyne.CanvasObject { return newActivityRow(a) }, func(i int, o fyne.CanvasObject) {
		if i < len(a.seen) {
			entry := a.all[a.seen[i]]
			o.(*activityRow).set(entry, w.now(), entry.ID == a.chosen)
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

// fresh shows everything again: whoever comes from the menu or a notification looks for something
// new.
func (a *activity) fresh() {
	a.choose(0)
	a.kinds.mark(0)
	a.failed.SetChecked(false)
	a.search.SetText("")
	a.list()
}

// load asks for what happened since the last time, while the page is shown.
func (a *activity) load(v view) {
	newest := v.snapshot.LastActivity
	have := uint64(0)
	if len(a.all) > 0 {
		have = a.all[len(a.all)-1].Seq
	}
	if newest < have || have > 0 && !a.since.Equal(v.snapshot.Started) { // the engine has started again
		a.all, a.seen, have = nil, nil, 0
		a.choose(0)
	}
	a.since = v.snapshot.Started
	if a.asking || !a.shown || v.gone || newest == have {
		return
	}
	a.asking = true
	ask(a.w.work, a.w.work.ctx, func(ctx context.Context) ([]api.Activity, error) {
		return a.w.backend.Activity(ctx, have)
	}, func(more []api.Activity, err error) {
		a.asking = false
		a.notice.tell(a.w.explain(err))
		a.add(more)
		a.list()
	})
}

// add appends to the list. A failed login that was repeated moves to the end.
func (a *activity) add(more []api.Activity) {
	repeated := map[uint64]bool{}
	for _, e := range more {
		if e.Times > 1 {
			repeated[e.ID] = true
		}
	}
	if len(repeated) > 0 {
		a.all = slices.DeleteFunc(a.all, func(e api.Activity) bool { return repeated[e.ID] })
	}
	a.all = append(a.all, more...)
	if extra := len(a.all) - kept; extra > 0 {
		a.all = append([]api.Activity(nil), a.all[extra:]...)
	}
	if repeated[a.chosen] {
		a.choose(a.chosen)
	}
}

// export saves what is listed.
func (a *activity) export() {
	list := make([]api.Activity, 0, len(a.seen))
	for _, i := range a.seen {
		list = append(list, a.all[i])
	}
	data := bytes.NewBufferString("\ufeff") // or Excel does not read it as UTF-8
	if err := api.WriteCSV(data, list); err != nil {
		a.notice.tell(a.w.explain(err))
		return
	}
	a.w.saveFile("waxseal-activity.csv", data.Bytes(), func(err error) { a.notice.tell(a.w.explain(err)) })
}

// list shows the events that match the search.
func (a *activity) list() {
	words := strings.Fields(strings.ToLower(a.search.Text))
	a.seen = a.seen[:0]
	read := func(e api.Activity) bool { return e.Kind == api.Reading }
	show(a.kinds.root, a.w.view.snapshot.Reads() || slices.ContainsFunc(a.all, read))
	for i := len(a.all) - 1; i >= 0; i-- {
		e := a.all[i]
		if a.failed.Checked && fine(e) || !a.wanted(e) || !matches(e, words) {
			continue
		}
		a.seen = append(a.seen, i)
	}
	switch {
	case len(a.all) == 0:
		a.empty.set(tr("Nothing has happened yet."))
	case len(a.seen) == 0:
		a.empty.set(tr("Nothing matches."))
	}
	show(a.empty, len(a.seen) == 0)
	a.save.enable(len(a.seen) > 0)
	a.rows.set(len(a.seen))
	a.w.settle()
}

// wanted reports whether an event is of the chosen kind.
func (a *activity) wanted(e api.Activity) bool {
	if a.kinds.chosen == 0 || !a.kinds.root.Visible() {
		return true
	}
	return slices.Contains([][]api.Kind{{api.Message, api.Test}, {api.Reading}, {api.Login}}[a.kinds.chosen-1], e.Kind)
}

// fine reports whether an event is not a problem.
func fine(e api.Activity) bool {
	return e.Result == api.Sent || e.Kind == api.Reading && !e.Failed()
}

// matches reports whether an event's shown texts contain all words.
func matches(e api.Activity, words []string) bool {
	if len(words) == 0 {
		return true
	}
	text := strings.ToLower(strings.Join([]string{e.Account, string(e.Result), say(e.Label()), e.Reply, outcome(e), e.Client, e.Session, string(e.Spoke())}, " "))
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// choose shows the details of an event by its ID; 0 closes them.
func (a *activity) choose(id uint64) {
	a.chosen = id
	show(a.details.root, false)
	for _, e := range a.all {
		if id != 0 && e.ID == id {
			a.details.set(e)
			show(a.details.root, true)
		}
	}
	a.rows.set(len(a.seen))
	a.w.settle()
}

// activityRow is one event in the list.
type activityRow struct {
	tile
	a                       *activity
	id                      uint64
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
	a.w.kit.fill(&r.tile, padded(14, 8, content), "", func() { a.choose(r.id) })
	r.tile.fill, r.tile.edge, r.tile.radius = colorCard, colorCardBorder, 10
	r.tile.onFocus = func() { a.w.reveal(r) }
	r.ExtendBaseWidget(r)
	return r
}

func (r *activityRow) set(e api.Activity, now time.Time, chosen bool) {
	r.id = e.ID
	word, m := activityState(e)
	first := word
	if e.Kind == api.Login {
		first = tr("Login") // why it failed follows
	}
	if e.Kind == api.Reading {
		first = tr("Reading") // how it ended follows
	}
	if e.Spoke().Reads() {
		first += " (" + say(e.Protocol.Label()) + ")"
	}
	words := [5]string{first, activityAccount(e), outcome(e), clock(e.Time, now), extent(e)}
	r.choose(chosen)
	if r.words == words {
		return
	}
	r.words = words
	r.label = words[1] + ", " + word + ", " + words[3]
	r.dot.color(m.ink(), colorNone)
	r.account.set(words[1])
	r.reply.set(words[0] + " · " + words[2])
	r.at.set(words[3])
	r.how.set(words[4])
	setWidth(r.content, r.Size().Width)
	r.content.Resize(r.Size())
}

// activityDetails shows the details of one event, and what to do about a failure.
type activityDetails struct {
	a      *activity
	root   *fyne.Container
	scroll *scroll
	state  badge
	facts  *fyne.Container
	whose  *text // the reply's heading
	reply  *text
	told   *fyne.Container
	cure   *notice
	meant  *text // why a session ended
	entry  api.Activity
}

func newActivityDetails(a *activity) *activityDetails {
	d := &activityDetails{a: a, state: newBadge(), facts: newGrid(250, 6, 2), whose: newCaption(""), reply: newText("", kind{mono: true, size: theme.SizeNameCaptionText}), cure: newNotice(a.w), meant: newBody("")}
	closing := a.w.kit.icon(tr("Close"), theme.CancelIcon(), func() { a.choose(0) })
	copying := a.w.copyButton(tr("Copy details"), "", func() string { return activityText(d.entry) })
	d.told = newColumn(6, d.whose, newBox(d.reply))
	d.scroll = newScroll(900, newColumn(14,
		newLine(8, []fyne.CanvasObject{d.state.Container}, newBody(""), closing),
		d.facts, d.meant, d.told, d.cure.Container, newFlow(8, copying)))
	d.root = newStack(newSheet(colorCard, "separator", 0), d.scroll.Container)
	d.root.Hide()
	return d
}

func (d *activityDetails) set(e api.Activity) {
	d.entry = e
	word, m := activityState(e)
	d.state.set(word, m)
	d.facts.Objects = nil
	for _, f := range activityFacts(e, d.a.w.now()) {
		d.facts.Add(newBeside(96, newText(f[0], kind{muted: lowImportance}), newBody(f[1])))
	}
	d.whose.set(tr("Reply to the mail program"))
	switch e.Kind {
	case api.Test:
		d.whose.set(tr("The provider’s reply"))
	case api.Reading:
		d.whose.set(tr("The provider’s last words"))
	}
	d.meant.set("")
	if e.Kind == api.Reading {
		d.meant.set(say(e.Ended.Meaning()))
	}
	show(d.meant, d.meant.Text != "")
	d.reply.set(clean(e.Reply))
	show(d.told, e.Reply != "")
	d.cure.tell(meaning(e))
	d.scroll.bar.ScrollToTop()
}

// activityFacts are the names and values that the details list.
func activityFacts(e api.Activity, now time.Time) [][2]string {
	facts := [][2]string{{tr("Account"), activityAccount(e)}}
	if e.Spoke().Reads() {
		facts = append(facts, [2]string{tr("Protocol"), say(e.Protocol.Label())})
	}
	switch e.Kind {
	case api.Reading:
		facts = append(facts, [2]string{tr("Ended"), clock(e.Time, now)}, [2]string{tr("Duration"), took(e.Took)},
			[2]string{tr("Read"), size(e.Down)}, [2]string{tr("Uploaded"), size(e.Up)})
	case api.Login:
		facts = append(facts, [2]string{tr("Mail program"), clean(e.Client)})
		if e.Times > 1 {
			facts = append(facts, [2]string{tr("Attempts"), number(int64(e.Times))},
				[2]string{tr("First"), clock(e.Since, now)}, [2]string{tr("Last"), clock(e.Time, now)})
		} else {
			facts = append(facts, [2]string{tr("Time"), clock(e.Time, now)})
		}
	default:
		facts = append(facts, [2]string{tr("Time"), clock(e.Time, now)}, [2]string{tr("Recipients"), number(int64(e.Recipients))},
			[2]string{tr("Size"), size(e.Bytes)}, [2]string{tr("Duration"), took(e.Took)})
	}
	return append(facts, [2]string{tr("Session ID"), clean(e.Session)})
}

// activityText is an event's details for a bug report.
func activityText(e api.Activity) string {
	text := fmt.Sprintf("time: %s\nkind: %s\nsession: %s\naccount: %s\n", e.Time.Format(time.RFC3339), clean(string(e.Kind)), clean(e.Session), clean(e.Account))
	if e.Spoke().Reads() {
		text += fmt.Sprintf("protocol: %s\n", clean(string(e.Protocol)))
	}
	switch e.Kind {
	case api.Reading:
		text += fmt.Sprintf("ended by: %s\nbytes down: %d\nbytes up: %d\ntook: %s\nlast words: %s\n", clean(string(e.Ended)), e.Down, e.Up, e.Took.Round(time.Millisecond), clean(e.Reply))
		return text
	case api.Login:
		text += fmt.Sprintf("mail program: %s\nattempts: %d\n", clean(e.Client), max(e.Times, 1))
	default:
		text += fmt.Sprintf("recipients: %d\nbytes: %d\ntook: %s\n", e.Recipients, e.Bytes, e.Took.Round(time.Millisecond))
	}
	text += fmt.Sprintf("result: %s\nreply: %s\n", clean(string(e.Result)), clean(e.Reply))
	if e.Problem != nil {
		text += "problem: " + clean(e.Problem.Summary()) + "\ncure: " + clean(e.Problem.Remedy()) + "\n"
	}
	return text
}

// activityState says what happened, with its mood.
func activityState(e api.Activity) (string, mood) {
	if e.Kind == api.Reading {
		return say(e.Label()), endMood(e.Ended)
	}
	return say(e.Label()), resultMood(e.Result)
}

// endMood is the mood of how a session ended. All but one are as it should be.
func endMood(by api.EndedBy) mood {
	if by == api.ByNetwork {
		return care
	}
	return calm
}

// activityAccount is the account that an event is about.
func activityAccount(e api.Activity) string {
	if e.Account == "" {
		return tr("Unknown user name")
	}
	return clean(e.Account)
}

// outcome is why it ended like this, on one line: in Waxseal's words if these say more than the
// reply.
func outcome(e api.Activity) string {
	if e.Kind == api.Login || e.Kind == api.Reading {
		return speech.Capital(phrase(say(e.Cause())))
	}
	if e.Own && e.Problem != nil {
		return say(e.Problem.What)
	}
	return clean(e.Reply)
}

// extent is how much it was.
func extent(e api.Activity) string {
	if e.Kind == api.Reading {
		return joined(size(e.Down), took(e.Took))
	}
	if e.Kind != api.Login {
		return trn("{{.N}} recipients", int64(e.Recipients)) + " · " + size(e.Bytes) + " · " + took(e.Took)
	}
	if e.Times > 1 {
		return number(int64(e.Times)) + " × " + clean(e.Client)
	}
	return clean(e.Client)
}

// meaning explains what happened, if more is known than the reply says.
func meaning(e api.Activity) explained {
	if e.Problem == nil {
		return explained{}
	}
	return explained{words: say(e.Problem.What), cure: say(e.Problem.Cure), do: errandOf(e.Problem.Do, e.Problem.Account)}
}
