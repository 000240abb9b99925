package ui

import (
	"maps"
	"slices"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// breakers shows each breaker: one that holds requests back as a card with the reason,
// the others by name in a line.
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

// breakerCard is a breaker that holds requests back.
type breakerCard struct {
	*fyne.Container
	back    *sheet
	dot     *sheet
	state   badge
	follows *text
	cause   *text
}

func newBreakerCard(of api.Breaker) *breakerCard {
	c := &breakerCard{state: newBadge(), follows: newBody(""), cause: newCaption(""), dot: newDot("error")}
	c.back = newSheet(colorCard, colorCardBorder, 12)
	top := newLine(8, []fyne.CanvasObject{centred(c.dot)}, newText(breakerName(of), kind{bold: true, single: true}), c.state.Container)
	c.Container = newStack(c.back, padded(14, 12, newColumn(4, top, c.follows, c.cause)))
	return c
}

func (c *breakerCard) set(b api.Breaker, passed time.Duration) {
	word, follows, m := breakerState(b, passed)
	c.state.set(word, m)
	c.dot.color(m.ink(), colorNone)
	c.back.color(colorCard, m.ink())
	c.follows.set(follows)
	c.cause.set(only(b.Cause != "", tr("Last error: {{.Cause}}", values{"Cause": quoted(b.Cause)})))
	show(c.cause, b.Cause != "")
}

func newBreakerChip(of api.Breaker) fyne.CanvasObject {
	return newLine(6, []fyne.CanvasObject{centred(newDot("success"))},
		newWord(shorten(breakerName(of), 40), kind{size: theme.SizeNameCaptionText, muted: lowImportance}))
}

// shorten replaces the middle of a text that is too long with an ellipsis.
func shorten(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n/2]) + "…" + string(r[len(r)-n/2+1:])
}

func (b *breakers) draw(list []api.Breaker, passed time.Duration) {
	order := make([]string, 0, len(list))
	for _, s := range list {
		order = append(order, s.Name+" "+only(!troubled(s), "closed"))
	}
	if !slices.Equal(order, b.order) {
		b.order = order
		b.arrange(list)
	}
	for _, s := range list {
		if c := b.cards[s.Name]; c != nil && troubled(s) {
			c.set(s, passed)
		}
	}
	show(b.root, len(list) > 0)
}

// arrange rebuilds both lists after a breaker has been added or removed or has changed
// its state. A breaker's card and name are made once.
func (b *breakers) arrange(list []api.Breaker) {
	b.troubled.Objects, b.healthy.Objects = nil, nil
	for _, s := range list {
		if troubled(s) {
			c := b.cards[s.Name]
			if c == nil {
				c = newBreakerCard(s)
				b.cards[s.Name] = c
			}
			b.troubled.Objects = append(b.troubled.Objects, c.Container)
			continue
		}
		chip := b.chips[s.Name]
		if chip == nil {
			chip = newBreakerChip(s)
			b.chips[s.Name] = chip
		}
		b.healthy.Objects = append(b.healthy.Objects, chip)
	}
	gone := func(name string) bool { return !contains(list, name) }
	maps.DeleteFunc(b.chips, func(name string, _ fyne.CanvasObject) bool { return gone(name) })
	maps.DeleteFunc(b.cards, func(name string, _ *breakerCard) bool { return gone(name) })
	show(b.troubled, len(b.troubled.Objects) > 0)
	show(b.healthy, len(b.healthy.Objects) > 0)
	b.troubled.Refresh()
	b.healthy.Refresh()
}

func contains(list []api.Breaker, name string) bool {
	return slices.ContainsFunc(list, func(s api.Breaker) bool { return s.Name == name })
}

// troubled reports whether a breaker holds requests back.
func troubled(b api.Breaker) bool { return b.State == api.Open || b.State == api.HalfOpen }
