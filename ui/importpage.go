package ui

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// importPage takes over the accounts of email-oauth2-proxy, or of an import file.
type importPage struct {
	w        *window
	scroll   *scroll
	choose   *button
	name     *text
	password *entry
	field    *fyne.Container
	start    *button
	notice   *notice
	outcome  *text
	moved    *text // where mail programs send to now
	list     *fyne.Container

	data   []byte // of the chosen file
	cancel context.CancelFunc
}

func newImport(w *window) *importPage {
	p := &importPage{w: w, notice: newNotice(w), name: newText("", kind{bold: true}), outcome: newText("", kind{bold: true}), moved: newBody(""), list: newColumn(12)}
	p.choose = w.kit.button(tr("Choose file…"), theme.FolderOpenIcon(), func() { w.openFile(p.read) })
	p.password = w.kit.secret("")
	p.password.OnSubmitted = func(string) { p.take() }
	p.field = newField(tr("Password of your mail programs"),
		tr("email-oauth2-proxy encrypts its sign-ins with it. Without it, you sign in to each account again."), p.password).Container
	p.start = w.kit.primary(tr("Import"), nil, func() { p.take() })
	p.scroll = newScroll(560, newColumn(16, w.kit.back(func() { w.show(Page{Name: "add"}) }),
		newTitle(tr("Import accounts")),
		newMuted(tr("Choose the file emailproxy.config of email-oauth2-proxy, or drop it on this window. Waxseal leaves the file as it is.")),
		newFlow(8, p.choose), p.name, p.field, newActions(p.start), p.notice.Container, p.outcome, p.moved, p.list))
	return p
}

func (p *importPage) root() fyne.CanvasObject { return p.scroll.Container }
func (p *importPage) scroller() *scroll       { return p.scroll }
func (p *importPage) draw(view)               {}

func (p *importPage) enter() {
	p.chosen("", nil)
	p.w.win.Canvas().Focus(p.choose)
}

func (p *importPage) leave() {
	if p.cancel != nil {
		p.cancel()
	}
	p.chosen("", nil)
}

// chosen shows the file, and nothing of an earlier import.
func (p *importPage) chosen(name string, data []byte) {
	p.data = data
	p.password.SetText("")
	p.name.set(clean(name))
	show(p.name, name != "")
	show(p.field, len(data) > 0)
	p.start.enable(len(data) > 0)
	p.notice.say("", "")
	p.tell(api.ImportReport{}, false)
	p.w.settle()
}

// drop takes the first of the files that were dropped.
func (p *importPage) drop(files []fyne.URI) { p.read(firstDropped(files)) }

// longestImport is as much of a file as is read, in bytes: thousands of accounts.
const longestImport = 8 << 20

func (p *importPage) read(name string, f io.ReadCloser, err error) {
	if err != nil {
		p.notice.tell(p.w.explain(err))
		return
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, longestImport+1))
	if err == nil && len(data) > longestImport {
		err = errors.New(tr("The file is too large."))
	}
	if err != nil {
		p.chosen("", nil)
		p.notice.tell(p.w.explain(err))
		return
	}
	p.chosen(name, data)
	p.w.win.Canvas().Focus(p.password)
}

// take imports the file. The password is tried on every account: most people have one.
func (p *importPage) take() {
	if p.start.Disabled() {
		return
	}
	p.start.enable(false)
	p.notice.say("", "")
	data, passwords := p.data, map[string]string{}
	if p.password.Text != "" {
		passwords[""] = p.password.Text
	}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(p.w.work.ctx)
	ask(p.w.work, ctx, func(ctx context.Context) (api.ImportReport, error) {
		return p.w.backend.ImportEmailProxy(ctx, data, passwords)
	}, func(r api.ImportReport, err error) {
		p.start.enable(true)
		p.notice.tell(p.w.explain(err))
		p.tell(r, err == nil)
		p.w.settle()
		p.w.reveal(p.outcome)
	})
}

// tell says what an import did, and what is left to do.
func (p *importPage) tell(r api.ImportReport, done bool) {
	p.list.Objects = nil
	for _, problem := range r.Problems {
		p.add(clean(problem.Address), explainProblem(&problem.Problem))
	}
	consent := map[string]bool{}
	for _, address := range r.Consent {
		consent[address] = true
	}
	for _, problem := range r.Left {
		if problem.Do == api.SignIn && consent[problem.Account] {
			continue // the account is listed below
		}
		p.add(clean(problem.Account), explainProblem(&problem))
	}
	for _, address := range r.Consent {
		e := explained{words: tr("This account must sign in.")}
		e.do = errandOf(api.SignIn, address)
		p.add(clean(address), e)
	}
	for _, problem := range r.Warnings {
		p.add(clean(problem.Account), explainProblem(&problem))
	}
	show(p.outcome, done)
	p.outcome.set(tr("{{.Imported}} imported, {{.Unchanged}} unchanged, {{.Failed}} failed",
		values{"Imported": number(int64(r.Imported)), "Unchanged": number(int64(r.Unchanged)), "Failed": number(int64(r.Failed))}))
	show(p.moved, done && len(r.Servers) > 0 && r.Imported > 0)
	if p.moved.Visible() {
		s := r.Servers[0]
		p.moved.set(tr("In your mail programs, change the outgoing server to {{.Server}}, port {{.Port}}. Accounts without a note below keep their password. End email-oauth2-proxy first: if two programs use the same sign-in, one of them loses it.",
			values{"Server": s.Host, "Port": strconv.Itoa(s.Port)}))
	}
	p.list.Refresh()
}

// add lists something that is left to do.
func (p *importPage) add(about string, e explained) {
	n := newNotice(p.w)
	if about != "" && !strings.Contains(e.words, about) {
		e.words = about + ": " + e.words
	}
	n.tell(e)
	p.list.Add(n.Container)
}
