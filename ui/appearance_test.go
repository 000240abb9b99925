package ui

import (
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/ui/speech"
)

// Another theme and another language show at once, on every page, and are confirmed where they
// were chosen.
func TestThemeAndLanguage(t *testing.T) {
	t.Cleanup(func() { speech.Use("en") })
	b := busyOffice()
	s := (story{page: Page{Name: "settings"}, backend: func() *fake { return b }}).stage(t, staging{})
	p := configured(s)
	p.theme.SetSelectedIndex(2)
	next := func() *settings { return s.w.pages["settings"].(*settings) }
	s.until("it is dark", func() bool { return next() != p })
	if b.settings.Theme != "dark" || paint(theme.ColorNameBackground) != shades[theme.ColorNameBackground].dark {
		t.Errorf("theme %q, background %v", b.settings.Theme, paint(theme.ColorNameBackground))
	}
	if q := next(); !q.themed.Visible() || q.theme.SelectedIndex() != 2 || !q.all.Visible() || s.w.win.Canvas().Focused() != q.theme {
		t.Errorf("confirmed: %t, chosen %d, focus on %T", q.themed.Visible(), q.theme.SelectedIndex(), s.w.win.Canvas().Focused())
	}
	p = next()
	p.language.SetSelectedIndex(2)
	s.until("it speaks German", func() bool { return next() != p })
	if got := s.w.frame.names[0].side.label; b.settings.Language != "de" || got != "Übersicht" {
		t.Errorf("language %q, the first page is called %q", b.settings.Language, got)
	}
	if q := next(); q.spoken.Text != "Gespeichert. Es gilt ab sofort." || !q.spoken.Visible() {
		t.Errorf("says %q", q.spoken.Text)
	}
}

// The window opens with the size that it had.
func TestSizeIsRemembered(t *testing.T) {
	s := newStage(t, busyOffice(), staging{})
	s.w.win.Resize(fyne.NewSize(1010, 700))
	s.w.keepSize()
	if got := s.w.lastSize(); got != fyne.NewSize(1010, 700) {
		t.Errorf("it opens with %v", got)
	}
	s.app.Preferences().SetFloat(widthKey, 20)
	if got := s.w.lastSize(); got.Width < leastWidth {
		t.Errorf("it opens with %v", got)
	}
}

// A desktop that does not say whether it is light or dark used to get a dark window.
func TestDesktopWithoutScheme(t *testing.T) {
	s := newStage(t, busyOffice(), staging{dark: true, options: Options{Theme: "system", NoScheme: true}})
	s.shows()
	if got := paint(theme.ColorNameBackground); got != shades[theme.ColorNameBackground].light {
		t.Errorf("the background is %v", got)
	}
}
