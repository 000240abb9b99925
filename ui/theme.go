package ui

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

// look is Waxseal's theme: sealing wax on paper by day, on dark wood by night.
// The reds and the cream are those of assets/icon/waxseal.svg.
type look struct {
	fyne.Theme
	always *fyne.ThemeVariant // instead of the desktop's
}

func newLook() *look { return &look{Theme: theme.DefaultTheme()} }

// useTheme makes the window light or dark, or like the desktop. A desktop that says
// nothing counts as light.
func (w *window) useTheme(name string) {
	if w.look == nil || name == "" {
		return
	}
	w.look.always = nil
	if name == "system" && w.options.NoScheme {
		name = "light"
	}
	switch name {
	case "light":
		w.look.always = new(theme.VariantLight)
	case "dark":
		w.look.always = new(theme.VariantDark)
	}
	w.app.Settings().SetTheme(w.look)
}

// Colours beside Fyne's own.
const (
	colorCard       fyne.ThemeColorName = "waxsealCard"
	colorCardBorder fyne.ThemeColorName = "waxsealCardBorder"
	colorSidebar    fyne.ThemeColorName = "waxsealSidebar"
	colorNone       fyne.ThemeColorName = "waxsealNone"
	colorCurtain    fyne.ThemeColorName = "waxsealCurtain"
	colorTrack      fyne.ThemeColorName = "waxsealTrack"
	colorFocusRing  fyne.ThemeColorName = "waxsealFocusRing" // never the colour of an error
	colorWax        fyne.ThemeColorName = "waxsealWax"       // the chosen page, the chart
	colorWaxTint    fyne.ThemeColorName = "waxsealWaxTint"
	colorGoodTint   fyne.ThemeColorName = "waxsealGoodTint"
	colorCareTint   fyne.ThemeColorName = "waxsealCareTint"
	colorBadTint    fyne.ThemeColorName = "waxsealBadTint"
)

// sizeCode is the size of a code that is read from another device.
const sizeCode fyne.ThemeSizeName = "waxsealCode"

type shade struct{ light, dark color.NRGBA }

func rgb(hex uint32) color.NRGBA {
	return color.NRGBA{uint8(hex >> 16), uint8(hex >> 8), uint8(hex), 0xff} // #nosec G115 -- a byte of each
}

func rgba(hex uint32, alpha uint8) color.NRGBA {
	c := rgb(hex)
	c.A = alpha
	return c
}

