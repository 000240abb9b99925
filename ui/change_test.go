package ui

import (
	"context"
	"slices"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"github.com/waxseal/waxseal/proxy/api"
)

func TestSettingsChange(t *testing.T) {
	b := busyOffice()
	var got api.Settings
	b.configure = func(p api.Settings) ([]string, error) {
		got = p
		return []string{"the log changes at the next start"}, nil
	}
	s := (story{page: Page{Name: "settings"}, backend: func() *fake { return b }}).stage(t, staging{})
	p := configured(s)
	if b.called("configure") {
		t.Fatal("showing the settings changed them")
	}
	p.notify.SetChecked(false)
	s.until("it is saved", func() bool { return p.said != nil })
	said := p.said.(*remark)
	if got.Notifications || got.Metrics != b.settings.Metrics || said.Text != "Saved. The log changes at the next start." || !said.Visible() {
		t.Errorf("configured %+v, says %q", got, said.Text)
	}
	p.proxy.entry.SetText("proxy.example")
	if !p.proxy.save.Disabled() || p.proxy.field.below.Text != "Write it like http://proxy.example.com:3128." {
		t.Errorf("a wrong URL is not refused: %q", p.proxy.field.below.Text)
	}
	p.proxy.entry.SetText("http://proxy.example:3128")
	p.proxy.entry.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	s.until("it is saved", func() bool { return p.proxy.is == "http://proxy.example:3128" })
	if got.HTTPProxy != "http://proxy.example:3128" || got.Notifications || said.Visible() {
		t.Errorf("configured %+v; the confirmation of the last change is still shown: %t", got, said.Visible())
	}
	if below := p.proxy.field.below; below.Text != "Saved. The log changes at the next start." || !below.Visible() {
		t.Errorf("says %q at the field", below.Text)
	}
}

// A form that was opened before a port was chosen elsewhere used to write the old one back.
func TestSettingsWriteOnlyWhatWasChanged(t *testing.T) {
	b := busyOffice()
	s := (story{page: Page{Name: "settings"}, backend: func() *fake { return b }}).stage(t, staging{})
	p := configured(s)
	b.settings.Listen = []string{"127.0.0.1:2587"} // chosen on the command line, say
	p.metrics.entry.SetText("127.0.0.1:9999")      // half typed
	p.notify.SetChecked(false)
	s.until("it is saved", func() bool { return p.said != nil })
	if !slices.Equal(b.settings.Listen, []string{"127.0.0.1:2587"}) || b.settings.Notifications {
		t.Errorf("the settings are %+v", b.settings)
	}
	if p.listen.entry.Text != "127.0.0.1:2587" || p.metrics.entry.Text != "127.0.0.1:9999" {
		t.Errorf("the fields have %q and %q", p.listen.entry.Text, p.metrics.entry.Text)
	}
}

// Another port means work in mail programs: the form names the ports and the accounts, before
// and after it is saved.
func TestAnotherPortNamesTheMailPrograms(t *testing.T) {
	b := busyOffice()
	s := (story{page: Page{Name: "settings"}, backend: func() *fake { return b }}).stage(t, staging{})
	p := configured(s)
	const note = "Change the port from 1587 to 2587 in the mail programs of: ada@corp.example, scanner@corp.example, ada.lovelace@gmail.com."
	p.listen.entry.SetText("127.0.0.1:2587, [::1]:2587")
	if got := p.listen.field.below.Text; got != note {
		t.Errorf("before: %q", got)
	}
	p.listen.apply()
	s.until("it is saved", func() bool { return p.said != nil })
	if got := p.listen.field.below.Text; got != "Saved. It takes effect now. "+note {
		t.Errorf("after: %q", got)
	}
	p.listenTLS.entry.SetText("")
	if got := p.listenTLS.field.below.Text; got != "Mail programs that use port 1465 can no longer connect. This affects the mail programs of: ada@corp.example, scanner@corp.example, ada.lovelace@gmail.com." {
		t.Errorf("without the port: %q", got)
	}
	p.listen.entry.SetText("127.0.0.1:2587")
	if got := p.listen.field.below.Text; got != p.listen.field.hint {
		t.Errorf("the same port: %q", got)
	}
}

func TestTakenPort(t *testing.T) {
	b := busyOffice()
	var got api.Settings
	b.configure = func(p api.Settings) ([]string, error) {
		if got = p; p.Listen[0] == "127.0.0.1:2525" {
			return nil, &api.PortTakenError{Address: "127.0.0.1:2525", Free: "127.0.0.1:2526"}
		}
		return nil, nil
	}
	s := (story{page: Page{Name: "settings"}, backend: func() *fake { return b }}).stage(t, staging{})
	p := configured(s)
	p.listen.entry.SetText("127.0.0.1:2525, [::1]:2525")
	test.Tap(p.listen.save)
	s.until("the free one is offered", func() bool { return p.listen.free.Visible() })
	if p.listen.field.below.Text != "127.0.0.1:2525 is taken by another program." {
		t.Errorf("says %q", p.listen.field.below.Text)
	}
	test.Tap(p.listen.free)
	s.until("it is taken", func() bool { return p.listen.is == "127.0.0.1:2526, [::1]:2525" })
	if !slices.Equal(got.Listen, []string{"127.0.0.1:2526", "[::1]:2525"}) || p.listen.free.Visible() {
		t.Errorf("configured %q", got.Listen)
	}
}

