package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// kit makes the pages' controls. Unlike Fyne's own, they scroll into view when they
// get the focus, respond to Enter, and leave Escape and the window's shortcuts to the
// window.
type kit struct {
	reveal   func(fyne.CanvasObject)
	otherKey func(*fyne.KeyEvent) bool
	shortcut func(fyne.Shortcut) bool
	press    func(*button)                   // by keyboard
	tip      func(fyne.CanvasObject, string) // says what an icon means; "" is over
}

type button struct {
	widget.Button
	kit     *kit
	say     string // what a screen reader and the tip say if there is only an icon
	focused bool
}

func (k *kit) button(label string, icon fyne.Resource, tapped func()) *button {
	b := &button{kit: k}
	b.Text, b.Icon, b.OnTapped = label, icon, tapped
	b.ExtendBaseWidget(b)
	return b
}

// primary makes the button for the most likely action.
func (k *kit) primary(label string, icon fyne.Resource, tapped func()) *button {
	b := k.button(label, icon, tapped)
	b.Importance = widget.HighImportance
	return b
}

// quiet makes a button without a background.
func (k *kit) quiet(label string, icon fyne.Resource, tapped func()) *button {
	b := k.button(label, icon, tapped)
	b.Importance = widget.LowImportance
	return b
}

// icon makes a quiet button with only an icon; label is for screen readers.
func (k *kit) icon(label string, icon fyne.Resource, tapped func()) *button {
	b := k.quiet("", icon, tapped)
	b.say = label
	return b
}

// back is the first line of a page that belongs to another one, with a button that leads there and
// what stands at its right end.
func (k *kit) back(to func(), right ...fyne.CanvasObject) fyne.CanvasObject {
	button := k.quiet(tr("Back"), theme.NavigateBackIcon(), to)
	return newLine(0, []fyne.CanvasObject{padded(-8, 0, button)}, newBody(""), right...)
}

// AccessibilityLabel implements fyne.Accessible.
func (b *button) AccessibilityLabel() string {
	if b.say != "" {
		return b.say
	}
	return b.Text
}

// FocusGained implements fyne.Focusable.
func (b *button) FocusGained() {
	b.focused = true
	b.Button.FocusGained()
	b.kit.reveal(b)
	b.kit.tip(b, b.say)
}

// FocusLost implements fyne.Focusable.
func (b *button) FocusLost() {
	b.focused = false
	b.Button.FocusLost()
	b.kit.tip(b, "")
}

// MouseIn implements desktop.Hoverable.
func (b *button) MouseIn(e *desktop.MouseEvent) {
	b.Button.MouseIn(e)
	b.kit.tip(b, b.say)
}

// MouseOut implements desktop.Hoverable.
func (b *button) MouseOut() {
	b.Button.MouseOut()
	b.kit.tip(b, "")
}

// Tapped implements fyne.Tappable.
func (b *button) Tapped(e *fyne.PointEvent) {
	b.kit.tip(b, "")
	b.Button.Tapped(e)
}

// TypedKey implements fyne.Focusable.
func (b *button) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeyReturn, fyne.KeyEnter, fyne.KeySpace:
		b.kit.press(b)
	default:
		b.kit.otherKey(e)
	}
}

// enable enables or disables a button.
func (b *button) enable(on bool) {
	if on == b.Disabled() {
		if on {
			b.Enable()
		} else {
			b.Disable()
		}
	}
}

type entry struct {
	widget.Entry
	kit     *kit
	focused bool
}

func (k *kit) entry(placeholder string, changed func(string)) *entry {
	e := &entry{kit: k}
	e.PlaceHolder, e.OnChanged = placeholder, changed
	e.ExtendBaseWidget(e)
	return e
}

func (k *kit) search(placeholder string, changed func(string)) *entry {
	e := k.entry(placeholder, changed)
	e.Icon = theme.SearchIcon()
	return e
}

