package tray

import (
	"sync"

	"github.com/waxseal/waxseal/ui/speech"
)

// speak loads the texts in the user's language.
var speak = sync.OnceValue(func() error { return speech.Use("") })
