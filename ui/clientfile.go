package ui

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/api"
)

// clientFile takes a registration's client ID and secret from the file that the provider offers:
// chosen in a dialog, dropped on the window, or pasted as text into a field.
type clientFile struct {
	w    *window
	root *fyne.Container
	use  func(text string, c api.Client)
	tell func(explained) // what is wrong with a file; nothing if it can be used
}

func newClientFile(w *window, use func(string, api.Client), tell func(explained)) *clientFile {
	f := &clientFile{w: w, use: use, tell: tell}
	f.root = newColumn(4, newFlow(8, w.kit.button(tr("Choose file…"), theme.FolderOpenIcon(), f.choose)),
		newCaption(tr("You can also drop the provider’s JSON file on this window, or paste its text.")))
	return f
}

func (f *clientFile) choose() {
	dialog.ShowFileOpen(func(file fyne.URIReadCloser, err error) {
		switch {
		case err == nil && file == nil: // cancelled
		case err != nil:
			f.refuse(err)
		default:
			f.read(file)
		}
	}, f.w.win)
}

// drop takes the first of the files that were dropped.
func (f *clientFile) drop(files []fyne.URI) {
	if len(files) == 0 {
		return
	}
	if files[0].Scheme() != "file" {
		f.refuse(errors.New(tr("Only files on this computer can be dropped here.")))
		return
	}
	file, err := os.Open(files[0].Path())
	if err != nil {
		f.refuse(err)
		return
	}
	f.read(file)
}

// longestClient is as much of a file as is read: a service account's key has a few
// kilobytes.
const longestClient = 64 << 10

func (f *clientFile) read(file io.ReadCloser) {
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, longestClient))
	text := ""
	if err == nil {
		text, err = safeio.Text(data)
	}
	if err != nil {
		f.refuse(err)
		return
	}
	f.take(text)
}

// isClientJSON reports whether a text is the content of such a file, and not an ID or a secret.
func isClientJSON(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, "{") && strings.HasSuffix(text, "}")
}

// take has the engine read a text, which knows all kinds of these files.
func (f *clientFile) take(text string) {
	ask(f.w.work, f.w.work.ctx, func(ctx context.Context) (api.Client, error) { return f.w.backend.ReadClient(ctx, text) },
		func(c api.Client, err error) {
			if err != nil {
				f.refuse(err)
				return
			}
			f.tell(explained{})
			f.use(text, c)
			f.w.settle()
		})
}

func (f *clientFile) refuse(err error) {
	f.tell(f.w.explain(err))
	f.w.settle()
}
