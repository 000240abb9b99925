package tray

import (
	"sync"

	"github.com/waxseal/waxseal/ui/speech"
)

var (
	words  sync.RWMutex // held for reading while texts are made, and guards the language
	spoken string
)

// Speak sets the language of menu and notifications: "en", "de", or "system".
func Speak(name string) error {
	words.Lock()
	defer words.Unlock()
	spoken = name
	return speech.Use(name)
}

// speak loads the texts, unless they are loaded.
func speak() error {
	words.Lock()
	defer words.Unlock()
	return speech.Use(spoken)
}
