package ui

import (
	"context"
	"io"
	"strings"

	"fyne.io/fyne/v2"
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
	f.root = newColumn(4, newFlow(8, w.kit.button(tr("Choose file…"), theme.FolderOpenIcon(), func() { w.openFile(f.read) })),
		newCaption(tr("You can also drop the provider’s JSON file on this window, or paste its text.")))
	return f
}

// drop takes the first of the files that were dropped.
func (f *clientFile) drop(files []fyne.URI) { f.read(firstDropped(files)) }

// longestClient is as much of a file as is read: a service account's key has a few
// kilobytes.
const longestClient = 64 << 10

func (f *clientFile) read(_ string, file io.ReadCloser, err error) {
	if err != nil {
		f.refuse(err)
		return
	}
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

// paste takes the text of such a file that was pasted into a field, in place of an ID or a secret.
func (f *clientFile) paste(into *entry) {
	if text := into.Text; isClientJSON(text) {
		into.SetText("")
		f.take(text)
	}
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
