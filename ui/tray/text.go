package tray

import (
	"sync"

	"github.com/waxseal/waxseal/ui/speech"
)

// speak takes up the texts in the user's language.
var speak = sync.OnceValue(func() error { return speech.Use("") })
