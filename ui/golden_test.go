package ui

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
)

// Every story looks as it did when somebody last looked at it: its markup, and
// for one story of each page the picture. -update writes them anew; look at the
// pictures (-pictures FOLDER) before you commit that.
func TestStories(t *testing.T) {
	if racing {
		raceStories(t)
		return
	}
	for _, y := range stories {
		for _, dark := range []bool{false, true} {
			name := strings.ReplaceAll(y.name, " ", "-")
			if dark {
				name += "-dark"
			}
			t.Run(name, func(t *testing.T) {
				s := y.stage(t, staging{dark: dark, size: fyne.NewSize(900, 640)})
				sameText(t, name+".xml", test.RenderToMarkup(s.w.win.Canvas()))
				if y.image && (!dark || y.name == "busy") {
					samePicture(t, name+".png", s.picture(1))
				}
			})
		}
	}
}

// raceStories goes through what the stories do, without looking at it.
func raceStories(t *testing.T) {
	for _, y := range stories {
		if y.act != nil {
			t.Run(y.name, func(t *testing.T) { y.stage(t, staging{}) })
		}
	}
}

func sameText(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs, first here:\n%s", path, firstDifference(string(want), got))
	}
}

// firstDifference is the first line that is another, in both texts.
func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		at := func(l []string) string {
			if i < len(l) {
				return l[i]
			}
			return "(the end)"
		}
		if at(a) != at(b) {
			return "want " + at(a) + "\ngot  " + at(b)
		}
	}
	return ""
}

// Processors round differently: a picture is the same where few of its pixels
// differ visibly.
func samePicture(t *testing.T, name string, got image.Image) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		var b bytes.Buffer
		e := png.Encoder{CompressionLevel: png.BestCompression}
		if err := e.Encode(&b, got); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if n := differing(want, got); n > 500 {
		failed := filepath.Join(t.ArtifactDir(), name)
		var b bytes.Buffer
		png.Encode(&b, got)
		os.WriteFile(failed, b.Bytes(), 0o644)
		t.Errorf("%s: %d pixels differ; -artifacts keeps what was drawn as %s", path, n, failed)
	}
}

// differing counts the pixels of which a colour is more than an eighth off.
func differing(a, b image.Image) (n int) {
	if a.Bounds() != b.Bounds() {
		return a.Bounds().Dx() * a.Bounds().Dy()
	}
	far := func(x, y uint8) bool { return max(x, y)-min(x, y) > 32 }
	for y := a.Bounds().Min.Y; y < a.Bounds().Max.Y; y++ {
		for x := a.Bounds().Min.X; x < a.Bounds().Max.X; x++ {
			p, q := color.RGBAModel.Convert(a.At(x, y)).(color.RGBA), color.RGBAModel.Convert(b.At(x, y)).(color.RGBA)
			if far(p.R, q.R) || far(p.G, q.G) || far(p.B, q.B) {
				n++
			}
		}
	}
	return n
}
