package ui

import (
	"errors"
	"io"
	"os"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
)

// saveFile asks for a place and saves data there. then gets the error; it is not called if the
// person cancels.
func (w *window) saveFile(name string, data []byte, then func(error)) {
	d := dialog.NewFileSave(func(f fyne.URIWriteCloser, err error) {
		if err == nil && f == nil {
			return // cancelled
		}
		if err == nil {
			_, err = f.Write(data)
			if cerr := f.Close(); err == nil {
				err = cerr
			}
		}
		then(err)
		w.settle()
	}, w.win)
	d.SetFileName(name)
	d.Show()
}

// openFile asks for a file. read gets it to read and to close, or the error; it is not called if
// the person cancels.
func (w *window) openFile(read func(name string, f io.ReadCloser, err error)) {
	dialog.ShowFileOpen(func(f fyne.URIReadCloser, err error) {
		switch {
		case err == nil && f == nil: // cancelled
		case err != nil:
			read("", nil, err)
		default:
			read(f.URI().Name(), f, nil)
		}
	}, w.win)
}

// firstDropped opens the first of the files that were dropped on the window.
func firstDropped(files []fyne.URI) (name string, f io.ReadCloser, err error) {
	if files[0].Scheme() != "file" {
		return "", nil, errors.New(tr("Only files on this computer can be dropped here."))
	}
	f, err = os.Open(files[0].Path())
	return files[0].Name(), f, err
}
