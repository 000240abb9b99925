package ui

import (
	"context"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
)

// tipDelay is how long the mouse or the focus rests on an icon before its tip appears.
var tipDelay = 600 * time.Millisecond

// tips shows what a button with only an icon does, while the mouse or the focus is on it.
type tips struct {
	w      *window
	root   *fyne.Container
	words  *text
	at     fyne.CanvasObject // what the tip is about, nil for none
	cancel context.CancelFunc
}

func newTips(w *window) *tips {
	t := &tips{w: w, words: newWord("", kind{size: theme.SizeNameCaptionText})}
	bubble := newStack(newSheet("menuBackground", "inputBorder", 6), padded(8, 4, t.words))
	t.root = container.New(tipLayout{t}, bubble)
	t.root.Hide()
	return t
}

// say shows a tip at an object after a moment; "" takes it away.
func (t *tips) say(at fyne.CanvasObject, words string) {
	if words == "" {
		if t.at == at {
			t.hide()
		}
		return
	}
	t.hide()
	t.at = at
	var ctx context.Context
	ctx, t.cancel = context.WithCancel(t.w.work.ctx)
	t.w.work.after(ctx, tipDelay, func() {
		if !t.w.isShown(at) {
			return
		}
		t.words.set(words)
		t.root.Show()
		t.root.Layout.Layout(t.root.Objects, t.root.Size())
	})
}

func (t *tips) hide() {
	if t.cancel != nil {
		t.cancel()
	}
	t.at, t.cancel = nil, nil
	show(t.root, false)
}

// tipLayout puts the tip below what it is about, or above it at the window's end.
type tipLayout struct{ t *tips }

func (l tipLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.Size{} }

func (l tipLayout) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	if l.t.at == nil {
		return
	}
	bubble, at := objects[0], l.t.w.app.Driver().AbsolutePositionForObject(l.t.at)
	least := bubble.MinSize()
	x := min(at.X+(l.t.at.Size().Width-least.Width)/2, size.Width-least.Width-4)
	y := at.Y + l.t.at.Size().Height + 6
	if y+least.Height > size.Height {
		y = at.Y - least.Height - 6
	}
	bubble.Resize(least)
	bubble.Move(fyne.NewPos(max(4, x), y))
}
