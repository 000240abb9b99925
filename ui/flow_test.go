package ui

import (
	"context"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// begun is a stage on which adding an account has begun, from the click on.
func begun(t *testing.T, b *fake) (*stage, *add) {
	t.Helper()
	old := patience
	patience = 0
	t.Cleanup(func() { patience = old })
	s := newStage(t, b, staging{options: Options{OpenURL: func(url string) error { b.ask("open " + url); return nil }}})
	s.shows()
	test.Tap(s.w.pages["overview"].(*overview).add)
	return s, s.w.pages["add"].(*add)
}

const consentPage = "https://login.example/authorize"

// One typed field and two clicks lead from "Add account" to the settings.
func TestAddAccount(t *testing.T) {
	b := busyOffice()
	b.prompts = []api.Prompt{{URL: consentPage}, {Check: &api.Check{Name: api.CheckConsent, OK: true}}, {Check: &api.Check{Name: api.CheckLogin, OK: true}}}
	b.consent = func(context.Context) (bool, error) { return true, nil }
	s, a := begun(t, b)
	test.Type(s.w.win.Canvas().Focused(), "grace@corp.example") // nothing need be clicked for that
	s.until("the provider is known", func() bool { return a.who.found.Visible() })
	if a.who.name.Text != "Microsoft 365" {
		t.Errorf("recognised %q", a.who.name.Text)
	}
	test.Tap(a.who.next)
	s.until("the settings are shown", func() bool { return s.w.name == "setup" && s.w.pages["setup"].(*setup).all.Visible() })
	want := []string{"add grace@corp.example microsoft", "authorize grace@corp.example", "open " + consentPage, "settings of grace@corp.example", "certificate"}
	calls := slices.DeleteFunc(b.calls(), func(c string) bool { return strings.HasPrefix(c, "prospect") })
	if !slices.Equal(calls, want) {
		t.Errorf("asked %q, want %q", calls, want)
	}
	p := s.w.pages["setup"].(*setup)
	if !p.welcomed.Visible() || p.values["password"].value.Text == b.mail.Password {
		t.Errorf("greets %v, shows the password as %q", p.welcomed.Visible(), p.values["password"].value.Text)
	}
}

// A provider that nobody knows is described in the window, and then found by the address.
func TestAddProvider(t *testing.T) {
	b := busyOffice()
	s, a := begun(t, b)
	a.who.address.SetText("me@home.example")
	s.until("no provider is known", func() bool { return a.who.choose.Visible() })
	s.w.show(Page{Name: "provider"})
	p := s.w.pages["provider"].(*providerPage)
	if p.domains.entry.Text != "home.example" {
		t.Errorf("begins with the domain %q", p.domains.entry.Text)
	}
	test.Tap(p.save)
	if p.name.below.Text != "Enter a name." || s.w.win.Canvas().Focused() != p.name.entry {
		t.Errorf("says %q of a missing name", p.name.below.Text)
	}
	for l, text := range map[*line]string{p.name: "Home", p.signIn: "https://login.home.example/a", p.token: "https://login.home.example/t",
		p.scopes: "mail.send offline", p.server: "smtp.home.example:465", p.imap: "imap.home.example:993"} {
		l.entry.SetText(text)
	}
	p.ways.choose(1)
	test.Tap(p.save)
	s.until("the page to add an account is back", func() bool { return s.w.name == "add" })
	if !b.called("provider {Name:Home Domains:[home.example] AuthURL:https://login.home.example/a TokenURL:https://login.home.example/t Scopes:[mail.send offline] SMTP:smtp.home.example:465 TLS:true IMAP:imap.home.example:993 POP:}") {
		t.Errorf("asked %q", b.calls())
	}
	if a.who.address.Text != "me@home.example" || p.name.entry.Text != "" {
		t.Error("the address is gone, or the description stays")
	}
}

// The accounts of email-oauth2-proxy come over with the password that mail programs use, and those
// that it does not open have a button for their sign-in.
func TestImport(t *testing.T) {
	b := busyOffice()
	b.imported = someImported()
	s, _ := begun(t, b)
	s.w.show(Page{Name: "import"})
	p := s.w.pages["import"].(*importPage)
	if !p.start.Disabled() || p.field.Visible() {
		t.Error("it can begin without a file")
	}
	p.read("emailproxy.config", io.NopCloser(strings.NewReader("[a@b.example]")), nil)
	p.password.SetText("horse")
	p.password.OnSubmitted("")
	s.until("it is imported", func() bool { return p.outcome.Visible() })
	if !b.called("import [a@b.example] with horse") || len(p.list.Objects) != 2 || !p.moved.Visible() {
		t.Errorf("asked %q, says %d things", b.calls(), len(p.list.Objects))
	}
	p.leave()
	if p.data != nil || p.password.Text != "" || p.outcome.Visible() {
		t.Error("something of it stays")
	}
}

// Another user signs in for a shared mailbox.
func TestAddSharedMailbox(t *testing.T) {
	b := busyOffice()
	s, a := begun(t, b)
	if a.who.sharing.Visible() || a.who.signer.Visible() {
		t.Error("it asks who signs in before the provider is known")
	}
	a.who.address.SetText("office@corp.example")
	s.until("the provider is known", func() bool { return a.who.found.Visible() })
	test.Tap(a.who.shared)
	test.Type(s.w.win.Canvas().Focused(), "grace@")
	test.Tap(a.who.next)
	if a.wait.root.Visible() || a.who.signer.below.Text != "Enter a full email address, like you@example.com." {
		t.Errorf("says %q of half an address", a.who.signer.below.Text)
	}
	a.who.login.SetText("grace@corp.example")
	test.Tap(a.who.next)
	s.until("the account is added", func() bool { return b.called("add office@corp.example microsoft   grace@corp.example") })
}

// The provider is looked for when typing has rested, not at each key.
func TestTypingIsNotAskedAtEachKey(t *testing.T) {
	s, a := begun(t, base())
	a.who.address.SetText("grace@corp.exam")
	a.who.address.SetText("grace@corp.examp")
	a.who.address.SetText("grace@corp.example")
	s.until("the provider is known", func() bool { return a.who.found.Visible() })
	s.w.work.cancel()
	s.w.work.group.Wait()
	s.run()
	if !a.who.found.Visible() || a.who.name.Text != "Microsoft 365" {
		t.Errorf("an answer that came late took the place of the last one: %q", a.who.name.Text)
	}
}

func TestCancelWhileWaiting(t *testing.T) {
	for name, cancel := range map[string]func(*stage, *add){
		"button": func(_ *stage, a *add) { test.Tap(a.wait.cancel) },
		"escape": func(s *stage, _ *add) { s.key(fyne.KeyEscape) },
	} {
		t.Run(name, func(t *testing.T) {
			b := busyOffice()
			b.prompts = []api.Prompt{{URL: consentPage}}
			s, a := begun(t, b)
			typeAddress(s, "grace@corp.example").submit()
			s.until("it waits", func() bool { return a.wait.link.Visible() })
			cancel(s, a)
			s.until("the engine was told", func() bool {
				return b.called("cancel grace@corp.example")
			})
			if !a.who.root.Visible() || a.who.address.Text != "grace@corp.example" || a.wait.root.Visible() {
				t.Error("the address is not there to be tried again")
			}
		})
	}
}

// Another page, and the end of the window, ended a sign-in that was in progress.
func TestLeavingDoesNotCancel(t *testing.T) {
	b := busyOffice()
	b.prompts = []api.Prompt{{URL: consentPage}}
	s, a := begun(t, b)
	typeAddress(s, "grace@corp.example").submit()
	s.until("it waits", func() bool { return a.wait.link.Visible() })
	if s.w.win.Canvas().Focused() != nil {
		t.Error("a key may do something while it waits")
	}
	s.w.show(Page{Name: "activity"})
	s.w.show(Page{Name: "add"})
	if !a.wait.root.Visible() || !a.wait.link.Visible() || count(b.calls(), "authorize grace@corp.example") != 1 {
		t.Errorf("the sign-in is not shown any more, or began anew: %q", b.calls())
	}
	s.w.show(Page{Name: "activity"})
	s.w.bring(Page{Name: "signed-in", Account: "grace@corp.example"})
	if s.w.name != "add" || !a.wait.root.Visible() {
		t.Errorf("after the approval it shows %s", s.w.name)
	}
	s.w.stop()
	if b.called("cancel grace@corp.example") || !b.called("left grace@corp.example") {
		t.Errorf("asked %q", b.calls())
	}
}

// A window that is opened by an approval shows what to enter in the mail program.
func TestWindowOpensAfterTheApproval(t *testing.T) {
	s := newStage(t, busyOffice(), staging{options: Options{Page: Page{Name: "signed-in", Account: "ada@corp.example"}}})
	if p := s.w.pages["setup"].(*setup); s.w.name != "setup" || p.account != "ada@corp.example" {
		t.Errorf("it shows %s of %s", s.w.name, p.account)
	}
}

// A window that joins a sign-in does not open the browser once more.
func TestJoiningOpensNoBrowser(t *testing.T) {
	b := busyOffice()
	b.prompts = []api.Prompt{{Joined: true}, {URL: consentPage}}
	s, a := begun(t, b)
	s.w.show(Page{Name: "add", Account: "ada@corp.example"})
	s.until("it waits", func() bool { return a.wait.link.Visible() })
	if b.called("open " + consentPage) {
		t.Error("it opens the browser")
	}
	test.Tap(a.wait.link.Objects[0].(*button))
	if !b.called("open " + consentPage) {
		t.Error("the button does not")
	}
}

// What was typed was lost when somebody looked at another page.
func TestTypedStays(t *testing.T) {
	b := base()
	b.prospects[0].NoClientID = true
	b.consent = func(context.Context) (bool, error) { return true, nil }
	s, _ := begun(t, b)
	who := typeAddress(s, "me@gmail.com")
	test.Type(who.register.id, "the-id")
	test.Type(who.register.secret, "the-secret")
	s.w.show(Page{Name: "activity"})
	s.w.show(Page{Name: "add"})
	s.until("it is looked at again", func() bool { return count(b.calls(), "prospect me@gmail.com") == 2 })
	s.run()
	if who.address.Text != "me@gmail.com" || who.register.id.Text != "the-id" || who.register.secret.Text != "the-secret" || who.next.Disabled() {
		t.Errorf("left are %q, %q, %q", who.address.Text, who.register.id.Text, who.register.secret.Text)
	}
	who.submit()
	s.until("it is added", func() bool { return s.w.name == "setup" })
	if who.address.Text+who.register.id.Text+who.register.secret.Text != "" || s.w.pages["add"].(*add).wait.to.ClientSecret != "" {
		t.Error("afterwards something stays")
	}
}

// Signing in again is cancelled with the same button.
func TestCancelSignInAgain(t *testing.T) {
	b := busyOffice()
	b.prompts = []api.Prompt{{URL: consentPage}}
	s, a := begun(t, b)
	s.w.show(Page{Name: "add", Account: "ada@corp.example"})
	s.until("it waits", func() bool { return a.wait.link.Visible() })
	test.Tap(a.wait.cancel)
	s.until("the engine was told", func() bool { return b.called("cancel ada@corp.example") })
	if s.w.name != "overview" || b.called("add ada@corp.example") {
		t.Errorf("it shows %s, asked %q", s.w.name, b.calls())
	}
}

func TestAddFails(t *testing.T) {
	b := busyOffice()
	b.prompts = []api.Prompt{{URL: consentPage}}
	declined := problem(api.NeedsConsent, "grace@corp.example", "5.7.8", engines(oauth.DeniedByUser.What()), "access_denied", engines(oauth.DeniedByUser.Cure()))
	var tries int
	b.consent = func(context.Context) (bool, error) {
		if tries++; tries == 1 {
			return false, declined
		}
		return true, nil
	}
	s, a := begun(t, b)
	typeAddress(s, "grace@corp.example").submit()
	s.until("it says why", func() bool { return a.wait.notice.Visible() })
	if got := a.wait.notice.words.Text + "|" + a.wait.notice.cure.Text; got != "The sign-in was declined. The other side said: “access_denied”|Sign in again." {
		t.Errorf("says %q", got)
	}
	test.Tap(a.wait.retry)
	s.until("the second try leads to the settings", func() bool { return s.w.name == "setup" })
	if n := count(b.calls(), "add grace@corp.example microsoft"); n != 2 {
		t.Errorf("added %d times, want 2", n)
	}
}

func count(list []string, s string) (n int) {
	for _, l := range list {
		if l == s {
			n++
		}
	}
	return n
}

// A browser that does not open leaves the link.
func TestNoBrowser(t *testing.T) {
	b := busyOffice()
	b.prompts = []api.Prompt{{URL: consentPage}}
	s, a := begun(t, b)
	s.w.options.OpenURL = nil
	typeAddress(s, "grace@corp.example").submit()
	s.until("it says so", func() bool { return a.wait.notice.Visible() })
	test.Tap(a.wait.link.Objects[1].(*button))
	if got := s.app.Clipboard().Content(); got != consentPage {
		t.Errorf("copied %q", got)
	}
}

func TestUnknownProviderIsChosen(t *testing.T) {
	b := base()
	b.prompts = []api.Prompt{{URL: consentPage}}
	s, a := begun(t, b)
	who := typeAddress(s, "me@home.example")
	if !who.next.Disabled() {
		t.Error("one can go on without a provider")
	}
	who.choice.SetSelected("Google")
	s.until("one can go on", func() bool { return !who.next.Disabled() })
	who.submit()
	s.until("it is asked for consent", func() bool { return b.called("authorize me@home.example") })
	if !b.called("add me@home.example google") {
		t.Errorf("asked %q", b.calls())
	}
	_ = a
}

func TestProviderWithoutOAuth(t *testing.T) {
	s, _ := begun(t, base())
	who := typeAddress(s, "me@icloud.com")
	if !who.next.Disabled() || !strings.Contains(who.instead.cure.Text, "app-specific password") {
		t.Errorf("lets go on: %t; says %q", !who.next.Disabled(), who.instead.cure.Text)
	}
}

func TestRegistration(t *testing.T) {
	b := base()
	b.prospects[0].NoClientID = true
	s, _ := begun(t, b)
	who := typeAddress(s, "me@gmail.com")
	if !who.register.root.Visible() || !who.next.Disabled() {
		t.Fatal("it does not ask for a client ID")
	}
	if len(who.register.how.Objects) != len(google().Registration.Steps) {
		t.Errorf("%d steps", len(who.register.how.Objects))
	}
	test.Type(who.register.id, "the-id")
	if !who.next.Disabled() {
		t.Error("one can go on without the secret, which Google wants")
	}
	test.Type(who.register.secret, "the-secret")
	who.submit()
	s.until("it is added", func() bool { return b.called("add me@gmail.com google the-id the-secret") })
}

func TestPauseAndResume(t *testing.T) {
	b := busyOffice()
	s := newStage(t, b, staging{})
	s.shows()
	test.Tap(s.w.pages["overview"].(*overview).pause)
	s.until("it is paused", func() bool { return b.called("pause") })
	b.snapshot.State = api.Paused
	s.shows()
	if !s.w.frame.banners.paused.Visible() {
		t.Error("no banner says that it is paused")
	}
	test.Tap(s.w.frame.banners.paused.act)
	s.until("it goes on", func() bool { return b.called("resume") })
}

func TestRemoveAsksFirst(t *testing.T) {
	b := busyOffice()
	s := newStage(t, b, staging{})
	s.shows()
	s.w.askRemove("ada@corp.example")
	s.key(fyne.KeyEscape)
	if s.w.win.Canvas().Overlays().Top() != nil {
		t.Fatal("Escape leaves the question")
	}
	s.w.askRemove("ada@corp.example")
	s.key(fyne.KeyReturn) // "Cancel" has the keyboard
	s.w.askRemove("ada@corp.example")
	s.w.win.Canvas().FocusNext()
	s.key(fyne.KeyReturn)
	s.until("it is removed", func() bool { return b.called("remove ada@corp.example") })
	if n := count(b.calls(), "remove ada@corp.example"); n != 1 {
		t.Errorf("removed %d times", n)
	}
}

func TestSearchAccounts(t *testing.T) {
	s := newStage(t, many(1000), staging{})
	s.shows()
	o := s.w.pages["overview"].(*overview)
	if n := len(o.rows.shown); n > 12 {
		t.Errorf("%d rows exist for those in sight", n)
	}
	o.search.SetText("user0777")
	row, ok := o.rows.shown[0].(*accountRow)
	if len(o.seen) != 1 || !ok || row.name.Text != "user0777@corp.example" {
		t.Errorf("found %d", len(o.seen))
	}
	o.search.SetText("nobody")
	if !o.none.Visible() || len(o.rows.body.Objects) != 0 {
		t.Error("what is not there is shown")
	}
}

// With the keyboard one comes to an account far down the list, and it scrolls
// into sight.
func TestKeyboardReachesEveryAccount(t *testing.T) {
	b := many(60)
	s := newStage(t, b, staging{})
	s.shows()
	c := s.w.win.Canvas()
	for range 400 {
		c.FocusNext()
		if row, ok := c.Focused().(*accountRow); ok && row.address == "user0059@corp.example" {
			s.key(fyne.KeyReturn)
			if s.w.name != "setup" || s.w.pages["setup"].(*setup).account != row.address {
				t.Errorf("Enter leads to %s", s.w.name)
			}
			return
		}
	}
	t.Error("400 Tabs do not reach the last of 60 accounts")
}

func TestSearchActivity(t *testing.T) {
	b := busyOffice()
	s := newStage(t, b, staging{})
	s.shows()
	s.w.show(Page{Name: "activity"})
	a := listed(s)
	a.search.SetText("ada 550")
	if len(a.seen) != 1 || a.all[a.seen[0]].Seq != 3 {
		t.Errorf("found %v", a.seen)
	}
	a.search.SetText("")
	a.failed.SetChecked(true)
	if len(a.seen) != 5 {
		t.Errorf("%d problems, want 5", len(a.seen))
	}
	a.choose(3)
	if a.details.cure.words.Text+"|"+a.details.cure.cure.Text != "There is no such recipient.|Check the address." {
		t.Errorf("says %q", a.details.cure.cure.Text)
	}
	s.key(fyne.KeyEscape)
	if a.chosen != 0 || s.w.name != "activity" {
		t.Error("Escape does not close the details alone")
	}
	// The next ones are asked for alone, and a new start of the engine begins anew.
	b.activity = append(b.activity, api.Activity{ID: 10, Seq: 10, Account: "x@y.example", Result: api.Sent})
	b.snapshot.LastActivity = 10
	s.shows()
	a.failed.SetChecked(false)
	s.until("the new one is there", func() bool { return len(a.all) == 10 })
	// A repeated login takes the place of what was listed, and its details follow.
	a.choose(9)
	again := b.activity[8]
	again.Seq, again.Times = 11, 15
	b.activity, b.snapshot.LastActivity = append(b.activity, again), 11
	s.shows()
	s.until("it is counted", func() bool { return a.all[len(a.all)-1].Times == 15 })
	if len(a.all) != 10 || a.details.entry.Times != 15 {
		t.Errorf("%d are listed, the details are of %+v", len(a.all), a.details.entry)
	}
	b.activity, b.snapshot.LastActivity = b.activity[:1], 1
	s.shows()
	s.until("the list has begun anew", func() bool { return len(a.all) == 1 })
}

// A search of an hour ago hid what a notification was about.
func TestPageFromOutsideHasNoOldSearch(t *testing.T) {
	pages := make(chan Page, 1)
	s := newStage(t, busyOffice(), staging{options: Options{Pages: func(ctx context.Context) iter.Seq2[Page, error] {
		return func(yield func(Page, error) bool) {
			for {
				select {
				case p := <-pages:
					if !yield(p, nil) {
						return
					}
				case <-ctx.Done():
					return
				}
			}
		}
	}}})
	s.shows()
	s.w.show(Page{Name: "activity"})
	a := listed(s)
	a.search.SetText("nothing has this")
	a.failed.SetChecked(true)
	a.choose(2)
	s.w.show(Page{Name: "overview"})
	s.w.show(Page{Name: "activity"})
	if a.search.Text == "" || len(a.seen) > 0 {
		t.Error("who comes back finds another search")
	}
	s.w.pages["overview"].(*overview).search.SetText("nobody")
	s.w.start()
	pages <- Page{Name: "activity"}
	s.until("all is listed", func() bool { return a.search.Text == "" && !a.failed.Checked && a.chosen == 0 && len(a.seen) == 9 })
	pages <- Page{Name: "overview"}
	s.until("the overview is shown", func() bool { return s.w.name == "overview" && s.w.pages["overview"].(*overview).search.Text == "" })
}

// What is listed can be saved, and Excel reads it as UTF-8.
func TestExportActivity(t *testing.T) {
	s := newStage(t, busyOffice(), staging{})
	s.shows()
	s.w.show(Page{Name: "activity"})
	a := listed(s)
	a.search.SetText("scanner")
	a.export()
	if len(s.w.win.Canvas().Overlays().List()) != 1 {
		t.Error("nothing asks where to save it")
	}
	a.search.SetText("nothing has this")
	if !a.save.Disabled() {
		t.Error("an empty list can be saved")
	}
}

// The password is gone from the widgets when another page is shown.
func TestPasswordDoesNotStay(t *testing.T) {
	s := (story{page: Page{Name: "setup", Account: "ada@corp.example"}, backend: busyOffice}).stage(t, staging{})
	p := s.w.pages["setup"].(*setup)
	p.values["password"].reveal(true)
	if p.values["password"].value.Text != s.b.mail.Password {
		t.Errorf("shows %q", p.values["password"].value.Text)
	}
	s.w.show(Page{})
	if p.values["password"].is != "" || p.values["password"].value.Text != "" || p.settings.Password != "" {
		t.Error("the password is still there")
	}
}

func TestShortcuts(t *testing.T) {
	b := busyOffice()
	s := newStage(t, b, staging{})
	s.shows()
	press := func(key fyne.KeyName) {
		shortcut := &desktop.CustomShortcut{KeyName: key, Modifier: fyne.KeyModifierShortcutDefault}
		if f, ok := s.w.win.Canvas().Focused().(fyne.Shortcutable); ok {
			f.TypedShortcut(shortcut)
			return
		}
		s.w.shortcut(shortcut) // the tests' canvas keeps none
	}
	for _, k := range []struct {
		key  fyne.KeyName
		page string
	}{{fyne.Key2, "activity"}, {fyne.Key3, "settings"}, {fyne.Key4, "check"}, {fyne.KeyN, "add"}, {fyne.Key1, "overview"}} {
		if press(k.key); s.w.name != k.page {
			t.Errorf("Ctrl+%s leads to %s, want %s", k.key, s.w.name, k.page)
		}
	}
	press(fyne.KeyQ)
	s.w.win.Canvas().FocusNext()
	s.key(fyne.KeyReturn)
	s.until("it ends", func() bool { return b.called("quit") })
}

// A secret that was typed for another provider is not handed to one that gives
// none.
func TestSecretStaysWithItsProvider(t *testing.T) {
	b := base()
	b.prospects[0].NoClientID, b.prospects[1].NoClientID = true, true
	s, _ := begun(t, b)
	who := typeAddress(s, "me@gmail.com")
	test.Type(who.register.id, "the-id")
	test.Type(who.register.secret, "the-secret")
	who.address.SetText("me@corp.example")
	s.until("the other provider is known", func() bool { return who.prospect.Provider == "microsoft" })
	if who.register.secretField.Visible() {
		t.Error("a secret is asked for that there is none of")
	}
	who.submit()
	s.until("it is added", func() bool { return b.called("add me@corp.example microsoft the-id") })
}

// The tray's menu copies a password through the window, which has the clipboard.
func TestCopyPassword(t *testing.T) {
	s := newStage(t, busyOffice(), staging{})
	s.shows()
	s.w.show(Page{Name: "password", Account: "ada@corp.example"})
	p := s.w.pages["setup"].(*setup)
	s.until("it says so", func() bool { return p.welcomed.Visible() })
	if got := s.app.Clipboard().Content(); got != s.b.mail.Password || s.w.name != "setup" || p.values["password"].value.Text == got {
		t.Errorf("copied %q, on page %s", got, s.w.name)
	}
	s.app.Clipboard().SetContent("something else")
	s.w.show(Page{Name: "setup", Account: "ada@corp.example"})
	s.until("the settings are there", func() bool { return !p.loading.Visible() })
	if got := s.app.Clipboard().Content(); got != "something else" {
		t.Error("the next look at the settings copies the password again")
	}
}
