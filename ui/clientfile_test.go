package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/storage"
	"fyne.io/fyne/v2/test"
)

const (
	desktopJSON = `{"installed":{"client_id":"the-id","client_secret":"the-secret"}}`
	webJSON     = `{"web":{"client_id":"the-id","client_secret":"the-secret"}}`
)

func clientJSON(t *testing.T, text string) []fyne.URI {
	path := filepath.Join(t.TempDir(), "client_secret.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []fyne.URI{storage.NewFileURI(path)}
}

// The provider's file brings the client ID and the secret at once, dropped or pasted.
func TestClientFile(t *testing.T) {
	for name, give := range map[string]func(*stage, *addWho){
		"dropped":            func(s *stage, _ *addWho) { s.w.dropped(clientJSON(t, desktopJSON)) },
		"in UTF-16":          func(s *stage, _ *addWho) { s.w.dropped(clientJSON(t, utf16LE(desktopJSON))) },
		"pasted as an ID":    func(_ *stage, who *addWho) { who.register.id.SetText(" " + desktopJSON + " ") },
		"pasted as a secret": func(_ *stage, who *addWho) { who.register.secret.SetText(desktopJSON) },
		"after the wrong one": func(s *stage, who *addWho) {
			s.w.dropped(clientJSON(t, webJSON))
			s.until("it is refused", func() bool { return who.register.trouble.Visible() })
			s.w.dropped(clientJSON(t, desktopJSON))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := base()
			b.prospects[0].NoClientID = true
			s, _ := begun(t, b)
			who := typeAddress(s, "me@gmail.com")
			give(s, who)
			s.until("the fields are filled", func() bool { return !who.next.Disabled() })
			if who.register.id.Text != "the-id" || who.register.secret.Text != "the-secret" || who.register.trouble.Visible() {
				t.Errorf("filled in: %q, %q; says %q", who.register.id.Text, who.register.secret.Text, who.register.trouble.words.Text)
			}
		})
	}
}

func utf16LE(text string) string {
	var b strings.Builder
	b.WriteString("\xff\xfe")
	for _, r := range []byte(text) {
		b.WriteByte(r)
		b.WriteByte(0)
	}
	return b.String()
}

// The file of a "Web application" is refused with the reason, and so is what is no file.
func TestClientFileIsRefused(t *testing.T) {
	elsewhere, err := storage.ParseURI("https://elsewhere.example/client.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		files []fyne.URI
		want  string
	}{
		"web":       {clientJSON(t, webJSON), "Web application"},
		"elsewhere": {[]fyne.URI{elsewhere}, "Only files on this computer"},
		"gone":      {[]fyne.URI{storage.NewFileURI(filepath.Join(t.TempDir(), "gone"))}, "gone"},
		"binary":    {clientJSON(t, "PK\x03\x04"), "ZIP"},
	} {
		t.Run(name, func(t *testing.T) {
			b := base()
			b.prospects[0].NoClientID = true
			s, _ := begun(t, b)
			who := typeAddress(s, "me@gmail.com")
			s.w.dropped(nil)
			s.w.dropped(tt.files)
			s.until("it says why", func() bool { return who.register.trouble.Visible() })
			if got := who.register.trouble.words.Text; !strings.Contains(got, tt.want) {
				t.Errorf("says %q", got)
			}
			if who.register.id.Text+who.register.secret.Text != "" {
				t.Error("something is filled in")
			}
		})
	}
}

// A new secret comes from a file, too.
func TestNewClientSecretFromFile(t *testing.T) {
	const who = "ada.lovelace@gmail.com"
	b := renewing()
	s := newStage(t, b, staging{})
	s.shows()
	s.w.dropped(clientJSON(t, desktopJSON)) // nothing is asked for here
	s.w.show(Page{Name: "register", Account: who})
	p := s.w.pages["register"].(*renewal)
	s.until("the steps are there", func() bool { return p.all.Visible() })
	s.w.dropped(clientJSON(t, webJSON))
	s.until("it says why", func() bool { return p.notice.Visible() })
	if !strings.Contains(p.notice.words.Text, "Web application") || !p.next.Disabled() {
		t.Errorf("says %q", p.notice.words.Text)
	}
	s.w.dropped(clientJSON(t, desktopJSON))
	s.until("one can go on", func() bool { return !p.next.Disabled() })
	test.Tap(p.next)
	s.until("it is stored", func() bool { return b.called("client of " + who + " the-id the-secret") })
}