// shades gives every text a contrast of 4.5:1 or more with its background, and the
// borders of inputs and the ring around what has the focus 3:1 (WCAG 2.2, 1.4.3 and
// 1.4.11).
var shades = map[fyne.ThemeColorName]shade{
	theme.ColorNameBackground:          {rgb(0xfaf7f3), rgb(0x191513)},
	theme.ColorNameForeground:          {rgb(0x2a2320), rgb(0xf1e9e2)},
	theme.ColorNamePlaceHolder:         {rgb(0x73675f), rgb(0xab9e94)},
	theme.ColorNameDisabled:            {rgb(0x73675f), rgb(0xab9e94)},
	theme.ColorNameButton:              {rgb(0xefe8e0), rgb(0x352d28)},
	theme.ColorNameDisabledButton:      {rgb(0xf1ece6), rgb(0x2a2420)},
	theme.ColorNamePrimary:             {rgb(0xa91d2b), rgb(0xc5394a)},
	theme.ColorNameForegroundOnPrimary: {rgb(0xfffaf5), rgb(0xfffaf5)},
	theme.ColorNameHyperlink:           {rgb(0xa91d2b), rgb(0xf08d97)},
	theme.ColorNameFocus:               {rgba(0x1d5fb8, 0x26), rgba(0x8ab8ff, 0x33)},
	theme.ColorNameSelection:           {rgba(0xa91d2b, 0x26), rgba(0xf08d97, 0x3a)},
	theme.ColorNameHover:               {rgba(0x5a3a2a, 0x0d), rgba(0xffeedd, 0x0d)},
	theme.ColorNamePressed:             {rgba(0x5a3a2a, 0x1f), rgba(0xffeedd, 0x22)},
	theme.ColorNameInputBackground:     {rgb(0xffffff), rgb(0x14110f)},
	theme.ColorNameInputBorder:         {rgb(0x8c7f75), rgb(0x857a71)},
	theme.ColorNameSeparator:           {rgb(0xe9e1d9), rgb(0x352d28)},
	theme.ColorNameMenuBackground:      {rgb(0xffffff), rgb(0x2a2420)},
	theme.ColorNameOverlayBackground:   {rgb(0xffffff), rgb(0x231e1b)},
	theme.ColorNameHeaderBackground:    {rgb(0xf4eee7), rgb(0x211c19)},
	theme.ColorNameScrollBar:           {rgba(0x5a3a2a, 0x55), rgba(0xffeedd, 0x44)},
	theme.ColorNameScrollBarBackground: {rgba(0x5a3a2a, 0x0a), rgba(0xffeedd, 0x0a)},
	theme.ColorNameShadow:              {rgba(0x3a2014, 0x30), rgba(0x000000, 0x77)},
	theme.ColorNameSuccess:             {rgb(0x27704a), rgb(0x6cc596)},
	theme.ColorNameWarning:             {rgb(0x8a5a00), rgb(0xe6b450)},
	theme.ColorNameError:               {rgb(0xb8360f), rgb(0xff8a65)},
	theme.ColorNameForegroundOnError:   {rgb(0xffffff), rgb(0x2a0f06)},

	colorCard:       {rgb(0xffffff), rgb(0x231e1b)},
	colorCardBorder: {rgb(0xe9e1d9), rgb(0x352d28)},
	colorSidebar:    {rgb(0xf4eee7), rgb(0x14110f)},
	colorFocusRing:  {rgb(0x1d5fb8), rgb(0x8ab8ff)},
	colorNone:       {},
	colorCurtain:    {rgba(0x3a2a20, 0x66), rgba(0x000000, 0x99)},
	colorTrack:      {rgb(0xefe8e0), rgb(0x352d28)},
	colorWax:        {rgb(0xa91d2b), rgb(0xe06472)},
	colorWaxTint:    {rgba(0xa91d2b, 0x14), rgba(0xe06472, 0x2b)},
	colorGoodTint:   {rgb(0xe6f3eb), rgb(0x1c2f25)},
	colorCareTint:   {rgb(0xfdf2d9), rgb(0x352a14)},
	colorBadTint:    {rgb(0xfdebe4), rgb(0x3a211a)},
}

func (l *look) Color(name fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	if l.always != nil {
		v = *l.always
	}
	s, ok := shades[name]
	switch {
	case !ok:
		return l.Theme.Color(name, v)
	case v == theme.VariantDark:
		return s.dark
	}
	return s.light
}

func (l *look) Size(name fyne.ThemeSizeName) float32 {
	switch name {
	case sizeCode:
		return 34
	case theme.SizeNameHeadingText:
		return 22
	case theme.SizeNameSubHeadingText:
		return 16
	case theme.SizeNameCaptionText:
		return 12
	case theme.SizeNameButtonRadius, theme.SizeNameInputRadius:
		return 8
	case theme.SizeNameSelectionRadius, theme.SizeNamePopupRadius, theme.SizeNameMenuRadius:
		return 6
	case theme.SizeNameDialogRadius, theme.SizeNameCardRadius:
		return 14
	case theme.SizeNameScrollBar:
		return 8
	case theme.SizeNameScrollBarSmall:
		return 4
	case theme.SizeNameInlineIcon:
		return 18
	}
	return l.Theme.Size(name)
}

// paint is the current colour of a name in the theme.
func paint(name fyne.ThemeColorName) color.Color {
	settings := fyne.CurrentApp().Settings()
	return settings.Theme().Color(name, settings.ThemeVariant())
}
