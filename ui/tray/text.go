package tray

import (
	"embed"
	"sync"

	"fyne.io/fyne/v2/lang"
)

// translation holds the tray's texts, in the form that Fyne's lang package
// reads, which works without a window. The English text is the key.
//
//go:embed translation
var translation embed.FS

// speak takes up the texts in the user's language.
var speak = sync.OnceValue(func() error { return lang.AddTranslationsFS(translation, "translation") })
