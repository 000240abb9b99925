package ui

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"
)

// In the narrowest window and the longest language no text of ours is cut,
// nothing goes over an edge, and nothing is in another language.
func TestTextsFit(t *testing.T) {
	if racing {
		t.Skip("texts are measured without the race detector alone")
	}
	const wide, high = 480, 640
	english := englishTexts(t)
	for _, y := range stories {
		for _, language := range []string{"de", "en"} {
			t.Run(y.name+"/"+language, func(t *testing.T) {
				s := y.stage(t, staging{language: language, size: fyne.NewSize(wide, high)})
				if m := s.w.win.Content().MinSize(); m.Width > wide || m.Height > high {
					t.Errorf("needs %v", m)
				}
				for _, o := range append(s.w.win.Canvas().Overlays().List(), s.w.win.Content()) {
					fits(t, o, 0, wide)
					if language == "de" {
						foreignWords(t, o, english)
					}
				}
			})
		}
	}
}

// fits goes through what is drawn. An ellipsis is allowed in foreign texts
// alone: addresses, names of providers and their answers.
func fits(t *testing.T, o fyne.CanvasObject, x, wide float32) {
	t.Helper()
	if !o.Visible() {
		return
	}
	x += o.Position().X
	switch o := o.(type) {
	case *canvas.Text:
		if strings.HasSuffix(o.Text, "…") && !strings.HasSuffix(o.Text, "  …") && cut(o.Text) {
			t.Errorf("%q is cut", o.Text)
		}
		if o.Text != "" && (x < 0 || x+fyne.MeasureText(o.Text, o.TextSize, o.TextStyle).Width > wide+1) {
			t.Errorf("%q goes from %.0f over the edge", o.Text, x)
		}
	case *fyne.Container:
		for _, c := range o.Objects {
			fits(t, c, x, wide)
		}
	case *container.Scroll:
		fits(t, o.Content, x, wide)
	case *widget.Entry, *entry:
		// what is typed may be longer than the field
	case fyne.Widget:
		for _, c := range test.WidgetRenderer(o).Objects() {
			fits(t, c, x, wide)
		}
	}
}

// foreign are the beginnings of texts that may be cut: they are not ours.
var foreign = []string{"az ad app create", "a.very.long", "A provider with", "Sent ·", "Gesendet ·", "May have been delivered ·", "Vielleicht zugestellt ·",
	"Deferred ·", "Zurückgestellt ·", "Refused ·", "Abgelehnt ·", "Test sent ·", "Test gesendet ·"}

// cut reports whether a text that ends in an ellipsis does so because it was too
// long: some of ours end in one on purpose.
func cut(s string) bool {
	for _, f := range foreign {
		if strings.HasPrefix(s, f) {
			return false
		}
	}
	for _, language := range []string{"en", "de"} {
		data, _ := os.ReadFile("speech/translation/" + language + ".json")
		if strings.Contains(string(data), s+`"`) {
			return false
		}
	}
	return true
}

// foreignWords looks for English in what a German window shows.
func foreignWords(t *testing.T, o fyne.CanvasObject, english map[string]*regexp.Regexp) {
	t.Helper()
	spoken(o, func(text string) {
		for key, pattern := range english {
			if pattern.MatchString(text) {
				t.Errorf("%q is English: %q", text, key)
			}
		}
	})
}

var placeInText = regexp.MustCompile(`\\\{\\\{\\\.[A-Za-z]+\\\}\\\}`)

// englishTexts are those that differ in German, as patterns: places may hold anything.
func englishTexts(t *testing.T) map[string]*regexp.Regexp {
	t.Helper()
	patterns := map[string]*regexp.Regexp{}
	english, german := translated(t, "en"), translated(t, "de")
	for key := range english {
		en, de := english[key], german[key]
		words := strings.Fields(placeInText.ReplaceAllString(regexp.QuoteMeta(en), " "))
		long := slices.ContainsFunc(words, func(w string) bool { return len(w) > 3 })
		if len(words) < 2 || !long || en == de {
			continue // single words may be names, or German too
		}
		patterns[key] = regexp.MustCompile("^" + placeInText.ReplaceAllString(regexp.QuoteMeta(en), ".+") + "$")
	}
	return patterns
}

// translated are a language's texts; of those with plural forms the many.
func translated(t *testing.T, language string) map[string]string {
	t.Helper()
	data, err := os.ReadFile("speech/translation/" + language + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for key, v := range all {
		switch v := v.(type) {
		case string:
			texts[key] = v
		case map[string]any:
			texts[key], _ = v["other"].(string)
		}
	}
	return texts
}

// spoken goes through the texts of what is shown, whole ones.
func spoken(o fyne.CanvasObject, read func(string)) {
	if !o.Visible() {
		return
	}
	switch o := o.(type) {
	case *text:
		read(o.Text)
	case *button:
		read(o.Text)
		read(o.say)
	case *check:
		read(o.Text)
	case *choice:
		read(o.Selected)
		read(o.PlaceHolder)
		for _, option := range o.Options {
			read(option)
		}
	case *entry:
		read(o.PlaceHolder)
	case *fyne.Container:
		for _, c := range o.Objects {
			spoken(c, read)
		}
	case *container.Scroll:
		spoken(o.Content, read)
	case fyne.Widget:
		for _, c := range test.WidgetRenderer(o).Objects() {
			spoken(c, read)
		}
	}
}
