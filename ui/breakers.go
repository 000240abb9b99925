package ui

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/breaker"
)

// breakers shows each breaker: those that hold calls back as a card with the
// reason, the healthy ones as a name in a line.
type breakers struct {
	root *fyne.Container
	troubled,
	healthy *fyne.Container
	cards map[string]*breakerCard
	chips map[string]fyne.CanvasObject
	order []string // as laid out last
}

func newBreakers() *breakers {
	b := &breakers{cards: map[string]*breakerCard{}, chips: map[string]fyne.CanvasObject{}}
	b.troubled, b.healthy = newGrid(400, 10, 2), newFlow(14)
	b.root = newColumn(12, b.troubled, b.healthy)
	return b
}

// breakerCard is one that does not let every call through.
type breakerCard struct {
	*fyne.Container
	back    *sheet
	dot     *sheet
	state   badge
	follows *text
	cause   *text
}

func newBreakerCard(name string) *breakerCard {
	c := &breakerCard{state: newBadge(), follows: newBody(""), cause: newCaption(""), dot: newDot("error")}
	c.back = newSheet(colorCard, colorCardBorder, 12)
	top := newLine(8, []fyne.CanvasObject{centred(c.dot)}, newText(clean(name), kind{bold: true, single: true}), c.state.Container)
	c.Container = newStack(c.back, padded(14, 12, newColumn(4, top, c.follows, c.cause)))
	return c
}

func (c *breakerCard) set(b breaker.Status, passed time.Duration) {
	word, follows, m := breakerState(b, passed)
	c.state.set(word, m)
	c.dot.color(m.ink(), colorNone)
	c.back.color(colorCard, m.ink())
	c.follows.set(follows)
	c.cause.set(only(b.Cause != "", tr("The last failure: {{.Cause}}", values{"Cause": quoted(b.Cause)})))
	show(c.cause, b.Cause != "")
}

func newBreakerChip(name string) fyne.CanvasObject {
	return newLine(6, []fyne.CanvasObject{centred(newDot("success"))},
		newWord(clean(name), kind{size: theme.SizeNameCaptionText, muted: lowImportance}))
}

func (b *breakers) draw(list []breaker.Status, passed time.Duration) {
	order := make([]string, 0, len(list))
	for _, s := range list {
		order = append(order, s.Name+" "+only(s.State == breaker.Closed, "closed"))
	}
	if !same(order, b.order) {
		b.order = order
		b.arrange(list)
	}
	for _, s := range list {
		if c := b.cards[s.Name]; c != nil {
			c.set(s, passed)
		}
	}
	show(b.root, len(list) > 0)
}

// arrange makes the cards and chips anew where a breaker has come, gone or
// changed sides.
func (b *breakers) arrange(list []breaker.Status) {
	clear(b.cards)
	b.troubled.Objects, b.healthy.Objects = nil, nil
	for _, s := range list {
		if s.State != breaker.Closed {
			c := newBreakerCard(s.Name)
			b.cards[s.Name] = c
			b.troubled.Objects = append(b.troubled.Objects, c.Container)
			continue
		}
		chip := b.chips[s.Name]
		if chip == nil {
			chip = newBreakerChip(s.Name)
			b.chips[s.Name] = chip
		}
		b.healthy.Objects = append(b.healthy.Objects, chip)
	}
	for name := range b.chips {
		if !contains(list, name) {
			delete(b.chips, name)
		}
	}
	show(b.troubled, len(b.troubled.Objects) > 0)
	show(b.healthy, len(b.healthy.Objects) > 0)
	b.troubled.Refresh()
	b.healthy.Refresh()
}

func contains(list []breaker.Status, name string) bool {
	for _, s := range list {
		if s.Name == name {
			return true
		}
	}
	return false
}

func same(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