// Secrets move when that was confirmed, once, and what became of it is said.
func TestMoveSecrets(t *testing.T) {
	b := busyOffice()
	held := make(chan struct{})
	b.move = func(context.Context) (int, error) { <-held; return 7, nil }
	s := (story{page: Page{Name: "settings"}, backend: func() *fake { return b }}).stage(t, staging{})
	k := configured(s).keystore
	test.Tap(k.move)
	s.key(fyne.KeyReturn) // "Cancel" has the keyboard
	if b.called("move secrets file") {
		t.Fatal("moved without being confirmed")
	}
	test.Tap(k.move)
	s.w.win.Canvas().FocusNext()
	s.key(fyne.KeyReturn)
	s.until("it moves", func() bool { return b.called("move secrets file") })
	s.w.show(Page{})
	s.w.show(Page{Name: "settings"})
	if !k.move.Disabled() || k.result.Text != "Moving…" || !k.result.Visible() {
		t.Errorf("while it moves, the button is enabled: %t; says %q", !k.move.Disabled(), k.result.Text)
	}
	b.snapshot.Keystore.Kind = "file"
	s.shows()
	close(held)
	s.until("it is moved", func() bool { return k.result.Text == "Moved 7 secrets." })
	if k.move.Disabled() || k.name.Text != "Encrypted file" || k.move.Text != "Move to the system keychain…" {
		t.Errorf("is in %q, offers %q, disabled: %t", k.name.Text, k.move.Text, k.move.Disabled())
	}
	b.move = func(context.Context) (int, error) { return 0, keychainLocked() }
	k.begin(k.to)
	s.until("it says why not", func() bool { return k.notice.Visible() })
	if got := k.notice.words.Text + "|" + k.notice.cure.Text; got != "The keychain is locked.|"+say(keychainLocked().Cure) || k.result.Visible() {
		t.Errorf("says %q", got)
	}
	b.snapshot.Keystore.Kind = "memory"
	s.shows()
	if k.move.Visible() {
		t.Error("offers to move what ends with Waxseal")
	}
}

// A page that was long out of sight gets new renderers from Fyne, which come to
// be drawn without being laid out.
func TestNewRenderersAreLaidOut(t *testing.T) {
	s := newStage(t, busyOffice(), staging{})
	s.shows()
	o := s.w.pages["overview"].(*overview)
	for name, w := range map[string]fyne.Widget{"tile": o.rows.shown[0].(*accountRow), "sheet": o.dot, "chart": o.gauges.chart, "meter": o.gauges.meter} {
		objects := w.CreateRenderer().Objects()
		if len(objects) == 0 || objects[0].Size().IsZero() {
			t.Errorf("a new renderer of a %s draws nothing", name)
		}
	}
}

// Anyone who asks for a test message comes to where it is sent.
func TestMenuLeadsToTheTest(t *testing.T) {
	s := newStage(t, busyOffice(), staging{})
	s.shows()
	s.w.accountMenu("ada@corp.example")[1].Action()
	p := s.w.pages["setup"].(*setup)
	s.until("the button has the keyboard", func() bool { return s.w.win.Canvas().Focused() == p.test.send })
	if p.scroll.bar.Offset.Y == 0 {
		t.Error("it is not in sight")
	}
}

func TestSendTest(t *testing.T) {
	b := busyOffice()
	b.checks = []api.Check{{Name: api.CheckToken, OK: true}, {Name: api.CheckLogin, OK: true}}
	s := (story{page: Page{Name: "setup", Account: "ada@corp.example"}, backend: func() *fake { return b }}).stage(t, staging{})
	p := s.w.pages["setup"].(*setup).test
	p.to.SetText("nowhere")
	p.run()
	if b.called("send ada@corp.example nowhere") || p.field.below.Text == "" {
		t.Error("half an address is taken")
	}
	p.to.SetText("bob@corp.example")
	test.Tap(p.send)
	s.until("two stages are done", func() bool { return len(p.checks.all) == 2 })
	test.Tap(p.end)
	s.until("the engine was told", func() bool { return b.called("cancelled test") })
	if p.send.Disabled() || p.end.Visible() {
		t.Error("after Cancel one cannot send again")
	}
	b.test = func(context.Context) error { return nil }
	test.Tap(p.send)
	s.until("it is sent", func() bool { return p.verdict.Visible() })
	if p.verdict.Text != "The provider has accepted the message." {
		t.Errorf("says %q", p.verdict.Text)
	}
}
