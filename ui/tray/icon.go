package tray

import (
	"slices"

	"github.com/waxseal/waxseal/assets"
	"github.com/waxseal/waxseal/proxy/api"
)

// icon names a drawing in assets/icon/tray.
type icon string

const (
	fine      icon = "fine"
	working   icon = "working"   // a message is on its way
	waiting   icon = "waiting"   // for trouble that should pass
	attention icon = "attention" // somebody has to do something
	paused    icon = "paused"
	down      icon = "down" // no mail is accepted
)

// iconOf chooses the icon: the first that fits, worst first. Passing trouble has an
// icon of its own, so that people see it without being alarmed.
func iconOf(s State) icon {
	_, _, troubled := s.Passing()
	switch {
	case s.PortTaken != nil, s.State == api.Starting, s.State == api.Stopping:
		return down
	case s.WindowFailed, s.Keystore.Problem != nil, slices.ContainsFunc(s.Accounts, needsSomebody):
		return attention
	case s.State == api.Paused:
		return paused
	case troubled:
		return waiting
	case s.Messages > 0:
		return working
	}
	return fine
}

// drawing is an icon in the system's format, and as a template for macOS, which
// colours icons itself.
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
