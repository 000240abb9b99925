package ui

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
)

var pictures = flag.String("pictures", "", "write a picture of each story to this folder")
var screenshots = flag.String("screenshots", "", "write the documentation's pictures to this folder")
var sizes = flag.String("sizes", "480x640,900x640", "their sizes")
var scale = flag.Float64("scale", 1, "their scale")
var onlyStory = flag.String("story", "", "of this story alone")
var tongue = flag.String("language", "en", "their language")
var shadeNames = flag.String("shades", "light,dark", "their shades")

// TestPictures is for people who want to look at the window.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("only with -pictures FOLDER")
	}
	for _, y := range stories {
		if *onlyStory != "" && !strings.Contains(y.name, *onlyStory) {
			continue
		}
		for dim := range strings.SplitSeq(*sizes, ",") {
			w, h, _ := strings.Cut(dim, "x")
			wide, _ := strconv.Atoi(w)
			high, _ := strconv.Atoi(h)
			for name := range strings.SplitSeq(*shadeNames, ",") {
				t.Run(fmt.Sprintf("%s/%s/%s", y.name, dim, name), func(t *testing.T) {
					s := y.stage(t, staging{dark: name == "dark", language: *tongue, size: fyne.NewSize(float32(wide), float32(high))})
					write(t, filepath.Join(*pictures, strings.ReplaceAll(y.name, " ", "-")+"-"+dim+"-"+name+".png"), s.picture(float32(*scale)))
				})
			}
		}
	}
}

// TestScreenshots makes the pictures that the documentation shows, at twice the
// size.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("only with -screenshots FOLDER")
	}
	for _, y := range stories {
		if y.shot != "" {
			s := y.stage(t, staging{size: fyne.NewSize(900, 640)})
			write(t, filepath.Join(*screenshots, y.shot+".png"), s.picture(2))
		}
		if y.shot == "overview" {
			s := y.stage(t, staging{dark: true, size: fyne.NewSize(900, 640)})
			write(t, filepath.Join(*screenshots, y.shot+"-dark.png"), s.picture(2))
		}
	}
}

// write saves a picture.
func write(t *testing.T, path string, img image.Image) {
	t.Helper()
	var b bytes.Buffer
	e := png.Encoder{CompressionLevel: png.BestCompression}
	if err := e.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