func (k *kit) secret(placeholder string) *entry {
	e := k.entry(placeholder, nil)
	e.Password = true
	return e
}

// FocusGained implements fyne.Focusable.
func (e *entry) FocusGained() {
	e.focused = true
	e.Entry.FocusGained()
	e.kit.reveal(e)
}

// FocusLost implements fyne.Focusable.
func (e *entry) FocusLost() {
	e.focused = false
	e.Entry.FocusLost()
}

// TypedKey implements fyne.Focusable.
func (e *entry) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeyEscape, fyne.KeyPageUp, fyne.KeyPageDown: // of no use in one line
		if e.kit.otherKey(ev) {
			return
		}
	}
	e.Entry.TypedKey(ev)
}

// TypedShortcut implements fyne.Shortcutable.
func (e *entry) TypedShortcut(s fyne.Shortcut) {
	if !e.kit.shortcut(s) {
		e.Entry.TypedShortcut(s)
	}
}

type check struct {
	widget.Check
	kit     *kit
	focused bool
}

func (k *kit) check(label string, changed func(bool)) *check {
	c := &check{kit: k}
	c.Text, c.OnChanged = label, changed
	c.ExtendBaseWidget(c)
	return c
}

// FocusGained implements fyne.Focusable.
func (c *check) FocusGained() {
	c.focused = true
	c.Check.FocusGained()
	c.kit.reveal(c)
}

// FocusLost implements fyne.Focusable.
func (c *check) FocusLost() {
	c.focused = false
	c.Check.FocusLost()
}

// TypedKey implements fyne.Focusable.
func (c *check) TypedKey(e *fyne.KeyEvent) {
	if e.Name == fyne.KeyReturn || e.Name == fyne.KeyEnter {
		c.SetChecked(!c.Checked)
		return
	}
	if !c.kit.otherKey(e) {
		c.Check.TypedKey(e)
	}
}

type choice struct {
	widget.Select
	kit     *kit
	focused bool
}

func (k *kit) choice(options []string, changed func(string)) *choice {
	c := &choice{kit: k}
	c.Options, c.OnChanged = options, changed
	c.ExtendBaseWidget(c)
	return c
}

// FocusGained implements fyne.Focusable.
func (c *choice) FocusGained() {
	c.focused = true
	c.Select.FocusGained()
	c.kit.reveal(c)
}

// FocusLost implements fyne.Focusable.
func (c *choice) FocusLost() {
	c.focused = false
	c.Select.FocusLost()
}

// TypedKey implements fyne.Focusable.
func (c *choice) TypedKey(e *fyne.KeyEvent) {
	if e.Name == fyne.KeyReturn || e.Name == fyne.KeyEnter {
		c.Select.TypedKey(&fyne.KeyEvent{Name: fyne.KeySpace})
		return
	}
	if e.Name == fyne.KeyUp || e.Name == fyne.KeyDown || !c.kit.otherKey(e) {
		c.Select.TypedKey(e)
	}
}

// framed is the choice with a border like that of entries.
func (c *choice) framed() fyne.CanvasObject {
	return newStack(c, newSheet(colorNone, "inputBorder", 8))
}

// field is an input with its name above it and a hint or an error below.
type field struct {
	*fyne.Container
	hint  string
	below *text
}

func newField(name, hint string, control fyne.CanvasObject) field {
	below := newCaption(hint)
	show(below, hint != "")
	label := newText(name, kind{bold: true})
	return field{newColumn(6, label, control, below), hint, below}
}

// refuse shows what is wrong with the input; "" shows the hint again.
func (f field) refuse(why string) { f.say(why, bad) }

// say shows something about the input in place of the hint; "" shows the hint again.
func (f field) say(words string, m mood) {
	if words == "" {
		words, m = f.hint, calm
	}
	f.below.mark(m.importance())
	f.below.set(words)
	show(f.below, words != "")
}
