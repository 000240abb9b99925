package ui

import (
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
