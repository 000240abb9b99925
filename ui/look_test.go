package ui

import (
	"flag"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
)

var pictures = flag.String("pictures", "", "write a picture of each story to this folder")
var sizes = flag.String("sizes", "480x640,900x640", "their sizes")
var scale = flag.Float64("scale", 1, "their scale")
var only_ = flag.String("story", "", "of this story alone")
var tongue = flag.String("language", "en", "their language")
var shade_ = flag.String("shades", "light,dark", "their shades")

// TestPictures is for people who want to look at the window.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("only with -pictures FOLDER")
	}
	for _, y := range stories {
		if *only_ != "" && !strings.Contains(y.name, *only_) {
			continue
		}
		for dim := range strings.SplitSeq(*sizes, ",") {
			w, h, _ := strings.Cut(dim, "x")
			wide, _ := strconv.Atoi(w)
			high, _ := strconv.Atoi(h)
			for name := range strings.SplitSeq(*shade_, ",") {
				t.Run(fmt.Sprintf("%s/%s/%s", y.name, dim, name), func(t *testing.T) {
					s := y.stage(t, staging{dark: name == "dark", language: *tongue, size: fyne.NewSize(float32(wide), float32(high))})
					file := filepath.Join(*pictures, strings.ReplaceAll(y.name, " ", "-")+"-"+dim+"-"+name+".png")
					f, err := os.Create(file)
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					if err := png.Encode(f, s.picture(float32(*scale))); err != nil {
						t.Fatal(err)
					}
				})
			}
		}
	}
}
