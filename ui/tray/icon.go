package tray

import (
	"slices"

	"github.com/waxseal/waxseal/assets"
)

// icon names a drawing in assets/icon/tray.
type icon string

const (
	fine      icon = "fine"
	working   icon = "working"   // a message is on its way
	attention icon = "attention" // somebody has to do something
	paused    icon = "paused"
	down      icon = "down" // no mail is accepted
)

// iconOf chooses the icon: the first that fits, worst first. Passing trouble at
// a provider is no reason to call somebody, an open breaker is one.
func iconOf(s State) icon {
	switch {
	case s.PortTaken != nil, s.State == "starting", s.State == "stopping":
		return down
	case s.WindowFailed, s.Keystore.Error != "", slices.ContainsFunc(s.Accounts, needsSomebody), slices.ContainsFunc(s.Breakers, isOpen):
		return attention
	case s.State == "paused":
		return paused
	case s.Messages > 0:
		return working
	}
	return fine
}

// drawing is an icon as the system takes it, and for macOS, which colours icons
// itself, as a template.
func (i icon) drawing() (regular, template []byte) {
	file := func(name string) []byte {
		data, err := assets.TrayIcons.ReadFile("icon/tray/" + name)
		if err != nil {
			panic(err) // it is part of the program
		}
		return data
	}
	return file(string(i) + extension), file(string(i) + "-template.png")
}
