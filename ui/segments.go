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
	s.mark(i)
	s.then(i)
}

// limit shows the choice only if both of two options exist, and otherwise chooses the
// existing one.
func (s *segments) limit(second, first bool) {
	show(s.root, first && second)
	if first == second {
		return
	}
	s.mark(0)
	if second {
		s.mark(1)
	}
}

// mark chooses without calling then.
func (s *segments) mark(i int) {
	s.chosen = i
	for j, t := range s.tiles {
		t.choose(j == i)
	}
}

// offer shows the options that exist, if there are several. Where the chosen one does not exist, the
// first that does is chosen.
func (s *segments) offer(exists func(int) bool) {
	first, count := -1, 0
	for i, t := range s.tiles {
		if show(t, exists(i)); !t.Visible() {
			continue
		}
		if count++; first < 0 {
			first = i
		}
	}
	if first >= 0 && !s.tiles[s.chosen].Visible() {
		s.mark(first)
	}
	show(s.root, count > 1)
}

// preset chooses without calling then.
func (s *segments) preset(i int) {
	s.chosen = i
	for j, t := range s.tiles {
		t.chosen = j == i
	}
}
