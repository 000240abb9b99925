package ui

import (
	"fyne.io/fyne/v2"
)

// segments is a choice between a few options, all of them visible.
type segments struct {
	root   *fyne.Container
	tiles  []*tile
	chosen int
	then   func(int)
}

func newSegments(k *kit, names []string, then func(int)) *segments {
	s := &segments{then: then, root: newFlow(6)}
	for i, name := range names {
		t := k.tile(padded(12, 6, newWord(name, kind{})), name, func() { s.choose(i) })
		t.edge = "inputBorder"
		s.tiles = append(s.tiles, t)
		s.root.Add(t)
	}
	s.tiles[0].chosen = true
	return s
}

func (s *segments) choose(i int) {
	if s.chosen == i {
		return
	}
	s.chosen = i
	for j, t := range s.tiles {
		t.choose(j == i)
	}
	s.then(i)
}

// limit shows the choice only if both of two options exist, and otherwise chooses the
// existing one.
func (s *segments) limit(second, first bool) {
	show(s.root, first && second)
	if first == second {
		return
	}
	s.chosen = 0
	if second {
		s.chosen = 1
	}
}

// preset chooses without calling then.
func (s *segments) preset(i int) {
	s.chosen = i
	for j, t := range s.tiles {
		t.chosen = j == i
	}
}
